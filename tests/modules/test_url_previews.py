"""Links are looked at for clients: what pages say of themselves, and pages that mean ill."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.modules.conftest import TWINS, Start
from tests.modules.pictures import bomb, claims, opened, picture
from tests.modules.test_media import V1, download, files_of
from weft.http.addresses import AddressGuard
from weft.http.client import AddressDenied, HttpClient
from weft.http.serve import HttpServer, Listener
from weft.modules.url_previews.fetching import Fetcher, Rules
from weft.modules.url_previews.page_worker import decoded, read
from weft.protocol.errors import PeerError, Unreachable
from weft.testing import Answer, Client, TestServer

#: Where pages may be in these tests; the rest of this machine is private.
PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"


class Web:
    """Pages by their path, on both addresses. A page is a type and a body, or a function that answers."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        listeners = [Listener(address, 0, frozenset({"client"})) for address in (PUBLIC, PRIVATE)]
        self._server = HttpServer(listeners, lambda _: self._answer, grace=1)
        await self._server.start()
        self.ports = {address: port for _, address, port in self._server.addresses()}

    async def stop(self) -> None:
        await self._server.stop()

    def url(self, path: str, address: str = PUBLIC) -> str:
        return f"http://{address}:{self.ports[address]}{path}"

    def redirect(self, path: str, to: str) -> None:
        self.pages[path] = redirects(to)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(f"{scope['server'][0]}{scope['path']}")
        page = self.pages.get(scope["path"], ("text/plain", b"nothing", 404))
        if callable(page):
            await page(scope, send)
            return
        content_type, body, *status = page
        await answered(send, status[0] if status else 200, {"content-type": content_type}, body)


