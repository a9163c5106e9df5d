"""A client that calls an ASGI application directly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import orjson

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[dict[str, Any]]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
#: Called with the method, the path and the answer of each request.
Watch = Callable[[str, str, "Answer"], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def ok(self) -> Any:
        """The JSON of a success; fails the test with the body otherwise."""
        if self.status != 200:
            raise AssertionError(f"expected 200, got {self.status}: {self.body[:2000]!r}")
        return self.json

    def refused(self, status: int, errcode: str) -> Any:
        """The JSON of just this refusal; fails the test otherwise."""
        if self.status != status or self.json.get("errcode") != errcode:
            raise AssertionError(f"expected {status} {errcode}, got {self.status}: {self.body[:2000]!r}")
        return self.json


class Client:
    """Requests with one access token (or none). `app` chooses the application for each request."""

    def __init__(
        self,
        app: Callable[[], Asgi],
        *,
        token: str | None = None,
        user_id: str = "",
        device_id: str = "",
        watch: Watch | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._app = app
        self._watch = watch
        self.token = token
        self.user_id = user_id
        self.device_id = device_id
        self.address = address
        self._txn = 0

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.request("GET", path, query=query)

    async def put(self, path: str, json: object = None, **query: Any) -> Answer:
        return await self.request("PUT", path, json={} if json is None else json, query=query)

    async def post(self, path: str, json: object = None, **query: Any) -> Answer:
        return await self.request("POST", path, json={} if json is None else json, query=query)

    async def delete(self, path: str, json: object = None, **query: Any) -> Answer:
        return await self.request("DELETE", path, json=json, query=query)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        body: bytes | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request. `path` is percent-encoded already; a `query` value may be a list, None is left out."""
        content = body if body is not None else b"" if json is None else orjson.dumps(json)
        sent = {"content-type": "application/json", "content-length": str(len(content)), "user-agent": "weft-testing"}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        sent.update(headers or {})
        answer = await call_asgi(self._app(), method, path, _query(query or {}), sent, content, self.address)
        if self._watch is not None:
            self._watch(method, path, answer)
        return answer

    # -- conversations, in short

    async def create_room(self, **options: Any) -> str:
        """Makes a room and returns its id."""
        room_id: str = (await self.post("/_matrix/client/v3/createRoom", options)).ok()["room_id"]
        return room_id

    async def send(
        self, room_id: str, body: str = "hello", *, event_type: str = "m.room.message", **content: Any
    ) -> str:
        """Sends a message (or `content` of another type) and returns its event id."""
        self._txn += 1
        sent = content or {"msgtype": "m.text", "body": body}
        path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/{quote(event_type)}/t{self._txn}"
        event_id: str = (await self.put(path, sent)).ok()["event_id"]
        return event_id

    async def set_state(self, room_id: str, event_type: str, content: object, state_key: str = "") -> str:
        """Sets state and returns the event id."""
        path = f"/_matrix/client/v3/rooms/{quote(room_id)}/state/{quote(event_type)}/{quote(state_key, safe='')}"
        event_id: str = (await self.put(path, content)).ok()["event_id"]
        return event_id

    async def join(self, room: str) -> str:
        """Joins a room by id or alias and returns its id."""
        room_id: str = (await self.post(f"/_matrix/client/v3/join/{quote(room, safe='')}")).ok()["room_id"]
        return room_id

    async def leave(self, room_id: str) -> None:
        (await self.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/leave")).ok()

    async def invite(self, room_id: str, user_id: str) -> None:
        (await self.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/invite", {"user_id": user_id})).ok()

    async def sync(self, since: str | None = None, **query: Any) -> Any:
        """One sync response; waits for nothing unless `timeout` is given."""
        return (await self.get("/_matrix/client/v3/sync", since=since, **query)).ok()


def _query(values: dict[str, Any]) -> str:
    pairs: list[tuple[str, str]] = []
    for keyword, value in values.items():
        name = keyword.rstrip("_")
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            text = ("true" if one else "false") if isinstance(one, bool) else one
            pairs.append((name, orjson.dumps(text).decode() if isinstance(text, dict) else str(text)))
    return urlencode(pairs)


async def call_asgi(
    app: Asgi, method: str, path: str, query: str, headers: dict[str, str], body: bytes, address: str
) -> Answer:
    """One request to an ASGI application. `path` is percent-encoded; it may have a query of its own."""
    path, _, inline = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": "&".join(part for part in (inline, query) if part).encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (address, 50000),
        "server": ("weft.test", 80),
    }
    given = False
    gone = asyncio.Event()
    status = 0
    answered: dict[str, str] = {}
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            answered.update({k.decode().lower(): v.decode() for k, v in message.get("headers", ())})
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    finally:
        gone.set()
    return Answer(status, answered, b"".join(pieces))
