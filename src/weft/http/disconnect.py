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
from weft.protocol.errors import NotNow

T = TypeVar("T")


async def while_connected(work: Awaitable[T], receive: Receive) -> T:
    """Awaits `work`, cancelled as soon as the client hangs up: then raises `ClientGone`.

    The request's body must have been read.
    """
    watch = _Watch(receive)
    watch.start()
    return await _guarded(work, watch)


class Polls:
    """Long polls, which begin to be watched within `delay` seconds, and can all be ended."""

    def __init__(self, delay: float = 0.5) -> None:
        self._delay = delay
        self._unwatched: dict[_Watch, None] = {}
        self._watched: set[_Watch] = set()
        #: Where a look is due; None: nowhere.
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Awaitable[T], receive: Receive) -> T:
        """As `while_connected`, for work that is mostly done before anybody has to look. Raises `NotNow` if ended."""
        watch = _Watch(receive)
        self._unwatched[watch] = None
        if self._loop is not watch.loop:
            self._loop = watch.loop
            watch.loop.call_later(self._delay, self._look)
        try:
            return await _guarded(work, watch)
        finally:
            self._unwatched.pop(watch, None)
            self._watched.discard(watch)

    def end(self) -> None:
        """Ends those under way, because the server stops; their clients are told to come back."""
        for watch in [*self._unwatched, *self._watched]:
            watch.cancel(NotNow("the server is stopping", retry_after_ms=1000))

    def _look(self) -> None:
        self._loop = None
        watches, self._unwatched = self._unwatched, {}
        self._watched.update(watches)
        for watch in watches:
            watch.start()


class _Watch:
    """Cancels the task that made it, for a reason."""

    __slots__ = ("_receive", "_watcher", "loop", "reason", "task")

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be cancelled")
        self.task: asyncio.Task[object] = task
        self.loop = task.get_loop()
        self.reason: Exception | None = None
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look whether the client hangs up."""
        self._watcher = self.loop.create_task(self._until_gone())

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    def cancel(self, reason: Exception) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.cancel(ClientGone())


async def _guarded(work: Awaitable[T], watch: _Watch) -> T:
    try:
        return await work
    except asyncio.CancelledError:
        if watch.reason is not None and watch.task.uncancel() == 0:
            raise watch.reason from None
        raise
    finally:
        watch.stop()
