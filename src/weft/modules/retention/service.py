"""Goes through the rooms now and then."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from weft.modules.events import Expiry
from weft.modules.module import Task
from weft.modules.retention import store
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.purging import Place

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 3_600
_BEGINNING: Final[Place] = (-1, 0)
#: Seconds between two transactions.
_POLITE: Final = 0.05


class Retention:
    def __init__(self, engine: Engine, expiry: Expiry) -> None:
        self._engine = engine
        self._expiry = expiry
        self.tasks = (
            [Task(name="expired messages", every_seconds=_EVERY_SECONDS, run=self.purge)] if expiry.is_enabled else []
        )

    async def purge(self) -> None:
        """Removes what has expired, in every room."""
        everywhere = self._expiry.bounds.default is not None
        for room_id in await self._engine.database.read(store.rooms, everywhere=everywhere):
            room = await self._engine.rooms.find(room_id)
            before_ms = await self._expiry.before_ms(room) if room is not None else None
            if room is not None and before_ms is not None:
                await self._purge(room, before_ms)

    async def _purge(self, room: Room, before_ms: int) -> None:
        count = 0
        place: Place | None = _BEGINNING
        while place is not None:
            removed = await self._engine.database.write(
                self._engine.purging.remove_expired, room.number, place, before_ms
            )
            count, place = count + removed.events, removed.upto
            await asyncio.sleep(_POLITE)
        if count:
            log.info("messages have expired", room_id=room.id, removed=count)
