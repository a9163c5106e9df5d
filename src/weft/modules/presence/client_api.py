"""The endpoints of presence."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.presence.service import Presence
from weft.modules.presence.store import ONLINE, State
from weft.protocol.api.client import presence as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.types import PresenceState
from weft.protocol.errors import Forbidden
from weft.rooms.engine import Engine


class ClientApi:
    def __init__(self, engine: Engine, presence: Presence) -> None:
        self._engine = engine
        self._presence = presence

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_PRESENCE, self.get), route(api.SET_PRESENCE, self.set)]

    async def get(self, call: Call[api.GetPresenceRequest]) -> api.GetPresenceResponse:
        user_id = call.args.user_id
        # A user id that nobody has shares no room either.
        if not await self._presence.sharing.share(call.user_id, user_id):
            raise Forbidden("You share no room with that user.")
        state = await self._presence.of(user_id) if self._presence.enabled else None
        return self._response(state) if state is not None else api.GetPresenceResponse(presence="offline")

    async def set(self, call: Call[api.SetPresenceRequest]) -> Empty:
        args = call.args
        if args.user_id != call.user_id:
            raise Forbidden("Only you yourself can say whether you are there.")
        await self._presence.set(call.user_id, args.presence, args.status_msg)
        return Empty()

    def _response(self, state: State) -> api.GetPresenceResponse:
        ago = self._engine.outside.now_ms() - self._presence.last_active_ms(state)
        return api.GetPresenceResponse(
            presence=_STATES[state.state],
            last_active_ago=max(0, ago),
            status_msg=state.status_msg,
            currently_active=state.currently_active if state.state == ONLINE else None,
        )


_STATES: dict[str, PresenceState] = {"online": "online", "unavailable": "unavailable", "offline": "offline"}
