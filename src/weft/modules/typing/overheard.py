"""Typing, for application services. https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data"""

from __future__ import annotations

from collections.abc import Sequence

from weft.modules.module import Hearing
from weft.modules.typing.service import Typing
from weft.modules.typing.store import KIND
from weft.protocol.client_event import in_room
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class TypingOverheard:
    """Implements `weft.modules.module.Overheard`: who is typing in rooms where that changed, as it is now."""

    kinds = frozenset({KIND})

    def __init__(self, engine: Engine, typing: Typing) -> None:
        self._engine = engine
        self._typing = typing

    async def told(self, entries: Sequence[Entry], hearing: Hearing) -> list[bytes]:
        await self._typing.rooms()
        told: list[bytes] = []
        for number in dict.fromkeys(entry.room for entry in entries if entry.room is not None):
            room = await self._engine.rooms.get(await self._engine.rooms.room_id(number))
            if await hearing.hears_room(room):
                told.append(in_room(self._typing.event_of(room), room.id))
        return told
