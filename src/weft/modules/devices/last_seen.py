"""Where and when devices were last seen, kept in memory for a minute and written in batches.

A request costs one dictionary entry. What a process had not written when it was killed is lost, which is at most a
minute of one column that people look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

import structlog

from weft.modules.devices.store import Seen, saw
from weft.storage.database import Database

log = structlog.get_logger(__name__)

#: What is written at a time: few enough to hold nobody up.
_BATCH = 256
_EVERY_MS = 60_000
#: What a browser says of itself is cut at this length.
_USER_AGENT = 512


class LastSeen:
    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._waiting: dict[tuple[str, str], Seen] = {}
        self._written_ms = now_ms()
        self._writing: asyncio.Future[None] | None = None

    def note(self, user_id: str, device_id: str, ip: str, user_agent: str) -> None:
        """Remembers that a device made a request; does not wait."""
        now = self._now_ms()
        self._waiting[user_id, device_id] = Seen(user_id, device_id, now, ip, user_agent[:_USER_AGENT])
        if len(self._waiting) >= _BATCH or now - self._written_ms >= _EVERY_MS:
            self._write()

    async def flush(self) -> None:
        """Writes everything that is remembered."""
        while self._waiting:
            self._write()
        # Writes are done in the order they were asked for.
        if self._writing is not None:
            await asyncio.shield(self._writing)

    def _write(self) -> None:
        self._written_ms = self._now_ms()
        keys = list(islice(self._waiting, _BATCH))
        self._writing = self._database.submit(saw, [self._waiting.pop(key) for key in keys])
        self._writing.add_done_callback(_forget)


def _forget(future: asyncio.Future[None]) -> None:
    """Nobody waits for the outcome; a failure is told to the log only."""
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("when devices were last seen was not written", error=str(error))
