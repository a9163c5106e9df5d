"""An event loop whose time is not the world's: where nothing is ready it is at once the time of the next timer.

Minutes take milliseconds, and nothing depends on how quick the machine is. There is one thread: what would go to
another one runs where it is, and its result comes after a moment of virtual time.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: 14 November 2023: what the servers' clocks say when a run begins.
EPOCH_MS: Final = 1_700_000_000_000


class Life:
    """One run of a server, from its start to its end: whatever runs for it is one of its tasks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_over = False
        #: A dict, not a set: ended in the order in which they began, the same in every run.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.context = contextvars.copy_context()
        self.context.run(_LIFE.set, self)

    def end(self) -> None:
        """As when a process is killed."""
        self.is_over = True
        for task in list(self.tasks):
            task.cancel()


_LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


def current_life() -> Life | None:
    """On whose behalf the present code runs; None for the simulator itself."""
    return _LIFE.get()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`latency` says how many seconds a piece of work takes that real servers give to a thread."""

    def __init__(self, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.virtual_seconds = 0.0
        self._latency = latency
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.virtual_seconds

    def now_ms(self) -> int:
        """What the servers' clocks say."""
        return EPOCH_MS + int(self.virtual_seconds * 1000)

    def skip(self, seconds: float) -> None:
        """As when every machine is suspended: what would have happened meanwhile is due now, once."""
        self.virtual_seconds += seconds

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, name=name, context=context)
        life = _LIFE.get() if context is None else context.get(_LIFE)
        if life is not None:
            life.tasks[task] = None
            task.add_done_callback(lambda done: life.tasks.pop(done, None))
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        self.call_later(self._latency(), _settle, future, func, args)
        return future


def _settle(future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
    if future.done():
        return
    try:
        result = func(*args)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class _Jump(selectors.SelectSelector):
    """Waits for no socket: there is none."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everybody waits for somebody else")
        if timeout > 0:
            self._loop.virtual_seconds += timeout
        return []


def run(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, T]],
    *,
    latency: Callable[[], float] = lambda: 0.0,
    on_error: Callable[[Mapping[str, Any]], None],
) -> T:
    """Runs something to its end on a loop of its own. `on_error` is told what nobody else was told."""
    loop = VirtualLoop(latency)
    loop.set_exception_handler(lambda _, context: on_error(context))
    try:
        return loop.run_until_complete(main(loop))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
