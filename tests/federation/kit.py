"""Starts servers that can reach each other, in one of two ways; the first of them may be two processes."""

from __future__ import annotations

import itertools
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.federation.identity_server import IDENTITY, IdentityServer
from tests.http.certificates import make_certificate
from tests.watching import validated
from weft.federation.discovery import Discovery
from weft.federation.https_transport import HttpsTransport
from weft.federation.srv import SrvRecord
from weft.federation.transport import OutgoingRequest
from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient
from weft.http.serve import HttpServer, Listener, Tls
from weft.server.assembly import Server
from weft.testing import Answer, Clock, Network, TestServer, Twins
from weft.testing.client import Asgi

NAMES: Final = ("one.test", "two.test", "three.test", "four.test", "five.test")


class Kit:
    """Servers with one clock. Every answer that a client gets is checked against the specification.

    With `twins`, the URL of an empty database, the first server is two processes on that database. `weft_file` is an
    empty database to begin with, which is quicker than to make the tables.
    """

    def __init__(self, folder: Path, twins: str | None = None, weft_file: Path | None = None) -> None:
        self.folder = folder
        self.twins = twins
        self.weft_file = weft_file
        self.clock = Clock()
        self.network = Network()
        self.servers: list[TestServer] = []

    async def __call__(self, count: int, **settings: Any) -> list[TestServer]:
        """Starts that many more; `settings` are theirs."""
        return [await self.start(NAMES[len(self.servers)], settings) for _ in range(count)]

    async def start(self, name: str, settings: dict[str, Any]) -> TestServer:
        folder = self.folder / name
        folder.mkdir()
        chosen = {"server": {"names": [name]}, **settings}
        kind = TestServer
        if self.twins is not None and not self.servers:
            kind, chosen = Twins, {"database": {"url": self.twins}, **chosen}
        elif self.weft_file is not None:
            shutil.copy(self.weft_file, folder)
        server = self.make(kind, folder, chosen, seed=len(self.servers))
        self.servers.append(server)
        await server.start()
        return server

    def make(self, kind: type[TestServer], folder: Path, settings: dict[str, Any], seed: int) -> TestServer:
        raise NotImplementedError

    async def identity_server(self) -> IdentityServer:
        """An identity server that all of them reach."""
        raise NotImplementedError

    async def close(self) -> None:
        await self.network.settle()
        for server in self.servers:
            await server.stop()


class MemoryKit(Kit):
    def __init__(self, folder: Path, twins: str | None = None, weft_file: Path | None = None) -> None:
        super().__init__(folder, twins, weft_file)
        self.network.on_answer.append(_validated)

    def make(self, kind: type[TestServer], folder: Path, settings: dict[str, Any], seed: int) -> TestServer:
        return kind(folder, settings=settings, clock=self.clock, seed=seed, watch=validated, network=self.network)

    async def identity_server(self) -> IdentityServer:
        made = IdentityServer()
        self.network.register([IDENTITY], lambda: made.app)
        return made


class HttpsKit(Kit):
    """Each server has a TLS listener of its own; SRV records and addresses are a table."""

    def __init__(self, folder: Path, twins: str | None = None, weft_file: Path | None = None) -> None:
        super().__init__(folder, twins, weft_file)
        self._tls = Tls(*make_certificate(folder / "certificate", *NAMES, IDENTITY))
        self._listeners: list[HttpServer] = []
        self._ports: dict[str, int] = {}

    async def start(self, name: str, settings: dict[str, Any]) -> TestServer:
        server = await super().start(name, settings)
        self._ports[name] = await self._listen(lambda listener: _app_of(server, listener))
        return server

    async def _listen(self, app_of: Callable[[Listener], Asgi]) -> int:
        """The port on which an application answers from now on."""
        listener = HttpServer([Listener("127.0.0.1", 0, frozenset({"federation"}), self._tls)], app_of, grace=1)
        await listener.start()
        self._listeners.append(listener)
        ((_, _, port),) = listener.addresses()
        return port

    async def identity_server(self) -> IdentityServer:
        made = IdentityServer()
        made.url = f"https://{IDENTITY}:{await self._listen(lambda _: made.app)}"
        return made

    def make(self, kind: type[TestServer], folder: Path, settings: dict[str, Any], seed: int) -> TestServer:
        return kind(folder, settings=settings, clock=self.clock, seed=seed, watch=validated, transport=self.transport)

    @property
    def certificate(self) -> Path:
        """What every server here shows."""
        return self._tls.certificate

    def transport(self) -> HttpsTransport:
        client = HttpClient(
            guard=AddressGuard(allow=["127.0.0.0/8"]), extra_cas=[self._tls.certificate], resolver=Loopback()
        )
        return HttpsTransport(Discovery(self, self, pick=lambda below: 0), client)

    async def server(self, host: str) -> str | None:
        """Nobody stands in for another."""
        return None

    async def records(self, name: str) -> Sequence[SrvRecord]:
        host = name.partition("_tcp.")[2]
        return [SrvRecord(0, 0, self._ports[host], host)] if host in self._ports else []

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.stop()
        await super().close()


def processes(server: TestServer) -> Sequence[Server]:
    """What a server consists of; each has a memory of its own."""
    return server.both if isinstance(server, Twins) else (server.server,)


def _app_of(server: TestServer, listener: Listener) -> Asgi:
    """What answers on a listener: of two processes, they take turns."""
    turns = itertools.cycle([process.app_for(listener) for process in processes(server)])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await next(turns)(scope, receive, send)

    return app


class Loopback(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


def _validated(request: OutgoingRequest, answer: Answer) -> None:
    validated(request.method, request.uri, answer)
