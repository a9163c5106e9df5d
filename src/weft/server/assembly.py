"""A whole server: opened, started, served, stopped. Its modules are made in `weft.server.modules`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from weft.federation.federation import Federation
from weft.federation.own_keys import OwnKeys
from weft.federation.transport import Transport
from weft.graph.build import Identity
from weft.http.addresses import ProxyTrust
from weft.http.app import App
from weft.http.call import Route
from weft.http.limits import Limiter, Rate
from weft.http.metrics import Metrics
from weft.http.serve import HttpServer, Listener, Tls
from weft.modules.accounts import AccountsService
from weft.modules.keys import forget_all
from weft.modules.module import Module, Task
from weft.modules.room_inspection import Comparison, RoomGraph
from weft.protocol.api.endpoint import Api
from weft.rooms.engine import Engine, Outside
from weft.server import signing_keys
from weft.server.background import Background
from weft.server.config import database_url
from weft.server.federating import build_federation
from weft.server.modules import TABLES, assemble
from weft.server.observability import configure_logging, metrics_route
from weft.server.policing import enable_policy_server
from weft.settings import Listener as ListenerSettings
from weft.settings import Settings
from weft.storage.cache import Budget
from weft.storage.open import Connect, open_database
from weft.storage.pruning import prune

#: What of the memory budget goes to the database's own page cache.
_PAGE_CACHE_SHARE = 0.25
#: What of a listener's resources an endpoint belongs to.
_RESOURCES = {Api.CLIENT: "client", Api.FEDERATION: "federation"}
#: How long requests under way may take to finish when the server stops.
_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class Server:
    """A whole server; `start` it before requests are given to `app`, `stop` it after."""

    settings: Settings
    engine: Engine
    federation: Federation
    accounts: AccountsService
    background: Background
    metrics: Metrics
    modules: list[Module]
    #: What clients and other servers ask, for whoever embeds the server or tests it.
    app: App
    _app_of: Callable[[Sequence[Route[Any, Any]], ProxyTrust], App]

    async def start(self) -> None:
        self.engine.log.on_entries(self.federation.destinations.apply)
        for module in self.modules:
            for applier in module.appliers:
                self.engine.log.on_entries(applier)
        await self.engine.start(follower for module in self.modules for follower in module.followers)
        await self.federation.start()
        for module in self.modules:
            for start in module.starts:
                await start()
        self.background.start([*self._own_tasks(), *(task for module in self.modules for task in module.tasks)])

    async def stop(self) -> None:
        self.engine.log.close()
        await self.background.stop()
        for module in self.modules:
            for stop in module.stops:
                await stop()
        await self.engine.stop()

    @property
    def routes(self) -> list[Route[Any, Any]]:
        """Everything that is answered; to other servers only where federation is turned on."""
        return _routes(self.modules, federates=self.federation.enabled)

    def _own_tasks(self) -> list[Task]:
        return [
            Task(name="forgotten servers", every_seconds=6 * 3600, run=self.federation.destinations.prune),
            Task(name="old entries of the log", every_seconds=3600, run=self._prune_log),
        ]

    async def _prune_log(self) -> None:
        await prune(self.engine.database, [kind for module in self.modules for kind in module.fleeting])

    def app_for(self, listener: Listener) -> App:
        """The application that answers on a listener: just what its resources name."""
        routes = [route for route in self.routes if _RESOURCES[route.endpoint.api] in listener.resources]
        if "metrics" in listener.resources:
            collectors = [collector for module in self.modules for collector in module.collectors]
            routes.append(metrics_route(self.metrics, self.engine.budget, collectors))
        return self._app_of(routes, ProxyTrust(listener.trusted_proxies))


async def build(
    settings: Settings,
    *,
    keys: OwnKeys,
    outside: Outside | None = None,
    transport: Transport | None = None,
    name: str | None = None,
    connect: Connect | None = None,
) -> Server:
    """Opens the database and makes a server of these settings. Raises `DatabaseError`.

    `transport` carries requests to other servers in another way than HTTPS; `connect` opens another kind of database.
    """
    outside = outside or Outside(now_ms=lambda: time.time_ns() // 1_000_000, random_bytes=os.urandom)
    page_cache = int(settings.memory * _PAGE_CACHE_SHARE)
    database = await open_database(database_url(settings), TABLES, cache_bytes=page_cache, connect=connect)
    identities = {
        server_name: Identity(server_name, keys.current[server_name], lambda: outside.token(18))
        for server_name in settings.server.names
    }
    budget = Budget(int(settings.memory * (1 - _PAGE_CACHE_SHARE)))
    federation = build_federation(
        settings, database=database, own_keys=keys, outside=outside, budget=budget, transport=transport
    )
    engine = Engine(
        database,
        identities=identities,
        outside=outside,
        budget=budget,
        name=name or f"{os.uname().nodename}-{os.getpid()}-{outside.token(6)}",
    )
    engine.connect(federation)
    enable_policy_server(engine, settings)
    limiter = Limiter(
        {name: Rate(limit.per_second, limit.burst) for name, limit in settings.rate_limits.table().items()},
        enabled=settings.rate_limits.enabled,
    )
    parts = assemble(engine, settings, limiter, federation)
    metrics = Metrics()

    def app_of(routes: Sequence[Route[Any, Any]], proxies: ProxyTrust) -> App:
        return App(
            routes,
            authenticator=parts.accounts.authenticator,
            server_authenticator=federation.requests,
            limiter=limiter,
            before_handler=engine.log.catch_up if database.shared else None,
            seen=parts.accounts.authenticator.seen,
            proxies=proxies,
            metrics=metrics,
            access_log=settings.logging.level == "debug",
        )

    return Server(
        settings=settings,
        engine=engine,
        federation=federation,
        accounts=parts.accounts,
        background=Background(database, engine.name, outside.now_ms),
        metrics=metrics,
        modules=parts.all,
        app=app_of(_routes(parts.all, federates=federation.enabled), ProxyTrust()),
        _app_of=app_of,
    )


def _routes(modules: Sequence[Module], *, federates: bool) -> list[Route[Any, Any]]:
    routes = [route for module in modules for route in module.routes]
    return [route for route in routes if federates or route.endpoint.api is not Api.FEDERATION]


def read_keys(settings: Settings) -> OwnKeys:
    """The signing keys of this server's domains, former ones too. Raises `SettingsError`."""
    names = settings.server.names
    return OwnKeys(
        {name: signing_keys.read(settings.signing_key_file(name)) for name in names},
        {name: signing_keys.read_old(settings.old_signing_keys_file(name)) for name in names},
    )


