"""Consent in stages, and the pages that stand in for apps."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
EVIL = '"><script>alert(1)</script>'
TERMS = [
    {"id": "privacy", "version": "1", "language": "en", "name": "Privacy & you", "url": "https://weft.test/privacy"},
    {"id": EVIL, "version": "1", "language": "en", "name": EVIL, "url": "https://weft.test/rules"},
]


async def challenge(server: TestServer, **body: Any) -> str:
    """Begins to register and returns the session."""
    body = {"username": "alice", "password": "correct horse", **body}
    session: str = (await server.client().post(f"{V3}/register", body)).json["session"]
    return session


async def finish(server: TestServer, session: str) -> Answer:
    return await server.client().post(f"{V3}/register", {"auth": {"session": session}})


async def submit(client: Client, stage: str, fields: dict[str, Any]) -> Answer:
    return await client.request(
        "POST",
        f"{V3}/auth/{stage}/fallback/web",
        body=urlencode(fields, doseq=True).encode(),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )


async def show(client: Client, stage: str, session: str) -> Answer:
    return await client.get(f"{V3}/auth/{stage}/fallback/web", session=session)


# --- Sessions --------------------------------------------------------------------------------------------------------


async def test_a_session_survives_a_restart(server: TestServer) -> None:
    session = await challenge(server)
    await server.restart()
    body = {"auth": {"type": "m.login.dummy", "session": session}}
    assert (await server.client().post(f"{V3}/register", body)).ok()["user_id"] == "@alice:weft.test"


async def test_a_session_expires(server: TestServer) -> None:
    session = await challenge(server)
    server.clock.advance(3601)
    body = {"auth": {"type": "m.login.dummy", "session": session}}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_UNKNOWN")
    assert (await show(server.client(), "m.login.dummy", session)).status == 404


async def test_what_is_kept_is_of_no_use_to_a_thief(server: TestServer) -> None:
    session = await challenge(server)
    rows = await server.server.engine.database.read(lambda tx: tx.all("SELECT hash, sealed FROM ui_auth_sessions"))
    kept = b"".join(bytes(value) for row in rows for value in row)
    assert len(rows) == 1
    for secret in (session, "correct horse", "alice"):
        assert secret.encode() not in kept


async def test_a_large_request_is_not_kept(server: TestServer) -> None:
    body = {"username": "alice", "password": "correct horse", "more": "x" * 100_000}
    (await server.client().post(f"{V3}/register", body)).refused(413, "M_TOO_LARGE")


@pytest.mark.parametrize("auth", ["dummy", 5, {"session": 5}, {"session": ""}, {"type": 5}])
async def test_misshapen_auth(server: TestServer, auth: Any) -> None:
    body = {"username": "alice", "password": "correct horse", "auth": auth}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_BAD_JSON")


async def test_the_session_of_one_user_is_of_no_use_to_another(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    session = (await alice.delete(f"{V3}/devices/X", {})).json["session"]
    auth = {
        "type": "m.login.password",
        "session": session,
        "identifier": {"type": "m.id.user", "user": "bob"},
        "password": "correct horse",
    }
    (await bob.delete(f"{V3}/devices/X", {"auth": auth})).refused(403, "M_FORBIDDEN")


# --- Pages -----------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What there is on a page."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(answer.body.decode())
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def test_terms_are_accepted_on_a_page(start_server: Start) -> None:
    server = await start_server({"registration": {"terms": TERMS}})
    session = await challenge(server)
    browser = server.client()
    page = Page(await show(browser, "m.login.terms", session))
    assert [link["href"] for link in page.all("a")] == ["https://weft.test/privacy", "https://weft.test/rules"]
    assert not page.all("script")
    boxes = [box["value"] for box in page.all("input") if box["type"] == "checkbox"]
    assert boxes == ["privacy", EVIL]

    half = await submit(browser, "m.login.terms", {"session": session, "accepted": ["privacy"]})
    assert half.status == 401
    assert b"accept each" in half.body
    assert (await finish(server, session)).status == 401

    done = await submit(browser, "m.login.terms", {"session": session, "accepted": boxes})
    assert done.status == 200
    assert b"onAuthDone" in done.body
    assert b"onAuthDone" in (await show(browser, "m.login.terms", session)).body
    assert (await finish(server, session)).ok()["user_id"] == "@alice:weft.test"


async def test_a_registration_token_is_given_on_a_page(start_server: Start, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("swordfish\n")
    server = await start_server({"registration": {"mode": "token", "token_file": str(tmp_path / "tokens")}})
    session, browser, stage = await challenge(server), server.client(), "m.login.registration_token"
    assert (await show(browser, stage, session)).status == 200
    wrong = await submit(browser, stage, {"session": session, "token": EVIL})
    assert wrong.status == 401
    assert EVIL.encode() not in wrong.body
    assert (await submit(browser, stage, {"session": session})).status == 400
    assert (await submit(browser, stage, {"session": session, "token": "swordfish"})).status == 200
    assert (await finish(server, session)).status == 200


async def test_a_password_is_given_on_a_page(server: TestServer) -> None:
    alice, browser, stage = await server.user("alice"), server.client(), "m.login.password"
    other = await server.login("alice")
    path = f"{V3}/devices/{other.device_id}"
    session = (await alice.delete(path, {})).json["session"]
    page = Page(await show(browser, stage, session))
    assert {"@alice:weft.test"} <= {each.get("value") for each in page.all("input")}
    wrong = {"session": session, "user": "alice", "password": "guess"}
    assert (await submit(browser, stage, wrong)).status == 401
    assert (await submit(browser, stage, wrong | {"password": "correct horse"})).status == 200
    (await alice.delete(path, {"auth": {"session": session}})).ok()


async def test_a_dummy_stage_is_completed_on_a_page(server: TestServer) -> None:
    session, browser = await challenge(server), server.client()
    assert (await show(browser, "m.login.dummy", session)).status == 200
    assert (await submit(browser, "m.login.dummy", {"session": session})).status == 200
    assert (await finish(server, session)).status == 200


@pytest.mark.parametrize(
    ("stage", "session", "status"),
    [
        ("m.login.dummy", "unknown", 404),
        ("m.login.dummy", EVIL, 404),
        ("m.login.terms", None, 404),
        (EVIL.replace("/", "%2F"), None, 404),
    ],
)
async def test_pages_that_are_not_asked_for(server: TestServer, stage: str, session: str | None, status: int) -> None:
    chosen = session or await challenge(server)
    for answer in (
        await show(server.client(), stage, chosen),
        await submit(server.client(), stage, {"session": chosen}),
    ):
        assert answer.status in (status, 403)
        assert EVIL.encode() not in answer.body
        Page(answer)


async def test_a_page_allows_just_its_own_style_and_script(server: TestServer) -> None:
    session = await challenge(server)
    await submit(server.client(), "m.login.dummy", {"session": session})
    for answer in (
        await show(server.client(), "m.login.dummy", session),
        await server.client().get("/_matrix/static/client/login/"),
    ):
        text, policy = answer.body.decode(), answer.headers["content-security-policy"]
        for tag in ("style", "script"):
            (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"


async def test_the_login_page_is_whole(server: TestServer) -> None:
    for path in ("/_matrix/static/client/login/", "/_matrix/static/client/login"):
        page = Page(await server.client().get(path, device_id="GHTYAJCE"))
        named = {each.get("id") for each in page.all("input")}
        labels = {each.get("for") for each in page.all("label")}
        assert named == labels == {"user", "password"}
        assert page.all("html")[0]["lang"] == "en"


async def test_a_form_that_cannot_be_read(server: TestServer) -> None:
    path = f"{V3}/auth/m.login.dummy/fallback/web"
    (await server.client().request("POST", path, body=b"\xff\xfe")).refused(400, "M_INVALID_PARAM")
