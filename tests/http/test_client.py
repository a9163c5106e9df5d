"""Outgoing HTTP against servers on this machine: guard, limits, redirects, certificates, errors."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path as File
from time import time

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict, CIMultiDictProxy

from tests.http.certificates import make_certificate
from tests.http.kit import Tokens, answers, endpoint
from weft.http.addresses import AddressGuard
from weft.http.app import App
from weft.http.client import MAX_RETRY_AFTER_MS, AddressDenied, HttpClient, Refused, Reply
from weft.http.serve import HttpServer, Listener, Tls
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import NotNow, PeerError, Unreachable

LOOPBACK = AddressGuard(allow=["127.0.0.0/8"])
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """Every name leads to the same addresses; counts how often it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def peer(handle: Handle) -> AsyncIterator[str]:
    """A server whose every answer is made by `handle`; gives its URL."""
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_peer(answer: bytes) -> AsyncIterator[str]:
    """A server that sends these bytes to whoever asks, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    one = HttpClient(guard=LOOPBACK, user_agent="Weft test")
    yield one
    await one.close()


async def show(request: web.BaseRequest) -> web.Response:
    shown = {
        "method": request.method,
        "path": request.raw_path,
        "headers": dict(request.headers),
        "body": (await request.read()).decode(),
    }
    return web.json_response(shown, status=int(request.query.get("status", 200)))


async def test_a_request(client: HttpClient) -> None:
    async with peer(show) as url:
        reply = await client.request(
            "PUT", f"{url}/a%2Fb?q=%C3%A9", headers={"X-One": "1", "Host": "there.test"}, body=b"{}"
        )
    said = reply.json_object()
    assert (reply.status, reply.ok, reply.check()) == (200, True, reply)
    assert (said["method"], said["path"], said["body"]) == ("PUT", "/a%2Fb?q=%C3%A9", "{}")
    assert said["headers"].items() >= {"X-One": "1", "Host": "there.test", "User-Agent": "Weft test"}.items()


async def test_connections_are_kept_and_cookies_are_not(client: HttpClient) -> None:
    peers: set[object] = set()

    async def note(request: web.BaseRequest) -> web.Response:
        if request.transport is not None:
            peers.add(request.transport.get_extra_info("peername"))
        return web.json_response(dict(request.cookies), headers={"Set-Cookie": "a=b"})

    async with peer(note) as url:
        replies = [await client.request("GET", url) for _ in range(3)]
    assert [reply.json() for reply in replies] == [{}, {}, {}]
    assert len(peers) == 1


# The guard


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"]
)
async def test_our_own_network_is_out_of_reach(host: str) -> None:
    client = HttpClient()
    with pytest.raises(AddressDenied, match="not on the public internet"):
        await client.request("GET", f"http://{host}:1/")
    await client.close()


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001", "0177.0.0.1"])
async def test_odd_spellings_of_addresses(host: str) -> None:
    client = HttpClient()
    with pytest.raises((PeerError, Unreachable)):
        await client.request("GET", f"http://{host}:1/")
    await client.close()


async def test_a_name_that_leads_home_is_refused_before_anything_is_sent() -> None:
    hits: list[str] = []

    async def hit(request: web.BaseRequest) -> web.Response:
        hits.append(request.path)
        return web.Response()

    names = Names("127.0.0.1", "::1")
    client = HttpClient(resolver=names)
    async with peer(hit) as url:
        port = url.rpartition(":")[2]
        with pytest.raises(AddressDenied):
            await client.request("GET", f"http://innocent.test:{port}/")
    await client.close()
    assert (hits, names.asked) == ([], 1)


async def test_an_address_that_is_allowed_is_used_beside_one_that_is_not() -> None:
    client = HttpClient(guard=LOOPBACK, resolver=Names("10.0.0.1", "127.0.0.1"))
    async with peer(show) as url:
        reply = await client.request("GET", f"http://some.test:{url.rpartition(':')[2]}/")
    await client.close()
    assert reply.ok


async def test_a_redirect_to_our_network_is_refused() -> None:
    async def redirect(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    client = HttpClient(guard=LOOPBACK)
    async with peer(redirect) as url:
        with pytest.raises(AddressDenied):
            await client.request("GET", url, max_redirects=3)
    await client.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.test/",
        "file:///etc/passwd",
        "/path",
        "",
        "http://",
        "http://a b/",
        "http://a.test/ HTTP/1.1",
        "http://a.test/\r\nX:1",
        "http://a.test/\u00fc",
        "http://[::1",
        "http://a.test:99999/",
        "http://user:secret@a.test/",
        f"http://{'a' * 300}.test/",
        "http://a..test/",
        "http://.test/",
    ],
)
async def test_what_is_no_url(client: HttpClient, url: str) -> None:
    with pytest.raises(PeerError):
        await client.request("GET", url)


# Redirects


async def hops(request: web.BaseRequest) -> web.StreamResponse:
    """`/3` redirects to `/2` and so on; `/0` answers."""
    left = int(request.path.strip("/"))
    if left == 0:
        return await show(request)
    return web.Response(status=307, headers={"Location": f"{left - 1}"})


async def test_redirects_are_followed_as_far_as_asked(client: HttpClient) -> None:
    async with peer(hops) as url:
        followed = await client.request("GET", f"{url}/3", headers={"Authorization": "secret"}, max_redirects=3)
        assert (followed.status, followed.url) == (200, f"{url}/0")
        assert followed.json()["headers"]["Authorization"] == "secret"
        assert (await client.request("GET", f"{url}/3", max_redirects=2)).status == 307
        assert (await client.request("GET", f"{url}/3")).status == 307
        assert (await client.request("POST", f"{url}/3", body=b"x", max_redirects=3)).status == 307


async def test_another_origin_does_not_get_the_authorization(client: HttpClient) -> None:
    async with peer(show) as other:

        async def redirect(request: web.BaseRequest) -> web.Response:
            return web.Response(status=301, headers={"Location": f"{other}/there"})

        async with peer(redirect) as url:
            headers = {"Authorization": "secret", "Host": "here.test", "X-One": "1"}
            said = (await client.request("GET", url, headers=headers, max_redirects=1)).json()
    assert "Authorization" not in said["headers"]
    assert (said["headers"]["Host"], said["headers"]["X-One"]) == (other.removeprefix("http://"), "1")


# Limits


async def test_an_answer_too_long(client: HttpClient) -> None:
    async def long(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/declared":
            return web.Response(body=b"x" * 1001)
        if request.path == "/bomb":
            return web.Response(body=gzip.compress(b"x" * 1_000_000), headers={"Content-Encoding": "gzip"})
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(11):
            await response.write(b"x" * 100)
        return response

    async with peer(long) as url:
        for path in ("/declared", "/chunked", "/bomb"):
            with pytest.raises(PeerError, match="more than 1000 bytes"):
                await client.request("GET", url + path, max_bytes=1000)
        assert len((await client.request("GET", f"{url}/bomb", max_bytes=1_000_000)).body) == 1_000_000


@pytest.mark.parametrize("path", ["/silent", "/stalls", "/drips"])
async def test_an_answer_too_late(client: HttpClient, path: str) -> None:
    async def late(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path != "/silent":
            await response.prepare(request)
            await response.write(b"x")
        for _ in range(200 if request.path == "/drips" else 0):
            await asyncio.sleep(0.02)
            await response.write(b"x")
        await asyncio.sleep(5)
        return response

    async with peer(late) as url:
        with pytest.raises(Unreachable, match="did not answer within"):
            await client.request("GET", url + path, timeout=0.2)


async def test_a_stream_may_be_left(client: HttpClient) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b"x" * 1000)
        return response

    async with peer(endless) as url, client.stream("GET", url, max_bytes=10_000_000) as reply:
        first = await anext(reply.chunks)
        assert (reply.status, first[:3]) == (200, b"xxx")


# Certificates


@asynccontextmanager
async def tls_peer(certificate: tuple[File, File]) -> AsyncIterator[int]:
    app = App(
        [answers(endpoint(path="/"), lambda call: Raw(body=call.headers["host"].encode()))], authenticator=Tokens()
    )
    server = HttpServer([Listener("127.0.0.1", 0, frozenset(), tls=Tls(*certificate))], lambda listener: app)
    await server.start()
    try:
        yield server.addresses()[0][2]
    finally:
        await server.stop()


async def test_certificates(tmp_path: File) -> None:
    certificate = make_certificate(tmp_path / "ca", "there.test", "localhost")
    trusting = HttpClient(guard=LOOPBACK, extra_cas=[certificate[0]])
    strange = HttpClient(guard=LOOPBACK)
    async with tls_peer(certificate) as port:
        by_name = await trusting.request("GET", f"https://localhost:{port}/")
        assert by_name.body == f"localhost:{port}".encode()
        delegated = await trusting.request(
            "GET", f"https://127.0.0.1:{port}/", server_hostname="there.test", headers={"Host": "there.test"}
        )
        assert delegated.body == b"there.test"
        with pytest.raises(Unreachable):
            await trusting.request("GET", f"https://127.0.0.1:{port}/")
        with pytest.raises(Unreachable):
            await trusting.request("GET", f"https://127.0.0.1:{port}/", server_hostname="other.test")
        with pytest.raises(Unreachable):
            await strange.request("GET", f"https://localhost:{port}/")
    await trusting.close()
    await strange.close()


# Errors


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_nobody_there(client: HttpClient) -> None:
    with pytest.raises(Unreachable, match="can't be reached") as failure:
        await client.request("GET", f"http://127.0.0.1:{free_port()}/path?secret=1")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 50_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http(client: HttpClient, answer: bytes) -> None:
    async with raw_peer(answer) as url:
        with pytest.raises(PeerError) as failure:
            await client.request("GET", url)
    assert not failure.value.permanent


async def test_a_peer_that_hangs_up(client: HttpClient) -> None:
    async with raw_peer(b"") as url:
        with pytest.raises(Unreachable):
            await client.request("GET", url)


def reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(status, CIMultiDictProxy(CIMultiDict(headers)), body, "https://there.test/x")


@pytest.mark.parametrize(
    ("status", "body", "errcode", "permanent"),
    [
        (400, b'{"errcode": "M_X", "error": "No."}', "M_X", True),
        (404, b"<html>", "M_UNKNOWN", True),
        (403, b'{"errcode": 5}', "M_UNKNOWN", True),
        (307, b"", "M_UNKNOWN", True),
        (500, b"[" * 5000, "M_UNKNOWN", False),
        (502, b"", "M_UNKNOWN", False),
    ],
)
def test_refusals(status: int, body: bytes, errcode: str, permanent: bool) -> None:
    with pytest.raises(Refused) as failure:
        reply(status, body).check()
    assert (failure.value.status, failure.value.errcode, failure.value.permanent) == (status, errcode, permanent)


@pytest.mark.parametrize(
    ("status", "body", "header", "least", "most"),
    [
        (429, b'{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 250}', "9", 250, 250),
        (429, b"", "9", 9000, 9000),
        (503, b"", "in 100 seconds", 90_000, 100_000),
        (429, b"", "Fri, 01 Jan 2010 00:00:00 GMT", 1, 1),
        (503, b"", "soon", 1000, 1000),
        (503, b'{"retry_after_ms": -5}', "", 1000, 1000),
        (429, b'{"retry_after_ms": 99999999999999}', "", MAX_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS),
        (429, b"", "9" * 100, MAX_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS),
    ],
)
def test_asked_to_wait(status: int, body: bytes, header: str, least: int, most: int) -> None:
    if header == "in 100 seconds":
        header = formatdate(time() + 100, usegmt=True)
    with pytest.raises(NotNow) as failure:
        reply(status, body, **{"Retry-After": header}).check()
    assert least <= failure.value.retry_after_ms <= most


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000])
def test_no_json(body: bytes) -> None:
    with pytest.raises(PeerError):
        reply(200, body).json()


def test_no_object() -> None:
    assert reply(200, b"[1]").json() == [1]
    with pytest.raises(PeerError):
        reply(200, b"[1]").json_object()
