"""Media of other servers: seen here, kept for a while, and what hostile servers send instead."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.modules.pictures import claims, opened, picture
from tests.modules.test_media import OLD, V1, download, files_of, upload
from weft.federation.transport import OutgoingRequest
from weft.http.serve import HttpServer, Listener
from weft.modules.media import store
from weft.modules.media.multipart import Parts, boundary_of, small
from weft.protocol.api.federation import media
from weft.testing import Answer, Client, TestServer

FEDERATION = "/_matrix/federation/v1/media/download/"


async def test_what_is_uploaded_there_is_seen_here(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    content = bytes(index * 31 % 256 for index in range(700_001))
    mxc = await upload(alice, content, "image/png", filename="přes hranice.png")
    answer = await download(bob, mxc)
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''p%C5%99es%20hranice.png"
    empty = await download(bob, await upload(alice, b"", "text/plain"))
    assert (empty.status, empty.body) == (200, b"")
    assert (await download(bob, mxc, range="bytes=5-9")).body == content[5:10]
    (await download(bob, f"{one.name}/unknown")).refused(404, "M_NOT_FOUND")


async def test_it_is_fetched_once(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    asked = watched(memory_servers)
    mxc = await upload(alice, b"x" * 50_000)
    answers = await asyncio.gather(*(download(bob, mxc) for _ in range(5)))
    assert [answer.body for answer in answers] == [b"x" * 50_000] * 5
    assert len(asked) == 1
    await two.restart()
    assert (await download(bob, mxc)).status == 200
    assert len(asked) == 1


async def test_what_is_not_there_yet_is_waited_for(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    mxc = (await alice.post("/_matrix/media/v1/create")).ok()["content_uri"].removeprefix("mxc://")
    (await bob.get(f"{V1}/download/{mxc}", timeout_ms=0)).refused(504, "M_NOT_YET_UPLOADED")
    waiting = asyncio.create_task(bob.get(f"{V1}/download/{mxc}", timeout_ms=20_000))
    await asyncio.sleep(0.3)
    (await alice.request("PUT", f"{OLD}/upload/{mxc}", body=b"late")).ok()
    assert (await waiting).body == b"late"


async def test_the_cache_has_a_cap(servers: Kit) -> None:
    [one] = await servers(1)
    [two] = await servers(1, media={"remote_cache": "100K"})
    alice, bob = await one.user("alice"), await two.user("bob")
    mxcs = [await upload(alice, bytes([number]) * 30_720) for number in range(5)]
    for mxc in mxcs[:3]:
        assert (await download(bob, mxc)).status == 200
    servers.clock.advance(2 * 3600)
    assert (await download(bob, mxcs[0])).status == 200
    servers.clock.advance(10)
    await download(bob, mxcs[3])
    # The one that was not looked at for longest made room.
    assert await cached(two) == {mxcs[0], mxcs[2], mxcs[3]}
    assert len(files_of(two)) == 3
    (await download(bob, await upload(alice, b"x" * 103_000))).refused(502, "M_TOO_LARGE")
    assert len(files_of(two)) == 3
    assert (await download(bob, mxcs[1])).body == bytes([1]) * 30_720


async def test_thumbnails_of_what_is_elsewhere(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    content = picture((800, 600))
    mxc = await upload(alice, content)
    made = await bob.get(f"{V1}/thumbnail/{mxc}", width=96, height=96, method="crop")
    assert opened(made.body).size == (96, 96)
    # They count, and go with the medium.
    assert await cached_bytes(two) == len(content) + len(made.body)
    assert len(files_of(two)) == 2
    broken = await upload(alice, claims((100_000, 100_000)))
    (await bob.get(f"{V1}/thumbnail/{broken}", width=96, height=96)).refused(502, "M_TOO_LARGE")


async def test_servers_are_given_thumbnails_too(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice = await one.user("alice")
    mxc = await upload(alice, picture((800, 600)))
    peers = two.server.federation.peers
    request = media.GetContentThumbnailRequest(media_id=mxc.partition("/")[2], width=96, height=96, method="crop")
    async with peers.stream(
        media.GET_CONTENT_THUMBNAIL, request, origin=two.name, destination=one.name, max_bytes=1 << 20
    ) as reply:
        parts = Parts(reply.chunks, boundary_of(reply.headers["content-type"]))
        assert await parts.headers() == {"content-type": "application/json"}
        assert await small(parts.body()) == b"{}"
        headers = await parts.headers()
        body = b"".join([piece async for piece in parts.body()])
    assert headers["content-disposition"] == 'inline; filename="thumbnail.jpg"'
    assert opened(body).size == (96, 96)


async def test_too_large_for_here(servers: Kit) -> None:
    [one] = await servers(1)
    [two] = await servers(1, media={"max_remote_size": "10K"})
    alice, bob = await one.user("alice"), await two.user("bob")
    assert (await download(bob, await upload(alice, b"x" * 10_240))).status == 200
    for size in (10_241, 100_000, 1_000_000):
        (await download(bob, await upload(alice, b"x" * size))).refused(502, "M_TOO_LARGE")
    assert len(files_of(two)) == 1


async def cached(server: TestServer) -> set[str]:
    rows = await server.server.engine.database.read(
        lambda tx: tx.all("SELECT server_name, media_id FROM media WHERE remote = 1 AND hash IS NOT NULL")
    )
    return {f"{server_name}/{media_id}" for server_name, media_id in rows}


async def cached_bytes(server: TestServer) -> int:
    total: int = await server.server.engine.database.read(store.total, store.REMOTE)
    return total


def watched(kit: MemoryKit) -> list[str]:
    """Notes the requests for media."""
    asked: list[str] = []

    async def note(request: OutgoingRequest) -> None:
        if "/media/" in request.uri:
            asked.append(request.uri)

    kit.network.on_request.append(note)
    return asked


# -- what a server may send instead

_GOOD = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: image/png\r\n\r\nbytes\r\n--b--\r\n"
_TYPE = "multipart/mixed; boundary=b"


def sends(kit: MemoryKit, *answers: Answer) -> None:
    """What is asked about media gets these, one after another, the last for ever."""
    left = list(answers)

    async def answer(request: OutgoingRequest) -> Answer | None:
        if "/media/" not in request.uri:
            return None
        return left.pop(0) if len(left) > 1 else left[0]

    kit.network.on_request.append(answer)


async def visitor(kit: MemoryKit, **settings: Any) -> tuple[TestServer, Client]:
    [server] = await kit(1, **settings)
    return server, await server.user("bob")


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (_GOOD, b"bytes"),
        (b"a preamble\r\n" + _GOOD + b"an epilogue", b"bytes"),
        (b"\r\n" + _GOOD, b"bytes"),
        (_GOOD.replace(b"--b\r\n", b"--b \t\r\n"), b"bytes"),
        (_GOOD.replace(b"Content-Type: application/json\r\n", b""), b"bytes"),
        (_GOOD.replace(b"bytes", b"\r\n--\r\n--a\r\n--"), b"\r\n--\r\n--a\r\n--"),
        (_GOOD.replace(b"bytes", b""), b""),
        (_GOOD.replace(b"{}", b'{"of": "later versions"}'), b"bytes"),
    ],
)
async def test_multipart_as_others_write_it(memory_servers: MemoryKit, body: bytes, content: bytes) -> None:
    _, bob = await visitor(memory_servers)
    sends(memory_servers, Answer(200, {"content-type": _TYPE}, body))
    answer = await download(bob, "elsewhere.test/abc")
    assert (answer.status, answer.body) == (200, content)


_HOSTILE: dict[str, tuple[str, bytes]] = {
    "nothing": (_TYPE, b""),
    "no boundary": ("multipart/mixed", _GOOD),
    "another boundary": ("multipart/mixed; boundary=c", _GOOD),
    "an endless boundary": (f"multipart/mixed; boundary={'b' * 1000}", _GOOD),
    "a boundary with line ends": ('multipart/mixed; boundary="b\\\r"', _GOOD),
    "another type": ("image/png", b"bytes"),
    "form data": ("multipart/form-data; boundary=b", _GOOD),
    "one part": (_TYPE, b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n"),
    "cut off": (_TYPE, _GOOD.removesuffix(b"\r\n--b--\r\n")),
    "cut off in the headers": (_TYPE, b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent"),
    "no metadata": (_TYPE, _GOOD.replace(b"{}", b"")),
    "metadata that is a list": (_TYPE, _GOOD.replace(b"{}", b"[]")),
    "metadata that nests": (_TYPE, _GOOD.replace(b"{}", b"[" * 5000 + b"]" * 5000)),
    "endless metadata": (_TYPE, _GOOD.replace(b"{}", b'{"a": "' + b"x" * 200_000 + b'"}')),
    "an endless preamble": (_TYPE, b"x" * 200_000 + _GOOD),
    "endless headers": (_TYPE, _GOOD.replace(b"image/png", b"x" * 200_000)),
    "headers that are none": (_TYPE, _GOOD.replace(b"Content-Type: image/png", b"what is this")),
    "a redirect to nowhere": (_TYPE, _GOOD.replace(b"Content-Type: image/png", b"Location: nowhere at all")),
    "a redirect to a file": (_TYPE, _GOOD.replace(b"Content-Type: image/png", b"Location: file:///etc/passwd")),
    "a redirect to this machine": (
        _TYPE,
        _GOOD.replace(b"Content-Type: image/png", b"Location: http://127.0.0.1:1/secret"),
    ),
    "a redirect to the network's inside": (
        _TYPE,
        _GOOD.replace(b"Content-Type: image/png", b"Location: http://[::ffff:169.254.169.254]/latest"),
    ),
}


@pytest.mark.parametrize("what", _HOSTILE)
async def test_what_is_no_media_is_not_kept(memory_servers: MemoryKit, what: str) -> None:
    server, bob = await visitor(memory_servers)
    content_type, body = _HOSTILE[what]
    sends(memory_servers, Answer(200, {"content-type": content_type}, body))
    answer = await download(bob, "elsewhere.test/abc")
    assert answer.status in (502, 504)
    assert answer.json["errcode"] == "M_UNKNOWN"
    assert "127.0.0.1" not in answer.json["error"]
    assert files_of(server) == []
    # It may be better another time.
    memory_servers.network.on_request.clear()
    sends(memory_servers, Answer(200, {"content-type": _TYPE}, _GOOD))
    assert (await download(bob, "elsewhere.test/abc")).body == b"bytes"


async def test_a_redirect_is_followed(memory_servers: MemoryKit) -> None:
    """Where another server keeps media elsewhere, as a CDN would."""
    where = Elsewhere()
    await where.start()
    _, bob = await visitor(memory_servers, federation={"allowed_addresses": ["127.0.0.2"]})
    location = b"Location: " + where.url("127.0.0.2").encode()
    sends(memory_servers, Answer(200, {"content-type": _TYPE}, _GOOD.replace(b"Content-Type: image/png", location)))
    answer = await download(bob, "elsewhere.test/abc")
    assert (answer.status, answer.body) == (200, b"from a CDN")
    assert answer.headers["content-disposition"] == 'inline; filename="cdn.gif"'
    # The place may lead on, but not into the network.
    where.leads_to = where.url("127.0.0.1")
    (await download(bob, "elsewhere.test/other")).refused(504, "M_UNKNOWN")
    assert where.reached == ["127.0.0.2", "127.0.0.2"]
    await where.stop()


class Elsewhere:
    """A server of files, which may be asked at two addresses of this machine."""

    def __init__(self) -> None:
        self.leads_to: str | None = None
        self.reached: list[str] = []

    async def start(self) -> None:
        listeners = [Listener(address, 0, frozenset({"client"})) for address in ("127.0.0.1", "127.0.0.2")]
        self._server = HttpServer(listeners, lambda listener: partial(self._answer, listener.address), grace=1)
        await self._server.start()

    def url(self, address: str) -> str:
        (port,) = (port for _, at, port in self._server.addresses() if at == address)
        return f"http://{address}:{port}/file"

    async def stop(self) -> None:
        await self._server.stop()

    async def _answer(self, address: str, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(address)
        headers = [(b"content-type", b"image/gif"), (b"content-disposition", b"inline; filename=cdn.gif")]
        if self.leads_to is not None:
            headers = [(b"location", self.leads_to.encode())]
        await send({"type": "http.response.start", "status": 302 if self.leads_to else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"from a CDN"})


async def test_headers_of_others_are_not_passed_on(memory_servers: MemoryKit) -> None:
    _, bob = await visitor(memory_servers)
    headers = (
        b'Content-Type: text/html; a=\x00\r\nContent-Disposition: inline; filename="../../x\\"<\x07.html"\r\n'
        b"Set-Cookie: a=b\r\nContent-Security-Policy: none"
    )
    sends(memory_servers, Answer(200, {"content-type": _TYPE}, _GOOD.replace(b"Content-Type: image/png", headers)))
    answer = await download(bob, "elsewhere.test/abc")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''..%2F..%2Fx%22%3C.html"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("refusal", "status", "errcode"),
    [
        ((404, "M_NOT_FOUND"), 404, "M_NOT_FOUND"),
        ((403, "M_FORBIDDEN"), 404, "M_NOT_FOUND"),
        ((504, "M_NOT_YET_UPLOADED"), 504, "M_NOT_YET_UPLOADED"),
        ((502, "M_TOO_LARGE"), 502, "M_TOO_LARGE"),
        ((413, "M_TOO_LARGE"), 502, "M_TOO_LARGE"),
        ((500, "M_UNKNOWN"), 502, "M_UNKNOWN"),
        ((429, "M_LIMIT_EXCEEDED"), 503, "M_UNKNOWN"),
    ],
)
async def test_what_others_refuse(
    memory_servers: MemoryKit, refusal: tuple[int, str], status: int, errcode: str
) -> None:
    _, bob = await visitor(memory_servers)
    body = b'{"errcode": "%s", "error": "no"}' % refusal[1].encode()
    sends(memory_servers, Answer(refusal[0], {"content-type": "application/json"}, body))
    (await download(bob, "elsewhere.test/abc")).refused(status, errcode)


async def test_an_old_server_is_asked_the_old_way(memory_servers: MemoryKit) -> None:
    _, bob = await visitor(memory_servers)
    asked = watched(memory_servers)
    unknown = Answer(404, {"content-type": "application/json"}, b'{"errcode": "M_UNRECOGNIZED", "error": "?"}')
    disposition = "inline; filename=old.png"
    old = Answer(200, {"content-type": "image/png", "content-disposition": disposition}, b"from long ago")
    sends(memory_servers, unknown, old)
    answer = await download(bob, "elsewhere.test/abc")
    assert (answer.body, answer.headers["content-type"]) == (b"from long ago", "image/png")
    assert answer.headers["content-disposition"] == 'inline; filename="old.png"'
    assert asked[0].startswith(f"{FEDERATION}abc")
    assert asked[1].startswith("/_matrix/media/v3/download/elsewhere.test/abc?")
    assert "allow_remote=false" in asked[1]


async def test_a_file_of_this_server_only_is_given_to_others(servers: Kit) -> None:
    one, two, three = await servers(3)
    alice, bob = await one.user("alice"), await two.user("bob")
    mxc = await upload(alice, b"mine")
    assert (await download(bob, mxc)).body == b"mine"
    media_id = mxc.partition("/")[2]
    carol = await three.user("carol")
    (await download(carol, f"{two.name}/{media_id}")).refused(404, "M_NOT_FOUND")
