"""Where two devices meet of which one signs the other in by a QR code."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.modules.conftest import Start
from weft.modules.rendezvous.service import LIFETIME_MS, MOST_SESSIONS
from weft.protocol.api.client.rendezvous import MAX_DATA
from weft.testing import Answer, Client, TestServer

JSON = "/_matrix/client/unstable/io.element.msc4388/rendezvous"
TEXT = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous"
SETTINGS = {"server": {"names": ["weft.test"], "public_url": "https://weft.test/"}}


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server(SETTINGS)


@pytest.fixture
def phone(server: TestServer) -> Client:
    return server.client()


@pytest.fixture
def laptop(server: TestServer) -> Client:
    return server.client()


async def create(client: Client, data: str = "hello") -> dict[str, Any]:
    return (await client.post(JSON, {"data": data})).ok()


async def test_two_devices_answer_each_other(phone: Client, laptop: Client) -> None:
    assert (await phone.get(JSON)).ok() == {"create_available": True}
    made = await create(phone)
    assert LIFETIME_MS - 100 < made["expires_in_ms"] <= LIFETIME_MS
    session = f"{JSON}/{made['id']}"
    read = (await laptop.get(session)).ok()
    assert (read["data"], read["sequence_token"]) == ("hello", made["sequence_token"])
    answer = {"sequence_token": read["sequence_token"], "data": "hello yourself"}
    written = (await laptop.put(session, answer)).ok()
    assert written["sequence_token"] != read["sequence_token"]
    assert (await phone.get(session)).ok()["data"] == "hello yourself"
    (await phone.delete(session)).ok()
    (await laptop.get(session)).refused(404, "M_NOT_FOUND")
    (await laptop.put(session, answer)).refused(404, "M_NOT_FOUND")
    (await laptop.delete(session)).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize("suffix", ["", "/txn1"])
async def test_who_has_not_read_the_last_message_does_not_write_over_it(
    phone: Client, laptop: Client, suffix: str
) -> None:
    made = await create(phone)
    session = f"{JSON}/{made['id']}"
    mine, yours = ({"sequence_token": made["sequence_token"], "data": whose} for whose in ("mine", "yours"))
    first = (await phone.put(session + suffix, mine)).ok()
    (await laptop.put(session, yours)).refused(409, "IO_ELEMENT_MSC4388_CONCURRENT_WRITE")
    # The answer to the first may have been lost.
    assert (await phone.put(session + suffix, mine)).ok() == first
    assert (await phone.get(session)).ok()["data"] == "mine"
    for guess in ("", "-1", "x", "9" * 60, "²"):
        wrong = {"sequence_token": guess, "data": "mine"}
        (await laptop.put(session, wrong)).refused(409, "IO_ELEMENT_MSC4388_CONCURRENT_WRITE")


async def test_sessions_are_short_small_and_few(server: TestServer, phone: Client) -> None:
    (await phone.post(JSON, {"data": "é" * (MAX_DATA // 2)})).ok()
    (await phone.post(JSON, {"data": "é" * (MAX_DATA // 2) + "!"})).refused(413, "M_TOO_LARGE")
    (await phone.post(JSON, {"data": 1})).refused(400, "M_BAD_JSON")
    (await phone.post(JSON, {})).refused(400, "M_MISSING_PARAM")
    made = await create(phone)
    session = f"{JSON}/{made['id']}"
    too_large = {"sequence_token": made["sequence_token"], "data": "x" * (MAX_DATA + 1)}
    (await phone.put(session, too_large)).refused(413, "M_TOO_LARGE")
    server.clock.advance(LIFETIME_MS / 1000 - 1)
    assert (await phone.get(session)).ok()["expires_in_ms"] <= 1000
    newer = await create(phone)
    server.clock.advance(1)
    (await phone.get(session)).refused(404, "M_NOT_FOUND")
    for _ in range(MOST_SESSIONS):
        await create(phone)
    count = await server.server.engine.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM rendezvous_sessions"))
    assert count == MOST_SESSIONS
    (await phone.get(f"{JSON}/{newer['id']}")).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-user", "?1"),
    ],
)
async def test_a_browser_does_not_show_what_strangers_wrote(phone: Client, name: str, value: str) -> None:
    session = f"{JSON}/{(await create(phone))['id']}"
    text = (await post_text(phone, "hello")).json["url"].removeprefix("https://weft.test")
    for path in (session, text):
        (await phone.request("GET", path, headers={name: value})).refused(403, "M_FORBIDDEN")
        by_script = {"sec-fetch-dest": "empty", "sec-fetch-mode": "cors", "sec-fetch-site": "cross-site"}
        assert (await phone.request("GET", path, headers=by_script)).status == 200


# -- MSC4108


async def post_text(client: Client, data: str, content_type: str = "text/plain") -> Answer:
    return await client.request("POST", TEXT, body=data.encode(), headers={"content-type": content_type})


async def test_sessions_by_entity_tags(server: TestServer, phone: Client, laptop: Client) -> None:
    made = await post_text(phone, "hello")
    assert made.status == 201
    url = made.json["url"]
    assert url.startswith(f"https://weft.test{TEXT}/")
    session = url.removeprefix("https://weft.test")
    assert made.headers["access-control-expose-headers"] == "ETag"
    tag = made.headers["etag"]
    read = await laptop.get(session)
    assert (read.body, read.headers["content-type"], read.headers["etag"]) == (b"hello", "text/plain", tag)
    assert "no-store" in read.headers["cache-control"]
    assert (await laptop.request("GET", session, headers={"if-none-match": tag})).status == 304
    written = await put_text(laptop, session, "hi", tag)
    assert written.status == 202
    late = await put_text(phone, session, "too late", tag)
    assert (late.status, late.headers["etag"]) == (412, written.headers["etag"])
    assert late.json["org.matrix.msc4108.errcode"] == "M_CONCURRENT_WRITE"
    assert (await phone.request("GET", session, headers={"if-none-match": tag})).body == b"hi"
    assert (await phone.delete(session)).status == 204
    (await phone.get(session)).refused(404, "M_NOT_FOUND")


async def put_text(client: Client, session: str, data: str, tag: str) -> Answer:
    return await client.request(
        "PUT", session, body=data.encode(), headers={"content-type": "text/plain", "if-match": tag}
    )


async def test_what_is_no_text_message(phone: Client) -> None:
    (await post_text(phone, "{}", "application/json")).refused(400, "M_INVALID_PARAM")
    (await post_text(phone, "x" * (MAX_DATA + 1))).refused(413, "M_TOO_LARGE")
    headers = {"content-type": "text/plain"}
    (await phone.request("POST", TEXT, body=b"\xff", headers=headers)).refused(400, "M_INVALID_PARAM")
    session = (await post_text(phone, "hello")).json["url"].removeprefix("https://weft.test")
    (await phone.request("PUT", session, body=b"hi", headers=headers)).refused(400, "M_MISSING_PARAM")


# -- who may


@pytest.mark.parametrize(
    ("oauth", "stranger_may", "user_may"),
    [
        ({"qr_codes": "users"}, False, True),
        ({"qr_codes": "nobody"}, False, False),
        ({"enabled": False}, False, False),
    ],
)
async def test_who_may_begin(start_server: Start, oauth: dict[str, Any], stranger_may: bool, user_may: bool) -> None:
    server = await start_server({**SETTINGS, "oauth": oauth})
    alice = await server.user("alice")
    for client, may in ((server.client(), stranger_may), (alice, user_may)):
        assert (await client.get(JSON)).ok() == {"create_available": may}
        made = await client.post(JSON, {"data": "hello"})
        if may:
            made.ok()
        else:
            made.refused(403, "M_FORBIDDEN")
    features = (await alice.get("/_matrix/client/versions")).ok()["unstable_features"]
    assert ("io.element.msc4388" in features) is user_may
