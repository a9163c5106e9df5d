"""What the HTTP kit costs for each request: in process, through uvicorn, and beside what uvicorn alone can do.

    python benchmarks/http_kit.py            the kit in process: microseconds per request
    python benchmarks/http_kit.py sockets    requests per second of CPU over loopback: bare, uvicorn, with the kit

The server of the socket runs gets one core; the load generator another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path as File
from typing import Any, cast

import httptools
import uvicorn
import uvloop
from falcon.routing import CompiledRouter

from weft.http.app import App
from weft.http.asgi import Message, Receive, Scope, Send
from weft.http.call import Call, Requester, route
from weft.http.limits import Limiter, Rate
from weft.http.router import Router
from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Path, Query, Struct, client

PORT = 18480


class Sync(Struct):
    since: Query[str | None] = None
    timeout: Query[int] = 0
    full_state: Query[bool] = False
    filter: Query[str | None] = None


class SyncAnswer(Struct):
    next_batch: str


class Send_(Struct):
    room_id: Path[str]
    event_type: Path[str]
    txn_id: Path[str]
    content: Body[dict[str, Any]]


class Sent(Struct):
    event_id: str


class Create(Struct):
    name: str | None = None
    preset: str = "private_chat"
    is_direct: bool = False


VERSIONS = Endpoint(
    operation_id="getVersions",
    method="GET",
    paths=("/_matrix/client/versions",),
    request=Empty,
    response=Empty,
    auth=Auth.NONE,
)
SYNC = Endpoint(
    operation_id="sync",
    method="GET",
    paths=client("/sync"),
    request=Sync,
    response=SyncAnswer,
    auth=Auth.GUEST,
    long_poll=True,
)
SEND = Endpoint(
    operation_id="sendMessage",
    method="PUT",
    paths=client("/rooms/{roomId}/send/{eventType}/{txnId}"),
    request=Send_,
    response=Sent,
    auth=Auth.GUEST,
    rate_limit="message",
)
CREATE = Endpoint(
    operation_id="createRoom",
    method="POST",
    paths=client("/createRoom"),
    request=Create,
    response=Sent,
    auth=Auth.TOKEN,
)


async def versions(call: Call[Empty]) -> Empty:
    return Empty()


async def sync(call: Call[Sync]) -> SyncAnswer:
    return SyncAnswer(next_batch=call.args.since or "s0")


async def send(call: Call[Send_]) -> Sent:
    return Sent(event_id="$" + call.args.txn_id)


async def create(call: Call[Create]) -> Sent:
    return Sent(event_id="$" + call.user_id)


class OneUser:
    alice = Requester(user_id="@alice:example.org", device_id="DEVICE", server_name="example.org")

    def cached(self, token: str) -> Requester | None:
        return self.alice if token == "secret" else None

    async def by_token(self, token: str) -> Requester | None:
        return None

    async def acting_as(self, service: Requester, user_id: str | None, device_id: str | None) -> Requester:
        return service


def make_app(*, access_log: bool = False) -> App:
    routes = [route(VERSIONS, versions), route(SYNC, sync), route(SEND, send), route(CREATE, create)]
    limiter = Limiter({"message": Rate(1e9, 1000)})
    return App(routes, authenticator=OneUser(), limiter=limiter, access_log=access_log)


HEADERS = [
    (b"host", b"matrix.example.org"),
    (b"user-agent", b"Element/1.11"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"authorization", b"Bearer secret"),
    (b"content-type", b"application/json"),
]
BODY = json.dumps({"msgtype": "m.text", "body": "hello, world"}).encode()
ROOM = "/_matrix/client/v3/rooms/%21abcdefghijklmnopqr%3Aexample.org/send/m.room.message/m1700000000000.1"
REQUESTS = {
    "versions": ("GET", "/_matrix/client/versions", b"", b""),
    "sync": ("GET", "/_matrix/client/v3/sync", b"since=s12_3&timeout=0&filter=0", b""),
    "send": ("PUT", ROOM, b"", BODY),
    "createRoom": ("POST", "/_matrix/client/v3/createRoom", b"", b'{"name":"a room"}'),
}


async def in_process(app: Callable[[Scope, Receive, Send], Awaitable[None]], name: str, times: int) -> float:
    method, path, query, body = REQUESTS[name]
    headers = HEADERS if not body else [*HEADERS, (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    message = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> Message:
        return message

    async def discard(message: Message) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"answered {message}")

    best = 1e9
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(times):
            await app(scope, receive, discard)
        best = min(best, (time.perf_counter() - start) / times)
    return best * 1e6


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def kit() -> None:
    print(f"{'send() twice, nothing else':34}{await in_process(nothing, 'versions', 5000):7.2f} us")
    app = make_app()
    for name in REQUESTS:
        print(f"{name:34}{await in_process(app, name, 5000):7.2f} us")


class Resource:
    """What Falcon's router wants to find."""

    def on_put(self, req: object, resp: object, **parameters: str) -> None:
        raise NotImplementedError


