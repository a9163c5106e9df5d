"""Noticing that a client has hung up, so that work nobody waits for any more is cancelled.

ASGI says so only to who asks, and asking takes a task of its own. A long poll that is answered at once should not
pay for one: `Polls` asks for those that are still there at its next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from weft.http.asgi import Receive
from weft.http.errors import ClientGone

T = TypeVar("T")


async def while_connected(work: Awaitable[T], receive: Receive) -> T:
    """Awaits `work`, cancelled as soon as the client hangs up: then raises `ClientGone`.

    The request's body must have been read.
    """
    watch = _Watch(receive)
    watch.start()
    return await _guarded(work, watch)


class Polls:
    """Long polls, which begin to be watched within `delay` seconds."""

    def __init__(self, delay: float = 0.5) -> None:
        self._delay = delay
        self._unwatched: dict[_Watch, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Awaitable[T], receive: Receive) -> T:
        """As `while_connected`, for work that is mostly done before anybody has to look."""
        watch = _Watch(receive)
        self._unwatched[watch] = None
        if self._loop is not watch.loop:
            self._loop = watch.loop
            watch.loop.call_later(self._delay, self._look)
        try:
            return await _guarded(work, watch)
        finally:
            self._unwatched.pop(watch, None)

    def _look(self) -> None:
        self._loop = None
        watches, self._unwatched = self._unwatched, {}
        for watch in watches:
            watch.start()


class _Watch:
    """Cancels the task that made it when the client hangs up."""

    __slots__ = ("_receive", "_watcher", "gone", "loop", "task")

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be cancelled")
        self.task: asyncio.Task[object] = task
        self.loop = task.get_loop()
        self.gone = False
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watcher = self.loop.create_task(self._until_gone())

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()


async def _guarded(work: Awaitable[T], watch: _Watch) -> T:
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and watch.task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watch.stop()