async def answered(send: Any, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def redirects(to: str) -> Callable[[Any, Any], Awaitable[None]]:
    async def page(scope: Any, send: Any) -> None:
        await answered(send, 302, {"location": to})

    return page


@pytest_asyncio.fixture
async def web() -> AsyncIterator[Web]:
    made = Web()
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server({"url_previews": {"enabled": True, "allowed_addresses": [PUBLIC]}})


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


async def preview(who: Client, url: str, **query: Any) -> Answer:
    return await who.get(f"{V1}/preview_url", url=url, **query)


def page(head: str = "", body: str = "") -> tuple[str, bytes]:
    return "text/html; charset=utf-8", f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()


# -- what pages say


async def test_a_page_that_tells_all(web: Web, server: TestServer, alice: Client) -> None:
    content = picture((640, 480))
    web.pages["/p.png"] = ("image/png", content)
    web.pages["/article"] = page(
        '<meta property="og:title" content="A title &amp; more"><meta property="og:description" content="Words.">'
        '<meta property="og:site_name" content="A site"><meta property="og:type" content="article">'
        '<meta property="og:image" content="/p.png"><meta property="og:image:width" content="9">'
        '<meta property="og:video" content="http://127.0.0.1/film">'
    )
    for path in (f"{V1}/preview_url", "/_matrix/media/v3/preview_url"):
        told = (await alice.get(path, url=web.url("/article"), ts=1_700_000_000_000)).ok()
        mxc = told.pop("og:image").removeprefix("mxc://")
        assert told == {
            "og:title": "A title & more",
            "og:description": "Words.",
            "og:site_name": "A site",
            "og:type": "article",
            "og:image:type": "image/png",
            "og:image:width": 640,
            "og:image:height": 480,
            "matrix:image:size": len(content),
        }
    assert (await download(alice, mxc)).body == content
    small = await alice.get(f"{V1}/thumbnail/{mxc}", width=32, height=32, method="crop")
    assert opened(small.body).size == (32, 32)
    assert len(web.asked) == 2


async def test_a_link_to_a_picture(web: Web, alice: Client) -> None:
    web.pages["/p.webp"] = ("image/webp", picture((50, 20), "WEBP"))
    told = (await preview(alice, web.url("/p.webp"))).ok()
    assert (told["og:image:type"], told["og:image:width"], told["og:image:height"]) == ("image/webp", 50, 20)
    assert (await download(alice, told["og:image"].removeprefix("mxc://"))).status == 200


async def test_oembed_fills_what_is_missing(web: Web, alice: Client) -> None:
    web.pages["/thumb.png"] = ("image/png", picture((80, 60)))
    web.pages["/oembed"] = (
        "application/json",
        b'{"type": "video", "title": "A film", "provider_name": "Films", "thumbnail_url": "'
        + web.url("/thumb.png").encode()
        + b'", "html": "<script>alert(1)</script>"}',
    )
    web.pages["/film"] = page('<title></title><link rel="alternate" type="application/json+oembed" href="/oembed">')
    told = (await preview(alice, web.url("/film"))).ok()
    assert (told["og:title"], told["og:site_name"], told["og:image:width"]) == ("A film", "Films", 80)
    assert "script" not in str(told)
    web.pages["/oembed"] = ("application/json", b"[" * 100_000)
    web.pages["/broken"] = page('<title>Still</title><link type="application/json+oembed" href="/oembed">')
    assert (await preview(alice, web.url("/broken"))).ok() == {"og:title": "Still"}


async def test_redirects_are_followed(web: Web, alice: Client) -> None:
    web.pages["/end/"] = page('<title>The end</title><meta property="og:image" content="p.png">')
    web.pages["/end/p.png"] = ("image/png", picture((10, 10)))
    web.redirect("/start", "/middle")
    web.redirect("/middle", web.url("/end/"))
    told = (await preview(alice, web.url("/start"))).ok()
    assert (told["og:title"], told["og:image:width"]) == ("The end", 10)


async def test_other_files_say_nothing(web: Web, server: TestServer, alice: Client) -> None:
    web.pages["/a.zip"] = ("application/zip", b"PK" * 500)
    web.pages["/a.svg"] = ("image/svg+xml", b"<svg/>")
    for path in ("/a.zip", "/a.svg"):
        assert (await preview(alice, web.url(path))).ok() == {}
    assert files_of(server) == []


async def test_a_preview_is_kept_for_a_while(web: Web, server: TestServer, alice: Client) -> None:
    web.pages["/p.png"] = ("image/png", picture((10, 10)))
    web.pages["/page"] = page('<title>first</title><meta property="og:image" content="/p.png">')
    url = web.url("/page")
    answers = await asyncio.gather(*(preview(alice, url) for _ in range(5)))
    assert len({answer.ok()["og:title"] for answer in answers}) == 1
    # One process asks once, whoever else waits for it; another one may be asking at the same time.
    assert len(web.asked) in ((2, 4) if TWINS else (2,))
    web.pages["/page"] = page("<title>second</title>")
    await server.restart()
    assert (await preview(alice, url)).ok()["og:title"] == "first"
    server.clock.advance(12 * 3600)
    assert (await preview(alice, url)).ok() == {"og:title": "second"}
    mxc = answers[0].json["og:image"].removeprefix("mxc://")
    (prune,) = (
        task for module in server.server.modules for task in module.tasks if task.name == "old previews of links"
    )
    await prune.run()
    assert (await download(alice, mxc)).status == 200, "somebody may still look at the first"
    server.clock.advance(48 * 3600)
    await prune.run()
    (await download(alice, mxc)).refused(404, "M_NOT_FOUND")
    assert files_of(server) == []


async def test_off_unless_turned_on(start_server: Start) -> None:
    server = await start_server()
    alice = await server.user()
    (await preview(alice, "https://example.org/")).refused(404, "M_UNRECOGNIZED")
    (await preview(server.client(), "https://example.org/")).refused(401, "M_MISSING_TOKEN")


# -- pages that mean ill


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "file:///etc/passwd",
        "ftp://example.org/",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://user:password@example.org/",
        "http://[::1/",
        "http://example.org:99999/",
        "https://" + "a" * 300 + ".example/",
        "https://example.org/" + "x" * 5_000,
        "https://xn--\udcff/",
        "http://exa mple.org/\r\nX: y",
    ],
)
async def test_what_is_no_address(alice: Client, url: str) -> None:
    answer = await preview(alice, url.encode("utf-8", "replace").decode())
    assert answer.status in (400, 502)
    assert answer.json["errcode"] in ("M_INVALID_PARAM", "M_UNKNOWN")