def run(settings: Settings, *, ready: Callable[[Sequence[str]], None]) -> None:
    """Serves until SIGINT or SIGTERM. `ready` is given the client listeners' addresses once they answer."""
    configure_logging(settings.logging)
    uvloop.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[Sequence[str]], None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_, stopping.set)
    async with running(settings) as server:
        listeners = HttpServer(
            [_listener(one) for one in settings.listeners],
            server.app_for,
            grace=_GRACE_SECONDS,
            before_stop=server.engine.log.close,
        )
        await listeners.start()
        try:
            ready(_addresses(listeners))
            _tune_interpreter()
            await stopping.wait()
        finally:
            await listeners.stop()


def _tune_interpreter() -> None:
    """Settings of Python that suit one busy event loop and a few threads that wait for the disk."""
    # What was loaded by now stays loaded: the garbage collector need not go through it again and again, which takes
    # a tenth of a second each time. Few cycles are made later, so it may look at the rest less often, too.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # The thread that has committed waits so long for the busy loop to let it say so; by default, 5 ms.
    sys.setswitchinterval(0.0005)


def _listener(settings: ListenerSettings) -> Listener:
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    return Listener(
        settings.address,
        settings.port,
        frozenset(settings.resources),
        Tls(certificate, key) if certificate is not None and key is not None else None,
        settings.trusted_proxies,
    )


def _addresses(listeners: HttpServer) -> list[str]:
    """The client listeners as people type them."""
    shown: list[str] = []
    for listener, address, port in listeners.addresses():
        if "client" in listener.resources:
            host = f"[{address}]" if ":" in address else address
            shown.append(f"{'https' if listener.tls else 'http'}://{host}:{port}")
    return shown


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """The server of these settings, started, for as long as the context lasts."""
    server = await build(settings, keys=read_keys(settings))
    await server.start()
    try:
        yield server
    finally:
        await asyncio.shield(server.stop())


async def forget_one_time_keys(settings: Settings) -> int:
    """Has every one-time key count as given away; how many there were. On PostgreSQL also while servers run."""
    database = await open_database(database_url(settings), TABLES)
    try:
        await database.become_writer("forget-one-time")
        return await database.write(forget_all)
    finally:
        await database.close()


@asynccontextmanager
async def accounts(settings: Settings) -> AsyncIterator[AccountsService]:
    """The accounts of the server of these settings, while no listener is open."""
    async with running(settings) as server:
        yield server.accounts


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an operator looks at in rooms."""

    graph: RoomGraph
    comparison: Comparison


@asynccontextmanager
async def inspection(settings: Settings) -> AsyncIterator[Inspection]:
    """The rooms of the server of these settings, while no listener is open."""
    async with running(settings) as server:
        yield Inspection(RoomGraph(server.engine), Comparison(server.engine))
