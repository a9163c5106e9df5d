"""An invented server of which there is nothing but its keys: it answers as a test has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from weft.federation.transport import OutgoingRequest
from weft.protocol import canonical_json, server_keys
from weft.protocol.errors import Unreachable
from weft.protocol.request_auth import authorization
from weft.protocol.server_keys import OldKey
from weft.protocol.signatures import SigningKey
from weft.testing import Answer, Client, Network, TestServer

DAY_MS = 24 * 3_600_000


def key(version: str) -> SigningKey:
    return SigningKey(f"ed25519:{version}", version.encode().ljust(32, b"."))


class Invented:
    """`asked` counts how often its keys were asked for; `answer` may make another answer, or none (Unreachable)."""

    def __init__(self, network: Network, now_ms: Callable[[], int], name: str = "peer.test") -> None:
        self.name = name
        self.now_ms = now_ms
        self.keys: Sequence[SigningKey] = (key("a"),)
        self.old_keys: Sequence[OldKey] = ()
        self.lifetime_ms = DAY_MS
        self.asked = 0
        self.there = True
        self.answer: Callable[[OutgoingRequest], Answer | None] = lambda request: None
        network.on_request.append(self._on_request)

    def document(self) -> dict[str, Any]:
        until = self.now_ms() + self.lifetime_ms
        return server_keys.make(self.name, self.keys, self.old_keys, valid_until_ms=until)

    async def _on_request(self, request: OutgoingRequest) -> Answer | None:
        if request.destination != self.name:
            return None
        self.asked += 1
        if not self.there:
            raise Unreachable("it is gone")
        return self.answer(request) or Answer(200, {}, canonical_json.encode(self.document()))

    async def ask(
        self,
        server: TestServer,
        method: str,
        uri: str,
        *,
        body: bytes = b"",
        signed_as: dict[str, Any] | None = None,
        header: str | None = None,
    ) -> Answer:
        """A signed request to a server; `signed_as` says what of it is signed otherwise than it is sent."""
        meant: dict[str, Any] = {
            "method": method,
            "uri": uri,
            "origin": self.name,
            "destination": server.name,
            "content": canonical_json.canonical_lax(body) if body else None,
            **(signed_as or {}),
        }
        signature = header or authorization(meant.pop("key", self.keys[0]), **meant)
        client = Client(server.app, watch=server.watch)
        path, _, query = uri.partition("?")
        return await client.request(
            method, f"{path}?{query}" if query else path, body=body, headers={"authorization": signature}
        )


def json(value: object, status: int = 200) -> Answer:
    return Answer(status, {}, orjson.dumps(value))