async def test_private_addresses_are_not_reached(web: Web, alice: Client) -> None:
    web.pages["/secret"] = page("<title>secret</title>")
    for url in (
        web.url("/secret", PRIVATE),
        f"http://localhost:{web.ports[PRIVATE]}/secret",
        f"http://[::ffff:127.0.0.1]:{web.ports[PRIVATE]}/secret",
        f"http://2130706433:{web.ports[PRIVATE]}/secret",
        f"http://0x7f.1:{web.ports[PRIVATE]}/secret",
        f"http://0:{web.ports[PRIVATE]}/secret",
        "http://169.254.169.254/latest/meta-data",
    ):
        answer = await preview(alice, url)
        assert answer.status in (400, 502), url
        assert "127" not in answer.json["error"]
    assert web.asked == []


async def test_a_redirect_into_the_network(web: Web, alice: Client) -> None:
    web.pages["/secret"] = page("<title>secret</title>")
    web.redirect("/out", web.url("/secret", PRIVATE))
    (await preview(alice, web.url("/out"))).refused(502, "M_UNKNOWN")
    web.redirect("/file", "file:///etc/passwd")
    (await preview(alice, web.url("/file"))).refused(502, "M_UNKNOWN")
    assert [one for one in web.asked if one.startswith(PRIVATE)] == []


async def test_what_a_page_names_in_the_network(web: Web, server: TestServer, alice: Client) -> None:
    """Its picture, its oEmbed document."""
    web.pages["/p.png"] = ("image/png", picture((10, 10)))
    private = web.url("/p.png", PRIVATE)
    web.redirect("/hop.png", private)
    for number, head in enumerate(
        (
            f'<meta property="og:image" content="{private}">',
            '<meta property="og:image" content="/hop.png">',
            f'<link type="application/json+oembed" href="{private}">',
        )
    ):
        web.pages[f"/{number}"] = page(f"<title>t</title>{head}")
        assert (await preview(alice, web.url(f"/{number}"))).ok() == {"og:title": "t"}
    assert [one for one in web.asked if one.startswith(PRIVATE)] == []
    assert files_of(server) == []


async def test_a_circle_of_redirects(web: Web, alice: Client) -> None:
    web.redirect("/a", "/b")
    web.redirect("/b", "/a")
    (await preview(alice, web.url("/a"))).refused(502, "M_UNKNOWN")
    assert len(web.asked) == 6
    # It is not tried again at once, by the same process.
    for _ in range(5):
        (await preview(alice, web.url("/a"))).refused(502, "M_UNKNOWN")
    assert len(web.asked) in ((6, 12) if TWINS else (6,))


async def test_errors_of_pages(web: Web, server: TestServer, alice: Client) -> None:
    web.pages["/error"] = ("text/html", b"<title>internal details</title>", 500)
    answer = await preview(alice, web.url("/error"))
    answer.refused(502, "M_UNKNOWN")
    assert "details" not in answer.json["error"]
    (await preview(alice, f"http://{PUBLIC}:1/")).refused(502, "M_UNKNOWN")
    server.clock.advance(301)
    web.pages["/error"] = page("<title>well again</title>")
    assert (await preview(alice, web.url("/error"))).ok() == {"og:title": "well again"}


