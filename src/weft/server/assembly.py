"""Puts the server together: every service is made here, with what it uses, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.graph.build import Identity
from weft.http.app import App
from weft.http.auth import Authenticator
from weft.http.limits import Limiter, Rate
from weft.modules.module import Module
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine, Outside
from weft.server import signing_keys
from weft.server.background import Background
from weft.settings import Settings
from weft.storage.cache import Budget
from weft.storage.open import open_database

#: The packages that own tables, in the order in which their migrations run.
TABLES: tuple[str, ...] = ()

#: What of the memory budget goes to the database's own page cache.
_PAGE_CACHE_SHARE = 0.25


@dataclass(slots=True)
class Server:
    """A whole server; `start` it before requests are given to `app`, `stop` it after."""

    settings: Settings
    engine: Engine
    modules: list[Module]
    authenticator: Authenticator
    app: App
    background: Background

    async def start(self) -> None:
        for module in self.modules:
            for applier in module.appliers:
                self.engine.log.on_entries(applier)
        await self.engine.start(follower for module in self.modules for follower in module.followers)
        self.background.start(task for module in self.modules for task in module.tasks)

    async def stop(self) -> None:
        await self.background.stop()
        await self.engine.stop()


@dataclass(slots=True)
class _Parts:
    """The modules, and what else the rest needs of them."""

    modules: list[Module]
    authenticator: Authenticator


async def build(
    settings: Settings, *, keys: Mapping[str, SigningKey], outside: Outside | None = None, name: str | None = None
) -> Server:
    """Opens the database and makes a server of these settings. Raises `DatabaseError`."""
    outside = outside or Outside(now_ms=lambda: time.time_ns() // 1_000_000, random_bytes=os.urandom)
    database = await open_database(database_url(settings), TABLES, cache_bytes=int(settings.memory * _PAGE_CACHE_SHARE))
    identities = {
        server_name: Identity(server_name, keys[server_name], lambda: outside.token(18))
        for server_name in settings.server.names
    }
    engine = Engine(
        database,
        identities=identities,
        outside=outside,
        budget=Budget(int(settings.memory * (1 - _PAGE_CACHE_SHARE))),
        name=name or f"{os.uname().nodename}-{os.getpid()}-{outside.token(6)}",
    )
    limiter = Limiter(
        {name: Rate(limit.per_second, limit.burst) for name, limit in settings.rate_limits.table().items()},
        enabled=settings.rate_limits.enabled,
    )
    parts = _assemble(engine, settings, limiter)
    app = App(
        [route for module in parts.modules for route in module.routes],
        authenticator=parts.authenticator,
        limiter=limiter,
        before_handler=engine.log.catch_up if database.shared else None,
    )
    return Server(
        settings=settings,
        engine=engine,
        modules=parts.modules,
        authenticator=parts.authenticator,
        app=app,
        background=Background(database, engine.name, outside.now_ms),
    )


def _assemble(engine: Engine, settings: Settings, limiter: Limiter) -> _Parts:
    raise NotImplementedError


def database_url(settings: Settings) -> str:
    """The database's address, with its password where there is one."""
    if settings.is_sqlite:
        return f"sqlite:{settings.sqlite_file}"
    return settings.database.url


def read_keys(settings: Settings) -> dict[str, SigningKey]:
    """The signing keys of this server's domains."""
    return {name: signing_keys.read(settings.signing_key_file(name)) for name in settings.server.names}


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """The server of these settings, started, for as long as the context lasts."""
    server = await build(settings, keys=read_keys(settings))
    await server.start()
    try:
        yield server
    finally:
        await asyncio.shield(server.stop())
