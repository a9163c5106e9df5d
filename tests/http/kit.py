"""A small application to ask, and the asking: real ASGI calls in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from weft.http.asgi import AsgiApp, Message, Scope
from weft.http.call import Call, Requester, Route, route
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Raw

ALICE = Requester(user_id="@alice:here.test", device_id="PHONE", token_id=1, server_name="here.test")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    pairs: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.pairs}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errcode(self) -> str:
        return str(self.json["errcode"])


class Tokens:
    """An `Authenticator` over a table; tokens that start with `slow` are not in the cache."""

    def __init__(self, **table: Requester | Exception) -> None:
        self._table: dict[str, Requester | Exception] = {"alice": ALICE, **table}
        self.waited = 0

    def cached(self, token: str) -> Requester | None:
        found = self._table.get(token)
        return found if isinstance(found, Requester) and not token.startswith("slow") else None

    async def by_token(self, token: str) -> Requester | None:
        self.waited += 1
        found = self._table.get(token)
        if isinstance(found, Exception):
            raise found
        return found

    async def acting_as(self, service: Requester, user_id: str | None, device_id: str | None) -> Requester:
        return Requester(user_id=user_id or service.user_id, device_id=device_id, appservice_id=service.appservice_id)


def endpoint(
    request: type[Any] = Empty,
    *,
    method: str = "GET",
    path: str = "/test",
    auth: Auth = Auth.NONE,
    operation_id: str = "test",
    **more: Any,
) -> Endpoint[Any, Any]:
    paths = more.pop("paths", (path,))
    return Endpoint(
        operation_id=operation_id, method=method, paths=paths, request=request, response=Raw, auth=auth, **more
    )


def answers(
    of: Endpoint[Any, Any], make: Callable[[Call[Any]], object] | Callable[[Call[Any]], Awaitable[object]]
) -> Route[Any, Any]:
    """A route whose handler returns what `make` returns (or awaits to)."""

    async def handler(call: Call[Any]) -> Any:
        made = make(call)
        return await made if isinstance(made, Awaitable) else made

    return route(of, handler)


def echo(of: Endpoint[Any, Any]) -> Route[Any, Any]:
    """A route that answers with the request as it was decoded."""
    return answers(of, lambda call: Raw(body=json.dumps(fields(call.args)).encode()))


def fields(request: msgspec.Struct) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(request, name)) for name in request.__struct_fields__}


async def ask(
    app: AsgiApp,
    method: str,
    target: str,
    *,
    token: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | Sequence[bytes] | None = None,
    json_body: object = None,
    peer: str | None = "192.0.2.1",
    hang_up: asyncio.Event | None = None,
    **scope: Any,
) -> Answer:
    """One request. A sequence as body comes in pieces; the client hangs up when the event is set."""
    pieces = [json.dumps(json_body).encode()] if json_body is not None else _pieces(body)
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if token is not None:
        pairs.append((b"authorization", f"Bearer {token}".encode()))
    if isinstance(body, bytes) or json_body is not None:
        pairs.append((b"content-length", str(len(pieces[0])).encode()))
    sent: list[Message] = []
    done = asyncio.Event()

    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        await (hang_up or done).wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(_scope(method, target, pairs, peer) | scope, receive, send)
    finally:
        done.set()
    return _answer(sent)


def _pieces(body: bytes | Sequence[bytes] | None) -> list[bytes]:
    if body is None:
        return [b""]
    return [body] if isinstance(body, bytes) else list(body)


def _scope(method: str, target: str, pairs: list[tuple[bytes, bytes]], peer: str | None) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": pairs,
        "client": (peer, 50_000) if peer is not None else None,
        "root_path": "",
        "http_version": "1.1",
    }


def _answer(sent: list[Message]) -> Answer:
    if not sent:
        return Answer(0, [], b"")
    start, *rest = sent
    if start["type"] != "http.response.start" or (rest and rest[-1].get("more_body")):
        raise AssertionError(f"not a whole answer: {sent}")
    return Answer(start["status"], list(start["headers"]), b"".join(message["body"] for message in rest))


__all__ = ["ALICE", "Answer", "Scope", "Tokens", "answers", "ask", "echo", "endpoint", "fields"]