async def test_a_page_without_end(web: Web, alice: Client) -> None:
    async def endless(scope: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<title>without end</title>", "more_body": True})
        while True:
            await send({"type": "http.response.body", "body": b"<p>" + b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)

    web.pages["/endless"] = endless
    told = (await preview(alice, web.url("/endless"))).ok()
    assert told["og:title"] == "without end"
    assert len(told["og:description"]) <= 500


async def test_a_page_that_unpacks_to_gigabytes(web: Web, alice: Client) -> None:
    packed = gzip.compress(b"<title>packed</title>" + b"x" * (200 << 20), 9)

    async def packs(scope: Any, send: Any) -> None:
        await answered(send, 200, {"content-type": "text/html", "content-encoding": "gzip"}, packed)

    web.pages["/bomb"] = packs
    answer = await preview(alice, web.url("/bomb"))
    assert answer.status == 502 or answer.ok()["og:title"] == "packed"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", b""),
        ("image/png", b"<html><title>no picture</title>"),
        ("image/png", claims((2**31 - 1, 2**31 - 1))),
        ("image/png", bomb(12_000)),
        ("image/jpeg", b"\xff\xd8\xff" + b"x" * 100),
        ("image/png", b"x" * (11 << 20)),
        ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("text/html", picture((10, 10))),
    ],
)
async def test_pictures_that_are_none(
    web: Web, server: TestServer, alice: Client, content_type: str, body: bytes
) -> None:
    web.pages["/p"] = (content_type, body)
    web.pages["/page"] = page('<title>t</title><meta property="og:image" content="/p">')
    assert (await preview(alice, web.url("/page"))).ok() == {"og:title": "t"}
    assert files_of(server) == []


async def test_domains_that_are_denied(web: Web, start_server: Start) -> None:
    web.pages["/page"] = page("<title>t</title>")
    web.redirect("/to-denied", "http://internal.example.org/")
    settings = {"enabled": True, "allowed_addresses": [PUBLIC], "denied_domains": ["*.example.org", "127.0.0.3"]}
    server = await start_server({"url_previews": settings})
    alice = await server.user()
    assert (await preview(alice, web.url("/page"))).status == 200
    for url in ("http://a.example.org/", "http://A.EXAMPLE.ORG./", "http://127.0.0.3/"):
        (await preview(alice, url)).refused(400, "M_INVALID_PARAM")
    (await preview(alice, web.url("/to-denied"))).refused(502, "M_UNKNOWN")


async def test_domains_that_are_allowed(web: Web, start_server: Start) -> None:
    web.pages["/page"] = page("<title>t</title>")
    only = await start_server({"url_previews": {"enabled": True, "allowed_domains": ["example.org"]}})
    bob = await only.user("bob")
    (await preview(bob, web.url("/page"))).refused(400, "M_INVALID_PARAM")


# -- the parts


