"""`m.typing` in `/sync`. https://spec.matrix.org/v1.19/client-server-api/#typing-notifications"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.typing import store
from weft.modules.typing.service import Typing
from weft.rooms.engine import Engine
from weft.storage.positions import Entry

EVENT_TYPE = "m.typing"


class TypingSync:
    """Who is typing in rooms where that changed; where there is no `since`, in rooms where anybody is."""

    kinds = frozenset({store.KIND})

    def __init__(self, engine: Engine, typing: Typing) -> None:
        self._engine = engine
        self._typing = typing

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        if not sync.wants("room.ephemeral", EVENT_TYPE):
            return
        typing = await self._typing.rooms()
        changed = await self._changed(sync)
        fresh = sync.joined if sync.since is None else sync.newly_joined
        # Of a room that is new to the client, that nobody is typing goes without saying.
        told = {room_id for room_id in fresh if sync.joined.get(room_id) in typing} if typing else set()
        for number in changed:
            room_id = await self._engine.rooms.room_id(number)
            if room_id in sync.joined and room_id not in fresh:
                told.add(room_id)
        for room_id in told:
            room = await self._engine.rooms.get(room_id)
            sync.room(room_id).ephemeral.append(self._typing.event_of(room))

    async def _changed(self, sync: Sync) -> Iterable[int]:
        if sync.since is None:
            return ()
        entries = sync.entries(self.kinds)
        if entries is None:
            return await self._engine.database.read(store.changed_rooms, list(sync.joined.values()), sync.since)
        return {entry.room for entry in entries if entry.room is not None}
