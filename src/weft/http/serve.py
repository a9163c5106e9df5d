"""Runs ASGI applications on listeners: addresses and ports, plain or TLS, each with the resources it serves.

    server = HttpServer([Listener("127.0.0.1", 8008, frozenset({"client", "federation"}))], app_for)
    await server.start()      # every listener answers, or `ListenError` and none does
    ...
    await server.stop()       # no new requests; those under way have `grace` seconds

It installs no signal handlers, starts no application's lifespan and configures no logging: that is its caller's.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from weft.http.asgi import AsgiApp
from weft.http.connection import KEEP_ALIVE, Connection
from weft.protocol.errors import WeftError

#: Seconds between two looks for connections that take too long.
SWEEP: Final = 5.0
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the certificate with its chain, and the private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listener:
    address: str
    #: 0: the system chooses.
    port: int
    #: What is served here: "client", "federation", "metrics" …
    resources: frozenset[str]
    tls: Tls | None = None
    #: Addresses or networks whose `X-Forwarded-For` is believed on this listener.
    trusted_proxies: tuple[str, ...] = ()


class ListenError(WeftError):
    """A listener can't be opened; the text names its address and port and says why."""

    def __init__(self, listener: Listener, reason: str) -> None:
        super().__init__(f"can't listen on {listener.address} port {listener.port}: {reason}")
        self.listener = listener


class HttpServer:
    """`app_for` is asked once for each listener, which application answers there."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        app_for: Callable[[Listener], AsgiApp],
        *,
        grace: float = 10.0,
        before_stop: Callable[[], None] | None = None,
    ) -> None:
        self._listeners = list(listeners)
        self._app_for = app_for
        self._grace = grace
        #: Called when stopping begins; the place to end long polls, which would use up the grace.
        self._before_stop = before_stop
        self._running: list[_Running] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when every listener accepts connections. Raises `ListenError`; then none is left open."""
        try:
            for listener in self._listeners:
                running = _Running(listener, self._app_for(listener), self._grace)
                self._running.append(running)
                await running.start()
        except BaseException:
            await self.stop()
            raise
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stops accepting, lets requests under way finish for `grace` seconds, then cancels them."""
        if self._before_stop is not None:
            self._before_stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        running, self._running = self._running, []
        await asyncio.gather(*(each.stop() for each in running))

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Starts, serves until the event is set, and stops."""
        await self.start()
        try:
            await stopping.wait()
        finally:
            await self.stop()

    def addresses(self) -> list[tuple[Listener, str, int]]:
        """Where each listener really listens: numeric address and port; several for a name with several addresses."""
        return [(each.listener, *address) for each in self._running for address in each.addresses]

    def reload_certificates(self) -> None:
        """Reads the certificate files again; new connections use them. Raises `ListenError`, the old ones staying."""
        for each in self._running:
            each.reload_certificate()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = asyncio.get_running_loop().time()
            for running in self._running:
                running.cut_overdue(now)


class _Running:
    """One listener's uvicorn server, started and stopped step by step so that nobody takes over the signals."""

    def __init__(self, listener: Listener, app: AsgiApp, grace: float) -> None:
        self.listener = listener
        self._tls = _tls_context(listener)
        self._server = uvicorn.Server(_config(app, self._tls, grace))
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.Task[None] | None = None
        self.addresses: list[tuple[str, int]] = []

    async def start(self) -> None:
        self._sockets = _bind(self.listener)
        self.addresses = [each.getsockname()[:2] for each in self._sockets]
        server = self._server
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=self._sockets)
        await server.on_tick(0)  # makes the Date header, which the first answers need too
        self._loop = asyncio.create_task(server.main_loop())

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._loop is not None:
            await self._loop
            await self._server.shutdown(sockets=self._sockets)
        for one in self._sockets:
            one.close()

    def reload_certificate(self) -> None:
        if self._tls is not None:
            _load_certificate(self._tls, self.listener)

    def cut_overdue(self, now: float) -> None:
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, Connection) and connection.overdue(now):
                connection.cut()


def _config(app: AsgiApp, tls: ssl.SSLContext | None, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="none",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace)),
        ssl_context_factory=(lambda config, default: tls) if tls is not None else None,
    )


def _tls_context(listener: Listener) -> ssl.SSLContext | None:
    if listener.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, listener)
    return context


def _load_certificate(context: ssl.SSLContext, listener: Listener) -> None:
    if listener.tls is None:
        return
    try:
        context.load_cert_chain(listener.tls.certificate, listener.tls.key)
    except OSError as error:  # of which ssl.SSLError is one
        raise ListenError(listener, f"its certificate or key can't be used: {error}") from error


def _bind(listener: Listener) -> list[socket.socket]:
    """A listening socket for each address of the name; of several, those that this machine lacks don't count."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in _addresses(listener):
            try:
                sockets.append(_listening(family, address))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for one in sockets:
            one.close()
        raise ListenError(listener, error.strerror or str(error)) from error
    return sockets


def _addresses(listener: Listener) -> list[tuple[int, tuple[Any, ...]]]:
    found = socket.getaddrinfo(
        listener.address, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listening(family: int, address: tuple[Any, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setblocking(False)
        one.bind(address)
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    return one


#: An address (or its whole family) that is not this machine's.
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
