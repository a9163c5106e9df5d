"""https://spec.matrix.org/v1.19/client-server-api/#room-previews"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.history.service import History
from weft.modules.legacy.snapshots import Snapshots
from weft.modules.legacy.stream import Stream
from weft.protocol.api.client import legacy as api
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import NotFound
from weft.rooms.engine import Engine


class LegacyApi:
    def __init__(self, engine: Engine, history: History, snapshots: Snapshots, stream: Stream) -> None:
        self._engine = engine
        self._history = history
        self._snapshots = snapshots
        self._stream = stream

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(api.GET_EVENTS, self.get_events),
            route(api.INITIAL_SYNC, self.initial_sync),
            route(api.GET_ONE_EVENT, self.get_one_event),
            route(api.ROOM_INITIAL_SYNC, self.room_initial_sync),
        ]

    async def get_events(self, call: Call[api.GetEventsRequest]) -> api.PaginationChunk:
        return await self._stream.events(call.requester, call.args)

    async def initial_sync(self, call: Call[api.InitialSyncRequest]) -> api.InitialSyncResponse:
        return await self._snapshots.all_rooms(call.requester, call.args.limit, archived=call.args.archived)

    async def get_one_event(self, call: Call[api.GetOneEventRequest]) -> Raw:
        stored = await self._engine.rooms.event(call.args.event_id)
        if stored is None:
            raise NotFound("There is no such event, or you may not see it.")
        view, seen = await self._history.event(stored.event.room_id, call.args.event_id, call.user_id)
        viewer = await self._history.viewer(call.requester)
        return Raw(body=(await self._history.formed(view.room, [seen], viewer))[0])

    async def room_initial_sync(self, call: Call[api.RoomInitialSyncRequest]) -> api.RoomInfo:
        return await self._snapshots.one_room(call.requester, call.args.room_id, call.args.limit)