class Changing(AbstractResolver):
    """A name that leads elsewhere each time it is asked for."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._addresses.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_name_that_changes_its_mind(web: Web) -> None:
    """The first look-up is of a public address, the one for the redirect of a private one."""
    web.redirect("/first", f"http://other.example:{web.ports[PUBLIC]}/second")
    client = HttpClient(guard=AddressGuard(allow=[PUBLIC]), resolver=Changing(PUBLIC, PRIVATE))
    fetcher = Fetcher(client, Rules(), languages="en")
    with pytest.raises(AddressDenied):
        async with fetcher.get(
            f"http://changing.example:{web.ports[PUBLIC]}/first", max_bytes=1000, accept="text/html"
        ):
            raise AssertionError("it was reached")
    await client.close()
    assert web.asked == [f"{PUBLIC}/first"]


async def test_pages_that_come_drop_by_drop(web: Web) -> None:
    async def drips(scope: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.1)

    async def hops_slowly(scope: Any, send: Any) -> None:
        await asyncio.sleep(0.2)
        await answered(send, 302, {"location": "/hops"})

    web.pages |= {"/drips": drips, "/hops": hops_slowly}
    client = HttpClient(guard=AddressGuard(allow=[PUBLIC]))
    fetcher = Fetcher(client, Rules(), languages="en", seconds=0.5)
    for path in ("/drips", "/hops"):
        with pytest.raises((Unreachable, PeerError)):
            async with fetcher.get(web.url(path), max_bytes=1000, accept="text/html") as reply:
                _ = [chunk async for chunk in reply.chunks]
    await client.close()


@pytest.mark.parametrize(
    ("body", "declared", "text"),
    [
        ("café".encode(), None, "café"),
        ("café".encode("latin-1"), None, "café"),
        ("café".encode("latin-1"), "iso-8859-1", "café"),
        ("“café”".encode("cp1252"), "ISO-8859-1", "“café”"),
        ("привет".encode("koi8-r"), "koi8-r", "привет"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "latin-1", "café"),
        ("café".encode("utf-16"), None, "café"),
        ("café".encode(), "base64", "café"),
        ("café".encode(), "rot13", "café"),
        ("café".encode(), "utf-7", "café"),
        ("café".encode(), "nonsense", "café"),
        (b'<meta charset="windows-1251">' + "привет".encode("cp1251"), None, '<meta charset="windows-1251">привет'),
        (b"<?xml version='1.0' encoding='koi8-r'?>" + "да".encode("koi8-r"), None, None),
    ],
)
def test_how_pages_are_written(body: bytes, declared: str | None, text: str | None) -> None:
    found = decoded(body, declared)
    assert found == text if text is not None else found.endswith("да"), found


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        ("<title> A \n title </title>", "", {"og:title": "A title"}),
        ("", "<h1>A <b>heading</b></h1>", {"og:title": "A heading", "og:description": "A heading"}),
        ('<meta name="twitter:title" content="T"><title>other</title>', "", {"og:title": "T"}),
        ('<meta name="description" content="D"><title>t</title>', "", {"og:title": "t", "og:description": "D"}),
        ('<meta property="og:title" content="1"><meta property="og:title" content="2">', "", {"og:title": "1"}),
        (
            "<title>t</title>",
            "<nav>menu</nav><script>code</script><style>a{}</style><p>The first words of the page, and some more.</p>",
            {"og:title": "t", "og:description": "The first words of the page, and some more."},
        ),
        ("", "", {}),
    ],
)
def test_what_is_read_of_a_page(head: str, body: str, told: dict[str, str]) -> None:
    assert read(page(head, body)[1].decode(), "https://example.org/").og == told


@pytest.mark.parametrize(
    ("html", "image"),
    [
        ('<link rel="image_src" href="/a.png">', "https://example.org/a.png"),
        (
            '<base href="https://cdn.example/x/"><meta property="og:image" content="a.png">',
            "https://cdn.example/x/a.png",
        ),
        (
            '<img src="dot.png" width="1" height="1"><img src="b.png" width="90" height="90">',
            "https://example.org/b.png",
        ),
        ('<img src="unsized.png">', None),
        ('<meta property="og:image" content="data:image/png;base64,AAAA">', None),
        ('<meta property="og:image" content="javascript:alert(1)">', None),
        ('<meta property="og:image" content="http://[bad">', None),
    ],
)
def test_which_picture_is_a_pages(html: str, image: str | None) -> None:
    assert read(html, "https://example.org/").image == image


def test_a_giant_page_stays_small() -> None:
    giant = "y" * 500_000
    many = "".join(f'<meta property="og:x{number}" content="v">' for number in range(10_000))
    found = read(f'<title>{giant}</title><meta name="description" content="{giant}">{many}', "https://example.org/")
    assert len(found.og["og:title"]) == 1_000
    assert len(found.og) < 50
    assert all(len(value) <= 1_000 for value in found.og.values())


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 200_000,
        "<p>" + "<b>" * 100_000 + "deep",
        "".join(f"<font color={number}>" for number in range(20_000)) + "<p>" * 20_000,
        "<a " + "".join(f"a{number}=1 " for number in range(100_000)) + ">",
        "<!--" + "-" * 900_000,
        "<table>" * 100_000,
        "<" * 1_000_000,
    ],
)
async def test_pages_made_to_be_hard_to_read(web: Web, alice: Client, body: str) -> None:
    """They are read in time or not at all, and the server goes on."""
    web.pages["/hard"] = page("<title>hard</title>", body)
    web.pages["/page"] = page("<title>t</title>")
    hard = asyncio.create_task(preview(alice, web.url("/hard")))
    assert (await preview(alice, web.url("/page"))).ok() == {"og:title": "t"}
    answer = await hard
    assert answer.status == 502 or answer.ok()["og:title"] == "hard"
