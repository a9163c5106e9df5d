"""A whole server in one process, or two that share one database."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weft.federation.own_keys import OwnKeys
from weft.federation.transport import Transport
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Outside
from weft.server.assembly import Server, build
from weft.server.config import from_values
from weft.settings import Settings
from weft.testing.client import Asgi, Client, Watch
from weft.testing.clock import Clock
from weft.testing.network import Network

#: Settings under which tests are quick: cheap hashes, no limits, everybody may register. The only other servers are
#: those on the same `Network`.
QUICK: Mapping[str, Any] = {
    "server": {"names": ["weft.test"]},
    "registration": {"mode": "open", "guests": True},
    "passwords": {"memory_cost": "64K", "time_cost": 1},
    "rate_limits": {"enabled": False},
    "federation": {"enabled": True},
}


class TestServer:
    """One server. `restart` closes it and opens its data again.

    On a `network` it talks to the other servers there, by each of its names; `transport` is for another way to them.
    """

    __test__ = False

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        watch: Watch | None = None,
        network: Network | None = None,
        transport: Callable[[], Transport] | None = None,
    ) -> None:
        self.network = network or Network()
        self._transport = transport or self.network.transport
        self.settings: Settings = from_values(merged(QUICK, settings or {}), base=folder)
        self.clock = clock or Clock()
        self.random = random.Random(seed)
        self.watch = watch
        self._server: Server | None = None
        self._users = 0

    async def start(self) -> None:
        self._server = await self._started()
        self.network.register(self.settings.server.names, self.app)

    async def _started(self) -> Server:
        keys = OwnKeys({name: key_of(name) for name in self.settings.server.names})
        outside = Outside(now_ms=self.clock, random_bytes=self.random.randbytes)
        server = await build(self.settings, keys=keys, outside=outside, transport=self._transport())
        await server.start()
        return server

    async def stop(self) -> None:
        self.network.unregister(self.settings.server.names)
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @property
    def server(self) -> Server:
        if self._server is None:
            raise RuntimeError("the server is not running")
        return self._server

    def app(self) -> Asgi:
        """The application that answers the next request."""
        return self.server.app

    @property
    def name(self) -> str:
        return self.settings.server.names[0]

    # -- people

    def client(self, token: str | None = None, **options: Any) -> Client:
        """A client with a token, or without."""
        return Client(self.app, token=token, watch=self.watch, **options)

    async def user(self, localpart: str | None = None, *, password: str = "correct horse", **register: Any) -> Client:
        """Registers somebody and returns their client."""
        self._users += 1
        body = {
            "username": localpart or f"user{self._users}",
            "password": password,
            "auth": {"type": "m.login.dummy"},
            **register,
        }
        made = (await self.client().post("/_matrix/client/v3/register", body)).ok()
        return self.client(made["access_token"], user_id=made["user_id"], device_id=made["device_id"])

    async def login(self, user_id: str, *, password: str = "correct horse", **login: Any) -> Client:
        """Logs somebody in on a new device and returns that device's client."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user_id},
            "password": password,
            **login,
        }
        made = (await self.client().post("/_matrix/client/v3/login", body)).ok()
        return self.client(made["access_token"], user_id=made["user_id"], device_id=made["device_id"])


class Twins(TestServer):
    """Two servers that share one PostgreSQL database; each request goes to one of them, at random under the seed."""

    __test__ = False

    def __init__(self, folder: Path, *, seed: int = 0, **options: Any) -> None:
        super().__init__(folder, seed=seed, **options)
        self._twin: Server | None = None
        self._choice = random.Random(seed + 1)

    async def start(self) -> None:
        await super().start()
        self._twin = await self._started()

    async def stop(self) -> None:
        if self._twin is not None:
            await self._twin.stop()
            self._twin = None
        await super().stop()

    async def lose(self, process: Server) -> None:
        """One of the two ends; the other answers everything from now on."""
        if process is self.server:
            self._server = self._twin
        self._twin = None
        await process.stop()

    @property
    def both(self) -> tuple[Server, Server]:
        """The two processes."""
        if self._twin is None:
            raise RuntimeError("the servers are not running")
        return self.server, self._twin

    def app(self) -> Asgi:
        twin = self._twin
        return self.server.app if twin is None or self._choice.random() < 0.5 else twin.app


def key_of(server_name: str) -> SigningKey:
    """A domain's signing key, the same in every run."""
    return SigningKey("ed25519:test", hashlib.sha256(server_name.encode()).digest())


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings laid over others."""
    result = dict(base)
    for name, value in over.items():
        mine = result.get(name)
        result[name] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result
