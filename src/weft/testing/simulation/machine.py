"""A server that can be killed: at any write, with whatever it was doing, and started again from its file."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from weft.federation.own_keys import OwnKeys
from weft.protocol.errors import Unreachable
from weft.rooms.engine import Outside
from weft.server.assembly import Server, build
from weft.storage.database import Database, Job, Transaction, WriteTransaction
from weft.storage.sqlite import SqliteDatabase
from weft.testing.client import Asgi
from weft.testing.network import Network
from weft.testing.server import TestServer, key_of
from weft.testing.simulation.virtual_time import Life, VirtualLoop

P = ParamSpec("P")
T = TypeVar("T")


class Disk(SqliteDatabase):
    """SQLite without threads. A commit takes a moment; `on_commit_due` may end the server's life before or after it."""

    def __init__(
        self, path: Path, *, cache_bytes: int, latency: Callable[[], float], on_commit_due: Callable[[bool], None]
    ) -> None:
        super().__init__(path, cache_bytes=cache_bytes)
        self._latency = latency
        self._on_commit_due = on_commit_due
        self._clock = lambda: 0.0
        # The file is in memory anyhow, and outlives what is called a crash here.
        self._write_connection.pragma("synchronous", "OFF")

    def _commit(self, loop: asyncio.AbstractEventLoop, group: list[Job]) -> None:
        loop.call_later(self._latency(), self._commit_later, loop, group)

    def _commit_later(self, loop: asyncio.AbstractEventLoop, group: list[Job]) -> None:
        if self._closed:
            return
        self._on_commit_due(False)
        if self._closed:
            return
        failure = self._commit_now()
        self._on_commit_due(True)
        if not self._closed:
            self._ended(loop, group, failure)

    def _run_group(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._closed:
            super()._run_group(loop)

    def crash(self) -> None:
        """What is not committed is gone, and nobody hears of anything any more."""
        if not self._closed:
            self._closed = True
            self._close()

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        return await super().read(fn, *args, **kwargs)

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
        self._check()
        return super()._read(fn, args, kwargs)

    def get_now(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        return super().get_now(fn, *args, **kwargs)

    def submit(
        self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        self._check()
        return super().submit(fn, *args, **kwargs)

    def _check(self) -> None:
        if self._closed:
            raise asyncio.CancelledError("the server is no more")


class Machine(TestServer):
    """A server of the simulation. `crash` ends it without a word; `start` starts it again."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        loop: VirtualLoop,
        *,
        settings: Mapping[str, Any],
        seed: int,
        network: Network,
        latency: Callable[[], float],
    ) -> None:
        super().__init__(folder, settings=settings, seed=seed, network=network)
        self.folder = folder
        self._loop = loop
        self._latency = latency
        self.life: Life | None = None
        self.disk: Disk | None = None
        self.lives = 0
        #: How many half-steps of commits from now the server crashes; None: it does not.
        self.crash_in: int | None = None
        self.on_crash: Callable[[], None] = lambda: None

    @property
    def is_up(self) -> bool:
        return self.life is not None

    async def start(self) -> None:
        self.lives += 1
        life = self.life = Life(f"{self.name}/{self.lives}")
        # The super() call's task runs in the life's context, and so does whatever it starts.
        await self._loop.create_task(self._begin(), context=life.context.copy())

    async def _begin(self) -> None:
        await super().start()

    async def _started(self) -> Server:
        keys = OwnKeys({name: key_of(name) for name in self.settings.server.names})
        outside = Outside(now_ms=self._loop.now_ms, random_bytes=self.random.randbytes)
        server = await build(
            self.settings,
            keys=keys,
            outside=outside,
            transport=self.network.transport(),
            name=self.name,
            connect=self._connect,
        )
        await server.start()
        return server

    def _connect(self, url: str, cache_bytes: int) -> Database:
        path = Path(url.removeprefix("sqlite:"))
        self.disk = Disk(path, cache_bytes=cache_bytes, latency=self._latency, on_commit_due=self._commit_due)
        return self.disk

    def _commit_due(self, is_done: bool) -> None:
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.crash()

    def crash(self) -> None:
        if self.life is None:
            return
        life, self.life = self.life, None
        self.crash_in = None
        self._server = None
        self.network.unregister(self.settings.server.names)
        if self.disk is not None:
            self.disk.crash()
        life.end()
        self.on_crash()

    def app(self) -> Asgi:
        return self._serve

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """A request is handled as the server's own business, so that it ends with the server and not with who asks."""
        life, server = self.life, self._server
        if life is None or server is None:
            raise Unreachable(f"{self.name} is down")
        task = self._loop.create_task(server.app(scope, receive, send), context=life.context.copy())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and life.is_over:
                raise Unreachable(f"{self.name} crashed") from None
            raise


def prepared(template: Path, folder: Path) -> None:
    """Gives a server tables that were made before: making them takes longer than most runs."""
    shutil.copy(template, folder / template.name)