def routers() -> None:
    """Ours beside Falcon's compiled one, with as many siblings as the Client-Server API has."""
    literals = [f"/_matrix/client/v3/endpoint{n}" for n in range(60)]
    inside = [f"/_matrix/client/v3/rooms/{{p4}}/action{n}" for n in range(30)]
    sends = "/_matrix/client/v3/rooms/{p4}/send/{p6}/{p7}"
    ours: Router[object] = Router()
    falcon = CompiledRouter()
    for path in [*literals, *inside, sends]:
        ours.add("PUT", path, path)
        falcon.add_route(path, Resource())
    raw = ROOM.encode()
    for label, look_up in (
        ("router, ours", lambda: ours.find("PUT", raw)),
        ("router, Falcon's", lambda: falcon.find(ROOM)),
    ):
        look_up()
        start = time.perf_counter()
        for _ in range(50_000):
            look_up()
        print(f"{label:34}{(time.perf_counter() - start) / 50_000 * 1e6:7.2f} us")


class Bare(asyncio.Protocol):
    """The least that httptools can do: parse, and write one fixed answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without being a subclass
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


async def serve_bare() -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", PORT)
    await server.serve_forever()


def serve(kind: str) -> None:
    if kind == "bare":
        uvloop.run(serve_bare())
        return
    app: Any = nothing if kind == "uvicorn" else make_app()
    uvicorn.run(app, port=PORT, http="httptools", loop="uvloop", log_level="error", access_log=False, lifespan="off")


class Load(asyncio.Protocol):
    """Sends one request after another and counts what comes back."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without being a subclass
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() != 200:
            raise RuntimeError("not answered")
        self.answers += 1
        self.transport.write(self.request)


def request_bytes(name: str) -> bytes:
    method, path, query, body = REQUESTS[name]
    target = path + ("?" + query.decode() if query else "")
    headers = [*HEADERS, (b"content-length", str(len(body)).encode())] if body else HEADERS
    lines = [f"{method} {target} HTTP/1.1".encode(), *(key + b": " + value for key, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def cpu_seconds(pid: int) -> float:
    """What a process has used; unlike the clock it does not count what else the machine does."""
    fields = File(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(pid: int, name: str, connections: int = 16, seconds: float = 4.0) -> float:
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Load(request_bytes(name)), "127.0.0.1", PORT) for _ in range(connections)
    ]
    await asyncio.sleep(0.5)
    before, start = sum(protocol.answers for _, protocol in pairs), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    rate = (sum(protocol.answers for _, protocol in pairs) - before) / (cpu_seconds(pid) - start)
    for transport, _ in pairs:
        transport.close()
    return rate


def sockets() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    for kind, names in (("bare", ["sync"]), ("uvicorn", ["sync", "send"]), ("weft", ["versions", "sync", "send"])):
        command = ["taskset", "-c", str(cores[0]), sys.executable, __file__, "serve", kind]
        with subprocess.Popen(command) as server:
            time.sleep(2)
            for name in names:
                print(f"{kind + ', ' + name:34}{uvloop.run(load(server.pid, name)):9,.0f} requests per second of CPU")
            server.terminate()


def main(arguments: list[str]) -> None:
    match arguments:
        case []:
            uvloop.run(kit())
            routers()
        case ["sockets"]:
            sockets()
        case ["serve", kind]:
            serve(kind)
        case _:
            print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
