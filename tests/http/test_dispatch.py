"""One request from its first byte to its last: order, limits, bodies, errors, clients that go away."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.http.kit import ALICE, Answer, Tokens, answers, ask, echo, endpoint
from weft.http.addresses import ProxyTrust
from weft.http.app import App
from weft.http.call import Call, Route, Stream
from weft.http.limits import Limiter, Rate
from weft.protocol.api.endpoint import Auth, Body, Empty, Path, Raw, Struct
from weft.protocol.errors import Forbidden, LimitExceeded, MatrixError, NotNow, PeerError, Unreachable

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization, If-Match, If-None-Match",
}


class Create(Struct):
    name: str = ""
    count: int = 0


class Login(Struct):
    type: str


class Put(Struct):
    room_id: Path[str]
    content: Body[dict[str, Any]]


class Created(Struct):
    event_id: str
    event: msgspec.Raw = msgspec.Raw(b"null")
    absent: str | None = None


def app(*routes: Route[Any, Any], **more: Any) -> App:
    return App(routes, authenticator=more.pop("authenticator", Tokens()), **more)


def raises(error: BaseException) -> App:
    def fail(call: Call[Any]) -> object:
        raise error

    return app(answers(endpoint(), fail))


def returns(made: object, **more: Any) -> App:
    return app(answers(endpoint(**more), lambda call: made))


# Answers


async def test_a_type_is_sent_as_json_with_prebuilt_bytes_in_it() -> None:
    answer = await ask(returns(Created(event_id="$e", event=msgspec.Raw(b'{"type" :"m"}'))), "GET", "/test")
    assert (answer.status, answer.body) == (200, b'{"event_id":"$e","event":{"type" :"m"}}')
    assert answer.headers == {**CORS, "content-type": "application/json", "content-length": str(len(answer.body))}


async def test_nothing_is_an_empty_object() -> None:
    assert (await ask(returns(Empty()), "GET", "/test")).body == b"{}"


async def test_bytes_are_sent_as_they_are() -> None:
    page = Raw(body=b"<p>", status=418, content_type="text/html", headers={"X-Frame-Options": "DENY"})
    answer = await ask(returns(page), "GET", "/test")
    assert (answer.status, answer.body, answer.headers["x-frame-options"]) == (418, b"<p>", "DENY")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_header_can_not_begin_another() -> None:
    hostile = Raw(status=302, headers={"Location": "https://a/\r\nSet-Cookie: b\0€"})
    answer = await ask(returns(hostile), "GET", "/test")
    assert answer.headers["location"] == "https://a/Set-Cookie: b?"


async def test_without_content() -> None:
    answer = await ask(returns(Raw(status=304, content_type="")), "GET", "/test")
    assert (answer.status, answer.body, set(answer.headers)) == (304, b"", set(CORS))


async def test_head_has_the_headers_only() -> None:
    answer = await ask(returns(Raw(body=b"12345")), "HEAD", "/test")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "5")


# Matching


@pytest.mark.parametrize("path", ["/test", "/nowhere", "*"])
async def test_options_are_answered_without_the_handler(path: str) -> None:
    answer = await ask(raises(AssertionError("called")), "OPTIONS", path)
    assert (answer.status, answer.body, answer.headers) == (204, b"", CORS)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/test", 405)])
async def test_unrecognized(method: str, path: str, status: int) -> None:
    answer = await ask(returns(Empty()), method, path)
    assert (answer.status, answer.errcode) == (status, "M_UNRECOGNIZED")
    assert answer.headers.items() >= CORS.items()


async def test_every_path_of_an_endpoint_answers() -> None:
    put = endpoint(Put, method="PUT", paths=("/v3/{roomId}", "/r0/{roomId}", "/unstable/x/{roomId}"))
    for path in ("/v3/!r%2Fx", "/r0/!r%2Fx", "/unstable/x/!r%2Fx"):
        answer = await ask(app(echo(put)), "PUT", path, json_body={"a": 1})
        assert answer.json == {"room_id": "!r/x", "content": {"a": 1}}


def test_two_endpoints_at_one_place() -> None:
    with pytest.raises(ValueError, match="two endpoints"):
        app(echo(endpoint()), echo(endpoint(operation_id="other")))


@pytest.mark.parametrize(
    "scope",
    [
        {"root_path": "/chat", "raw_path": b"/chat/test", "path": "/chat/test"},
        {"root_path": "/chat", "raw_path": b"/test", "path": "/test"},
        {"root_path": "/a b", "raw_path": b"/a%20b/test", "path": "/a b/test"},
        {"root_path": "", "raw_path": None, "path": "/test"},
        {"root_path": "/chat", "path": "/chat/test", "raw_path": b""},
    ],
)
async def test_mounted_under_a_prefix(scope: dict[str, Any]) -> None:
    assert (await ask(returns(Empty()), "GET", "", **scope)).status == 200


async def test_a_server_that_gives_only_the_decoded_path() -> None:
    put = endpoint(Put, method="PUT", path="/{roomId}")
    answer = await ask(app(echo(put)), "PUT", "", json_body={}, raw_path=None, path="/!100% ü+")
    assert answer.json["room_id"] == "!100% ü+"


# Order


async def test_one_order() -> None:
    """Each step refuses before the next one is asked: match, catch up, authenticate, limit, decode, handler."""
    steps: list[str] = []

    class Noting(Tokens):
        def cached(self, token: str) -> Any:
            steps.append("authenticate")
            return super().cached(token)

    class Counting(Limiter):
        def allow(self, name: str, key: str, now: float) -> int | None:
            steps.append(f"limit {key}")
            return super().allow(name, key, now)

    async def catch_up() -> None:
        steps.append("catch up")

    def handler(call: Call[Any]) -> Empty:
        steps.append("handler")
        return Empty()

    login = endpoint(Login, method="POST", auth=Auth.TOKEN, rate_limit="login")
    made = app(
        answers(login, handler),
        authenticator=Noting(),
        limiter=Counting({"login": Rate(0.001, 2)}),
        before_handler=catch_up,
        clock=lambda: 5.0,
    )

    async def attempt(method: str, token: str, body: bytes) -> tuple[int, list[str]]:
        steps.clear()
        return (await ask(made, method, "/test", token=token, body=body)).status, [*steps]

    assert await attempt("GET", "wrong", b"") == (405, [])
    assert await attempt("POST", "wrong", b"x") == (401, ["catch up", "authenticate"])
    asked = ["catch up", "authenticate", "limit @alice:here.test"]
    assert await attempt("POST", "alice", b"x") == (400, asked)
    assert await attempt("POST", "alice", b'{"type": "x"}') == (200, [*asked, "handler"])
    assert await attempt("POST", "alice", b"x") == (429, asked)


async def test_who_is_seen_and_from_where() -> None:
    seen: list[tuple[str, str, str]] = []
    made = app(
        answers(endpoint(auth=Auth.OPTIONAL), lambda call: Empty()),
        seen=lambda requester, address, agent: seen.append((requester.user_id, address, agent)),
    )
    await ask(made, "GET", "/test")
    await ask(made, "GET", "/test", token="alice", headers=[("User-Agent", "Element")])
    assert seen == [("@alice:here.test", "192.0.2.1", "Element")]


# Limits


async def test_limited_by_address_where_nobody_says_who_they_are() -> None:
    now = 100.0
    made = app(
        answers(endpoint(rate_limit="login"), lambda call: Empty()),
        limiter=Limiter({"login": Rate(0.5, 1)}),
        clock=lambda: now,
        proxies=ProxyTrust(["10.0.0.1"]),
    )

    async def attempt(peer: str, forwarded: str = "8.8.8.8") -> Answer:
        return await ask(made, "GET", "/test", peer=peer, headers=[("X-Forwarded-For", forwarded)])

    assert (await attempt("1.1.1.1")).status == 200
    refused = await attempt("1.1.1.1", "9.9.9.9")
    assert (refused.status, refused.errcode, refused.json["retry_after_ms"]) == (429, "M_LIMIT_EXCEEDED", 2000)
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["access-control-allow-origin"] == "*"
    assert [(await attempt("10.0.0.1", ip)).status for ip in ("2.2.2.2", "2.2.2.2", "3.3.3.3")] == [200, 429, 200]
    now += 2
    assert (await attempt("1.1.1.1")).status == 200


async def test_some_are_never_limited() -> None:
    free = Tokens(bridge=replace(ALICE, unlimited=True))
    limits = Limiter({"x": Rate(0.001, 1)})
    made = app(
        answers(endpoint(auth=Auth.TOKEN, rate_limit="x"), lambda call: Empty()), authenticator=free, limiter=limits
    )
    assert {(await ask(made, "GET", "/test", token="bridge")).status for _ in range(5)} == {200}
    assert [(await ask(made, "GET", "/test", token="alice")).status for _ in range(2)] == [200, 429]


def test_a_limit_that_nobody_set() -> None:
    with pytest.raises(ValueError, match="no rate limit named"):
        app(echo(endpoint(rate_limit="other")), limiter=Limiter({"login": Rate(1, 1)}))


# Bodies


def creating(**more: Any) -> App:
    return app(echo(endpoint(Create, method="POST", **more)))


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        (b"", 200, None),
        (b'{"name": "x"}', 200, None),
        ([b'{"na', b"", b'me": "x"}'], 200, None),
        (b"{", 400, "M_NOT_JSON"),
        (b'{"name": 5}', 400, "M_BAD_JSON"),
        (b"[" * 300 + b"]" * 300, 400, "M_BAD_JSON"),
        (b'{"name": "' + b"x" * 100 + b'"}', 413, "M_TOO_LARGE"),
        ([b'{"name": "', b"x" * 60, b"y" * 60, b'"}'], 413, "M_TOO_LARGE"),
    ],
)
async def test_bodies(body: bytes | list[bytes], status: int, errcode: str | None) -> None:
    limit = 1000 if errcode == "M_BAD_JSON" else 100
    answer = await ask(creating(max_body=limit), "POST", "/test", body=body)
    assert (answer.status, answer.json.get("errcode")) == (status, errcode)
    assert ("connection" in answer.headers) == (status == 413)


async def test_missing_key() -> None:
    answer = await ask(app(echo(endpoint(Login, method="POST"))), "POST", "/test", body=b"{}")
    assert (answer.status, answer.errcode) == (400, "M_MISSING_PARAM")


async def test_reading_stops_where_it_is_too_much() -> None:
    read = 0

    async def receive() -> dict[str, object]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/test", "query_string": b"", "headers": []}
    await creating(max_body=100)(scope, receive, send)
    assert (sent[0]["status"], read) == (413, 2)
    scope["headers"] = [(b"content-length", b"101")]
    await creating(max_body=100)(scope, receive, send)
    assert (sent[2]["status"], read) == (413, 2), "a declared length is refused unread"


async def test_a_length_that_lies() -> None:
    for declared in ("0", "5", "x", "9" * 30, "-1"):
        answer = await ask(
            creating(max_body=100),
            "POST",
            "/test",
            body=[b'{"name": "' + b"x" * 200],
            headers=[("Content-Length", declared)],
        )
        assert answer.status == (200 if declared == "0" else 413)


async def test_a_handler_may_read_the_body_itself() -> None:
    async def size(call: Call[Any]) -> Raw:
        return Raw(body=b"+".join([b"%d" % len(chunk) async for chunk in call.chunks()]))

    upload = app(answers(endpoint(method="POST", stream_body=True, max_body=100), size))
    assert (await ask(upload, "POST", "/test", body=[b"a" * 60, b"", b"b" * 40])).body == b"60+40"
    assert (await ask(upload, "POST", "/test", body=[b"a" * 60, b"b" * 41])).errcode == "M_TOO_LARGE"
    assert (await ask(upload, "POST", "/test", body=b"a" * 101)).errcode == "M_TOO_LARGE"


async def test_what_a_call_shows() -> None:
    def show(call: Call[Any]) -> Raw:
        shown = {
            "ip": call.client_ip,
            "agent": call.user_agent,
            "device": call.device_id,
            "host": call.headers["Host"],
            "query": call.query,
            "raw": call.raw_json,
            "bytes": len(call.body_bytes),
            "path": call.raw_path.decode(),
            "operation": call.endpoint.operation_id,
        }
        return Raw(body=msgspec.json.encode(shown))

    made = app(answers(endpoint(Create, method="POST", auth=Auth.TOKEN), show))
    headers = [("User-Agent", "Element é"), ("Host", "here.test")]
    answer = await ask(
        made, "POST", "/test?a=1&a=%20&b", token="alice", json_body={"name": "x", "other": 1}, headers=headers
    )
    assert answer.json == {
        "ip": "192.0.2.1",
        "agent": "Element é",
        "device": "PHONE",
        "host": "here.test",
        "query": {"a": ["1", " "], "b": [""]},
        "raw": {"name": "x", "other": 1},
        "bytes": 25,
        "path": "/test",
        "operation": "test",
    }


# Errors


@pytest.mark.parametrize(
    ("error", "status", "body", "retry_after"),
    [
        (Forbidden("No."), 403, {"errcode": "M_FORBIDDEN", "error": "No."}, None),
        (
            MatrixError("Log in.", status=401, errcode="M_X", extra={"flows": [], "session": "s"}),
            401,
            {"errcode": "M_X", "error": "Log in.", "flows": [], "session": "s"},
            None,
        ),
        (
            LimitExceeded(1500, "Slow."),
            429,
            {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow.", "retry_after_ms": 1500},
            "2",
        ),
        (
            NotNow("secret", retry_after_ms=10),
            503,
            {"errcode": "M_UNKNOWN", "error": "Not possible just now.", "retry_after_ms": 10},
            "1",
        ),
        (PeerError("secret"), 502, {"errcode": "M_UNKNOWN", "error": "Another server answered wrongly."}, None),
        (Unreachable("secret"), 504, {"errcode": "M_UNKNOWN", "error": "Another server could not be reached."}, None),
    ],
)
async def test_errors(error: Exception, status: int, body: dict[str, Any], retry_after: str | None) -> None:
    answer = await ask(raises(error), "GET", "/test")
    assert (answer.status, answer.json, answer.headers.get("retry-after")) == (status, body, retry_after)
    assert answer.headers.items() >= CORS.items()


@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), TimeoutError(), RecursionError()])
async def test_our_faults_are_logged_and_not_shown(error: Exception) -> None:
    with capture_logs() as logs:
        answer = await ask(raises(error), "GET", "/test")
    (line,) = logs
    assert (answer.status, answer.errcode) == (500, "M_UNKNOWN")
    assert b"secret" not in answer.body
    assert line["exc_info"] is error
    assert line["request_id"] in answer.json["error"]
    assert answer.headers.items() >= CORS.items()


async def test_an_answer_that_can_not_be_encoded_is_our_fault() -> None:
    with capture_logs() as logs:
        answer = await ask(returns(Created(event_id="\ud800")), "GET", "/test")
    assert (answer.status, len(logs)) == (500, 1)


# Clients that go away


@pytest.fixture
def hung_up() -> asyncio.Event:
    return asyncio.Event()


async def polling(
    handler: Callable[[Call[Any]], Any], hung_up: asyncio.Event, **more: Any
) -> tuple[asyncio.Task[Answer], App]:
    made = app(answers(endpoint(**{"long_poll": True, **more}), handler))
    made._dispatcher.polls._delay = 0.01
    return asyncio.create_task(ask(made, "GET", "/test", hang_up=hung_up)), made


async def test_a_long_poll_ends_with_its_client(hung_up: asyncio.Event) -> None:
    ended = asyncio.Event()

    async def wait(call: Call[Any]) -> Empty:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Empty()

    with capture_logs() as logs:
        task, _ = await polling(wait, hung_up)
        await asyncio.sleep(0.05)
        assert not task.done()
        hung_up.set()
        answer = await asyncio.wait_for(task, 5)
    assert (answer.status, ended.is_set(), task.cancelling(), logs) == (0, True, 0, [])


async def test_other_work_is_finished(hung_up: asyncio.Event) -> None:
    finished = asyncio.Event()

    async def work(call: Call[Any]) -> Empty:
        await asyncio.sleep(0.05)
        finished.set()
        return Empty()

    hung_up.set()
    task, _ = await polling(work, hung_up, long_poll=False)
    await task
    assert finished.is_set()


async def test_a_long_poll_that_is_answered_leaves_nothing_behind(hung_up: asyncio.Event) -> None:
    async def wait(call: Call[Any]) -> Empty:
        await asyncio.sleep(0.05)
        return Empty()

    before = len(asyncio.all_tasks())
    task, made = await polling(wait, hung_up)
    assert (await task).status == 200
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    assert not made._dispatcher.polls._watched


async def test_cancelling_from_outside_stays_cancelling(hung_up: asyncio.Event) -> None:
    task, _ = await polling(lambda call: asyncio.sleep(60), hung_up)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("after", [0.0, 0.05])
async def test_long_polls_can_be_ended(hung_up: asyncio.Event, after: float) -> None:
    task, made = await polling(lambda call: asyncio.sleep(60), hung_up)
    await asyncio.sleep(after)
    made.end_polls()
    answer = await asyncio.wait_for(task, 5)
    assert (answer.status, answer.json["retry_after_ms"]) == (503, 1000)


async def test_gone_while_sending_the_body() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    scope = {"type": "http", "method": "POST", "path": "/test", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await creating()(scope, receive, send)
    assert logs == []


# Streams


async def pieces(closed: list[str], count: int = 3, pause: float = 0) -> AsyncIterator[bytes]:
    try:
        for number in range(count):
            yield b"%d" % number
            await asyncio.sleep(pause)
    finally:
        closed.append("closed")


@pytest.mark.parametrize(("method", "body"), [("GET", b"012"), ("HEAD", b"")])
async def test_a_stream(method: str, body: bytes) -> None:
    closed: list[str] = []
    stream = Stream(chunks=pieces(closed), content_type="image/png", headers={"ETag": "x"}, length=3)
    answer = await ask(returns(stream), method, "/test")
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers.items() >= {"etag": "x", "content-length": "3", "content-type": "image/png"}.items()
    gc.collect()
    assert closed == (["closed"] if method == "GET" else [])


async def test_a_stream_ends_with_its_client(hung_up: asyncio.Event) -> None:
    closed: list[str] = []
    made = returns(Stream(chunks=pieces(closed, count=1000, pause=0.01)))

    async def receive() -> dict[str, object]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/test", "query_string": b"", "headers": []}
    task = asyncio.create_task(made(scope, receive, send))
    await asyncio.sleep(0.05)
    hung_up.set()
    await asyncio.wait_for(task, 5)
    assert closed == ["closed"]
    assert 1 < len(sent) < 100


async def broken(error: Exception) -> AsyncIterator[bytes]:
    yield b"half"
    raise error


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("secret")])
async def test_a_stream_that_breaks_is_cut_off_and_logged(error: Exception) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/test", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await returns(Stream(chunks=broken(error), length=8))(scope, receive, send)
    assert [message.get("body") for message in sent] == [None, b"half"]
    assert [line["exc_info"].__cause__ for line in logs] == [error]


@pytest.mark.parametrize("answer", [Empty(), Stream(chunks=pieces([]))])
async def test_a_server_that_tells_by_an_error_that_nobody_is_there(answer: object) -> None:
    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise BrokenPipeError

    scope = {"type": "http", "method": "GET", "path": "/test", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await returns(answer)(scope, receive, send)
    assert logs == []
