"""Work that is done again and again. On a shared database one process at a time does each task: who holds its lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from weft.modules.module import Task
from weft.storage import leases
from weft.storage.database import Database

log = structlog.get_logger(__name__)


class Background:
    """Owns every repeated task: starts them, keeps them apart between processes, stops them."""

    def __init__(self, database: Database, holder: str, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._holder = holder
        self._now_ms = now_ms
        self._running: list[asyncio.Task[None]] = []

    def start(self, tasks: Iterable[Task]) -> None:
        self._running = [asyncio.create_task(self._repeat(task), name=task.name) for task in tasks]

    async def stop(self) -> None:
        for running in self._running:
            running.cancel()
        for running in self._running:
            with contextlib.suppress(asyncio.CancelledError):
                await running
        self._running.clear()

    async def _repeat(self, task: Task) -> None:
        while True:
            await asyncio.sleep(task.every_seconds)
            try:
                if await self._may_run(task):
                    await task.run()
            except Exception:
                log.exception("a repeated task failed; it is tried again in its turn", task=task.name)

    async def _may_run(self, task: Task) -> bool:
        if not self._database.shared:
            return True
        # A little longer than the pause, so that the holder of today stays the holder.
        for_ms = int(task.every_seconds * 1_500)
        return await self._database.write(
            leases.take, f"task/{task.name}", self._holder, now_ms=self._now_ms(), for_ms=for_ms
        )
