"""Files are uploaded and downloaded: whole and in parts, at once and announced before, within limits, safely shown."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V1 = "/_matrix/client/v1/media"
OLD = "/_matrix/media/v3"


async def upload(who: Client, content: bytes, content_type: str | None = "image/png", **query: Any) -> str:
    """Uploads a file; its `server/id`."""
    return (await try_upload(who, content, content_type, **query)).ok()["content_uri"].removeprefix("mxc://")


async def try_upload(who: Client, content: bytes, content_type: str | None = "image/png", **query: Any) -> Answer:
    headers = {"content-type": content_type} if content_type is not None else {}
    return await who.request("POST", f"{OLD}/upload", body=content, query=query, headers=headers)


async def download(who: Client, mxc: str, path: str = "", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await who.request("GET", f"{V1}/download/{mxc}{path}", headers=sent)


def files_of(server: TestServer) -> list[Path]:
    """The files that media takes on disk."""
    return [file for file in server.settings.media.folder.rglob("*") if file.is_file()]


async def test_what_was_uploaded_is_downloaded(server: TestServer) -> None:
    alice, bob = await server.user(), await server.user()
    mxc = await upload(alice, b"some bytes", "image/png", filename="a picture.png")
    answer = await download(bob, mxc)
    assert (answer.status, answer.body) == (200, b"some bytes")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == "10"
    assert answer.headers["content-disposition"] == 'inline; filename="a picture.png"'
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'; script-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


async def test_a_name_of_the_callers_choice(server: TestServer) -> None:
    alice = await server.user()
    mxc = await upload(alice, b"x", "application/pdf", filename="theirs.pdf")
    answer = await download(alice, mxc, "/ours.pdf")
    assert answer.headers["content-disposition"] == 'attachment; filename="ours.pdf"'


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1_000_000])
async def test_any_size_comes_back_whole(server: TestServer, size: int) -> None:
    alice = await server.user()
    content = bytes(index * 7 % 251 for index in range(size))
    answer = await download(alice, await upload(alice, content))
    assert answer.body == content
    assert answer.headers["content-length"] == str(size)


async def test_a_head_request_gets_no_body(server: TestServer) -> None:
    alice = await server.user()
    for content in (b"short", b"long" * 100_000):
        answer = await alice.request("HEAD", f"{V1}/download/{await upload(alice, content)}")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("given", "told", "kind"),
    [
        ("image/png", "image/png", "inline"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8", "inline"),
        ("IMAGE/PNG", "IMAGE/PNG", "inline"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("text/html", "text/html", "attachment"),
        ("application/xhtml+xml", "application/xhtml+xml", "attachment"),
        ("application/javascript", "application/javascript", "attachment"),
        ("application/pdf", "application/pdf", "attachment"),
        ("image/png, text/html", "application/octet-stream", "attachment"),
        ("text/html image/png", "application/octet-stream", "attachment"),
        ("image/pngx\x7f", "application/octet-stream", "attachment"),
        ("nonsense", "application/octet-stream", "attachment"),
        ("x/" + "y" * 500, "application/octet-stream", "attachment"),
        ("", "application/octet-stream", "attachment"),
    ],
)
async def test_only_harmless_types_are_shown_in_place(server: TestServer, given: str, told: str, kind: str) -> None:
    alice = await server.user()
    answer = await download(alice, await upload(alice, b"<script>alert(1)</script>", given))
    assert answer.headers["content-type"] == told
    assert answer.headers["content-disposition"] == kind


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plain.txt", '; filename="plain.txt"'),
        ("with spaces", '; filename="with spaces"'),
        ('quo"te\\.txt', "; filename*=UTF-8''quo%22te%5C.txt"),
        ("Žluťoučký.txt", "; filename*=UTF-8''%C5%BDlu%C5%A5ou%C4%8Dk%C3%BD.txt"),
        ("a\r\nSet-Cookie: b", '; filename="aSet-Cookie: b"'),
        ("gone\u202egpj.exe", '; filename="gonegpj.exe"'),
        ("x" * 300, f'; filename="{"x" * 255}"'),
        ("\x01", ""),
    ],
)
async def test_names_are_told_safely(server: TestServer, name: str, told: str) -> None:
    alice = await server.user()
    answer = await download(alice, await upload(alice, b"x", "text/plain", filename=name))
    assert answer.headers["content-disposition"] == f"inline{told}"


@pytest.mark.parametrize(
    ("wanted", "status", "part", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=3-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=" + "9" * 300 + "-", 200, b"0123456789", None),
    ],
)
async def test_a_part_is_asked_for(
    server: TestServer, wanted: str, status: int, part: bytes | None, told: str | None
) -> None:
    alice = await server.user()
    answer = await download(alice, await upload(alice, b"0123456789"), range=wanted)
    assert answer.status == status
    assert answer.headers.get("content-range") == told
    if part is not None:
        assert answer.body == part


async def test_what_has_not_changed_is_not_sent_again(server: TestServer) -> None:
    alice = await server.user()
    mxc = await upload(alice, b"0123456789")
    etag = (await download(alice, mxc)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await download(alice, mxc, if_none_match=known)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
    assert (await download(alice, mxc, if_none_match='"other"')).status == 200
    assert (await download(alice, mxc, range="bytes=1-2", if_range=etag)).body == b"12"
    assert (await download(alice, mxc, range="bytes=1-2", if_range='"other"')).body == b"0123456789"


async def test_the_same_bytes_take_one_file(server: TestServer) -> None:
    alice, bob = await server.user(), await server.user()
    first = await upload(alice, b"the same", "image/png", filename="one.png")
    second = await upload(bob, b"the same", "text/plain")
    assert first != second
    assert len(files_of(server)) == 1
    assert hashlib.sha256(b"the same").hexdigest()[4:] in files_of(server)[0].name
    assert (await download(alice, second)).headers["content-type"] == "text/plain"


async def test_a_file_that_is_too_large(start_server: Start) -> None:
    server = await start_server({"media": {"max_upload_size": "10K"}})
    alice = await server.user()
    assert (await alice.get(f"{V1}/config")).ok() == {"m.upload.size": 10_240}
    assert (await alice.get(f"{OLD}/config")).ok() == {"m.upload.size": 10_240}
    await upload(alice, b"x" * 10_240)
    (await try_upload(alice, b"x" * 10_241)).refused(413, "M_TOO_LARGE")
    # Who lies about the length gets no further.
    lying = await alice.request("POST", f"{OLD}/upload", body=b"y" * 10_241, headers={"content-length": "5"})
    lying.refused(413, "M_TOO_LARGE")
    assert len(files_of(server)) == 1


async def test_the_limit_of_an_account_is_exact(start_server: Start) -> None:
    server = await start_server({"media": {"user_limit": "100K"}})
    alice, bob = await server.user(), await server.user()
    answers = await asyncio.gather(*(try_upload(alice, bytes([n]) * 30_720) for n in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [403] * 5
    for answer in answers:
        if answer.status != 200:
            answer.refused(403, "M_FORBIDDEN")
    await upload(alice, b"a" * 10_240)
    (await try_upload(alice, b"b")).refused(403, "M_FORBIDDEN")
    # It is one's own, also for bytes that are here already.
    await upload(bob, b"a" * 10_240)
    assert len(files_of(server)) == 4


async def test_guests_look_and_don_t_upload(server: TestServer) -> None:
    alice = await server.user()
    made = (await server.client().post("/_matrix/client/v3/register?kind=guest")).ok()
    guest = server.client(made["access_token"])
    assert (await download(guest, await upload(alice, b"for all"))).body == b"for all"
    (await try_upload(guest, b"x")).refused(403, "M_GUEST_ACCESS_FORBIDDEN")
    (await try_upload(server.client(), b"x")).refused(401, "M_MISSING_TOKEN")


@pytest.mark.parametrize(
    "mxc",
    [
        "weft.test/unknown",
        "weft.test/..%2F..%2Fetc%2Fpasswd",
        "weft.test/%2e%2e",
        "weft.test/a%00b",
        "..%2Fx/abc",
        "127.0.0.1%2F..%2F..%2Fx/abc",
        "weft.test:99999999/abc",
        f"weft.test/{'a' * 300}",
    ],
)
async def test_names_of_nothing(server: TestServer, mxc: str) -> None:
    alice = await server.user()
    answer = await download(alice, mxc)
    assert answer.status in (400, 404)
    assert answer.json["errcode"] in ("M_NOT_FOUND", "M_INVALID_PARAM")


# -- announced first


async def test_a_file_is_announced_and_comes_later(server: TestServer) -> None:
    alice, bob = await server.user(), await server.user()
    created = (await alice.post("/_matrix/media/v1/create")).ok()
    assert 86_400_000 <= created["unused_expires_at"] - server.clock() + 100 < 86_401_000
    mxc = created["content_uri"].removeprefix("mxc://")
    (await bob.get(f"{V1}/download/{mxc}", timeout_ms=0)).refused(504, "M_NOT_YET_UPLOADED")
    waiting = asyncio.create_task(bob.get(f"{V1}/download/{mxc}", timeout_ms=10_000))
    await asyncio.sleep(0.05)
    (await bob.request("PUT", f"{OLD}/upload/{mxc}", body=b"not mine")).refused(403, "M_FORBIDDEN")
    put = await alice.request(
        "PUT", f"{OLD}/upload/{mxc}", body=b"late", query={"filename": "l.txt"}, headers={"content-type": "text/plain"}
    )
    assert put.ok() == {}
    answer = await waiting
    assert (answer.status, answer.body) == (200, b"late")
    assert answer.headers["content-disposition"] == 'inline; filename="l.txt"'
    again = await alice.request("PUT", f"{OLD}/upload/{mxc}", body=b"other")
    again.refused(409, "M_CANNOT_OVERWRITE_MEDIA")
    assert (await download(bob, mxc)).body == b"late"


async def test_content_comes_once(server: TestServer) -> None:
    alice = await server.user()
    mxc = (await alice.post("/_matrix/media/v1/create")).ok()["content_uri"].removeprefix("mxc://")
    puts = [alice.request("PUT", f"{OLD}/upload/{mxc}", body=bytes([n]) * 1000) for n in range(4)]
    assert sorted(answer.status for answer in await asyncio.gather(*puts)) == [200, 409, 409, 409]
    assert len(files_of(server)) == 1


async def test_what_was_uploaded_is_not_announced(server: TestServer) -> None:
    alice = await server.user()
    for mxc in (await upload(alice, b"x"), "elsewhere.test/abc"):
        answer = await alice.request("PUT", f"{OLD}/upload/{mxc}", body=b"y")
        assert answer.json["errcode"] in ("M_CANNOT_OVERWRITE_MEDIA", "M_NOT_FOUND")


async def test_what_never_comes_expires(server: TestServer) -> None:
    alice = await server.user()
    mxc = (await alice.post("/_matrix/media/v1/create")).ok()["content_uri"].removeprefix("mxc://")
    server.clock.advance(24 * 3600)
    (await download(alice, mxc)).refused(404, "M_NOT_FOUND")
    (await alice.request("PUT", f"{OLD}/upload/{mxc}", body=b"x")).refused(404, "M_NOT_FOUND")


async def test_not_too_much_is_announced(start_server: Start) -> None:
    server = await start_server({"media": {"max_pending_uploads": 2, "pending_upload_lifetime": "1h"}})
    alice = await server.user()
    answers = await asyncio.gather(*(alice.post("/_matrix/media/v1/create") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
    mxc = next(one.json["content_uri"] for one in answers if one.status == 200).removeprefix("mxc://")
    (await alice.request("PUT", f"{OLD}/upload/{mxc}", body=b"x")).ok()
    (await alice.post("/_matrix/media/v1/create")).ok()
    (await alice.post("/_matrix/media/v1/create")).refused(429, "M_LIMIT_EXCEEDED")
    server.clock.advance(3601)
    (await alice.post("/_matrix/media/v1/create")).ok()


# -- without a token


async def test_media_from_before_the_freeze_stays_open(start_server: Start) -> None:
    server = await start_server({"media": {"authenticated": False}})
    alice, anybody = await server.user(), server.client()
    mxc = await upload(alice, b"open", "text/plain")
    assert (await anybody.get(f"{OLD}/download/{mxc}")).body == b"open"
    named = await anybody.get(f"{OLD}/download/{mxc}/n.txt", allow_remote=False, allow_redirect=True)
    assert named.headers["content-disposition"] == 'inline; filename="n.txt"'
    (await anybody.get(f"{V1}/download/{mxc}")).refused(401, "M_MISSING_TOKEN")


async def test_after_the_freeze_a_token_is_needed(server: TestServer) -> None:
    alice, anybody = await server.user(), server.client()
    mxc = await upload(alice, b"closed")
    (await anybody.get(f"{OLD}/download/{mxc}")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{OLD}/download/{mxc}")).refused(404, "M_NOT_FOUND")
    (await anybody.get(f"{OLD}/download/elsewhere.test/abc")).refused(404, "M_NOT_FOUND")


# -- what a crash or an operator leaves


async def test_an_upload_that_is_broken_off_leaves_nothing(server: TestServer) -> None:
    alice = await server.user()
    app = server.app()
    sent = iter([{"type": "http.request", "body": b"x" * 400_000, "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(sent)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there to be answered")

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{OLD}/upload",
        "raw_path": f"{OLD}/upload".encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {alice.token}".encode())],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    assert files_of(server) == []


async def test_a_file_that_is_lost_comes_back_with_the_same_bytes(server: TestServer) -> None:
    alice = await server.user()
    mxc = await upload(alice, b"precious")
    files_of(server)[0].unlink()
    (await download(alice, mxc)).refused(404, "M_NOT_FOUND")
    (await download(alice, mxc)).refused(404, "M_NOT_FOUND")
    await upload(alice, b"precious")
    assert (await download(alice, mxc)).body == b"precious"
