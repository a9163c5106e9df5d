"""Presence, told to other servers and told by them.

https://spec.matrix.org/v1.19/server-server-api/#presence
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from weft.modules.presence.service import Presence
from weft.modules.presence.store import KIND, ONLINE, State
from weft.protocol.canonical_json import MAX_INTEGER
from weft.protocol.errors import BadJson
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.rooms.engine import Engine
from weft.storage import rooms as room_store
from weft.storage.positions import Entry, Vector

EDU = "m.presence"
#: Users of one message; others send half as many at a time.
_MOST = 100


class _Update(msgspec.Struct):
    user_id: str
    presence: Literal["online", "unavailable", "offline"]
    last_active_ago: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = 0
    status_msg: Annotated[str, Meta(max_length=4_096)] | None = None
    currently_active: bool = False


class PresenceFederation:
    """Implements `weft.federation.sender.Outgoing`, and takes in what others tell."""

    kinds = frozenset({KIND})

    def __init__(self, engine: Engine, presence: Presence) -> None:
        self._engine = engine
        self._presence = presence

    async def take(self, origin: str, content: Mapping[str, Any]) -> None:
        pushed = content.get("push")
        if not isinstance(pushed, list):
            raise BadJson("Presence needs a list of what is pushed.")
        updates: dict[str, _Update] = {}
        for one in pushed[:_MOST]:
            try:
                update = msgspec.convert(one, _Update)
            except msgspec.ValidationError:
                continue
            if domain_of(update.user_id) == origin and is_valid_user_id(update.user_id):
                updates[update.user_id] = update
        # Nobody here can see those who are in no room that is known here: nothing is kept of them.
        known = await self._engine.database.read(room_store.who_is_in_a_room, list(updates)) if updates else ()
        now_ms = self._engine.outside.now_ms()
        for update in [updates[user_id] for user_id in updates if user_id in known]:
            state = State(
                update.user_id,
                update.presence,
                update.status_msg,
                max(0, now_ms - update.last_active_ago),
                update.currently_active,
            )
            await self._presence.told(state)

    async def servers(self, entry: Entry) -> Iterable[str]:
        if entry.user_id is None or not self._engine.is_local(entry.user_id):
            return ()
        found: set[str] = set()
        for room_id in await self._presence.sharing.joined(entry.user_id):
            room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
            if room is not None:
                found.update(room.servers)
        return found

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        users = {entry.user_id for entry in entries if entry.user_id is not None}
        pushed = [told for user_id in sorted(users) if (told := await self._of(user_id)) is not None]
        return [{"edu_type": EDU, "content": {"push": pushed}}] if pushed else []

    async def _of(self, user_id: str) -> dict[str, Any] | None:
        state = await self._presence.of(user_id)
        if state is None:
            return None
        told: dict[str, Any] = {
            "user_id": user_id,
            "presence": state.state,
            "last_active_ago": max(0, self._engine.outside.now_ms() - self._presence.last_active_ms(state)),
        }
        if state.status_msg is not None:
            told["status_msg"] = state.status_msg
        if state.state == ONLINE:
            told["currently_active"] = state.currently_active
        return told

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        """Nothing: who is there is told again whenever it changes."""
        return ()
