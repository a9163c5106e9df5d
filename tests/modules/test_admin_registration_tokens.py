"""Administrators make registration tokens, and people register with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
TOKENS = "/_synapse/admin/v1/registration_tokens"
VALIDITY = "/_matrix/client/v1/register/m.login.registration_token/validity"
STAGE = "m.login.registration_token"


async def with_tokens(start_server: Start, **more: Any) -> tuple[TestServer, Client]:
    """A server on which one registers with a token, and its administrator."""
    server = await start_server({"registration": {"mode": "token", **more}})
    await server.server.accounts.create("@admin:weft.test", "correct horse", admin=True)
    return server, await server.login("admin")


async def register(server: TestServer, name: str, token: str, **auth: Any) -> Answer:
    body = {"username": name, "password": "correct horse", "auth": {"type": STAGE, "token": token, **auth}}
    return await server.client().post(f"{V3}/register", body)


async def is_valid(server: TestServer, token: str) -> bool:
    valid: bool = (await server.client().get(VALIDITY, token=token)).ok()["valid"]
    return valid


def counts(token: dict[str, Any]) -> tuple[int, int]:
    return token["pending"], token["completed"]


async def test_tokens_are_made_changed_and_deleted(start_server: Start) -> None:
    server, admin = await with_tokens(start_server)
    made = (await admin.post(f"{TOKENS}/new", {"token": "abcd", "uses_allowed": 2})).ok()
    assert made == {"token": "abcd", "uses_allowed": 2, "pending": 0, "completed": 0, "expiry_time": None}
    random = (await admin.post(f"{TOKENS}/new")).ok()["token"]
    assert len(random) == 16
    assert len((await admin.post(f"{TOKENS}/new", {"length": 64, "token": None})).ok()["token"]) == 64
    assert (await admin.get(f"{TOKENS}/abcd")).ok() == made
    later = server.clock() + 1000
    changed = (await admin.put(f"{TOKENS}/abcd", {"uses_allowed": 0, "expiry_time": later})).ok()
    assert (changed["uses_allowed"], changed["expiry_time"]) == (0, later)
    assert (await admin.put(f"{TOKENS}/abcd", {})).ok() == changed
    listed = (await admin.get(TOKENS)).ok()["registration_tokens"]
    assert len(listed) == 3
    for valid, expected in (("true", 2), ("false", 1)):
        assert len((await admin.get(TOKENS, valid=valid)).ok()["registration_tokens"]) == expected
    unlimited = (await admin.put(f"{TOKENS}/abcd", {"uses_allowed": None, "expiry_time": None})).ok()
    assert (unlimited["uses_allowed"], unlimited["expiry_time"]) == (None, None)
    assert (await admin.delete(f"{TOKENS}/abcd")).ok() == {}
    for answer in (
        await admin.get(f"{TOKENS}/abcd"),
        await admin.put(f"{TOKENS}/abcd", {}),
        await admin.put(f"{TOKENS}/abcd", {"uses_allowed": 1}),
        await admin.delete(f"{TOKENS}/abcd"),
    ):
        answer.refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"token": "no good"}, "M_INVALID_PARAM"),
        ({"token": "x" * 65}, "M_INVALID_PARAM"),
        ({"token": ""}, "M_INVALID_PARAM"),
        ({"token": "taken"}, "M_INVALID_PARAM"),
        ({"expiry_time": 5}, "M_INVALID_PARAM"),
        ({"uses_allowed": -1}, "M_BAD_JSON"),
        ({"uses_allowed": 2**60}, "M_BAD_JSON"),
        ({"length": 65}, "M_BAD_JSON"),
        ({"token": 5}, "M_BAD_JSON"),
    ],
)
async def test_what_is_no_token(start_server: Start, body: dict[str, Any], errcode: str) -> None:
    _, admin = await with_tokens(start_server)
    (await admin.post(f"{TOKENS}/new", {"token": "taken"})).ok()
    (await admin.post(f"{TOKENS}/new", body)).refused(400, errcode)
    assert len((await admin.get(TOKENS)).ok()["registration_tokens"]) == 1
    (await admin.put(f"{TOKENS}/taken", {"expiry_time": 5})).refused(400, "M_INVALID_PARAM")


async def test_a_token_is_used_as_often_as_it_may_be(start_server: Start) -> None:
    server, admin = await with_tokens(start_server)
    (await admin.post(f"{TOKENS}/new", {"token": "twice", "uses_allowed": 2})).ok()
    assert await is_valid(server, "twice")
    assert not await is_valid(server, "unknown")
    (await register(server, "alice", "twice")).ok()
    assert counts((await admin.get(f"{TOKENS}/twice")).ok()) == (0, 1)
    # The name is taken: what was held is given back.
    (await register(server, "alice", "twice")).refused(400, "M_USER_IN_USE")
    assert counts((await admin.get(f"{TOKENS}/twice")).ok()) == (0, 1)
    (await register(server, "bob", "twice")).ok()
    assert not await is_valid(server, "twice")
    assert (await register(server, "carol", "twice")).status == 401
    assert (await register(server, "carol", "unknown")).status == 401
    assert counts((await admin.get(f"{TOKENS}/twice")).ok()) == (0, 2)


async def test_the_last_use_lets_one_in(start_server: Start) -> None:
    server, admin = await with_tokens(start_server)
    (await admin.post(f"{TOKENS}/new", {"token": "last", "uses_allowed": 1})).ok()
    answers = await asyncio.gather(*(register(server, f"user{n}", "last") for n in range(8)))
    assert sorted(answer.status for answer in answers) == [200, *([401] * 7)]
    assert counts((await admin.get(f"{TOKENS}/last")).ok()) == (0, 1)


async def test_who_has_shown_it_holds_a_use(start_server: Start) -> None:
    term = {"id": "rules", "version": "1", "language": "en", "name": "Rules", "url": "https://weft.test/rules"}
    server, admin = await with_tokens(start_server, terms=[term])
    (await admin.post(f"{TOKENS}/new", {"token": "held", "uses_allowed": 1})).ok()
    first = await register(server, "alice", "held")
    assert (first.status, first.json["completed"]) == (401, [STAGE])
    assert counts((await admin.get(f"{TOKENS}/held")).ok()) == (1, 0)
    assert (await register(server, "bob", "held")).json.get("completed") is None
    auth = {"type": "m.login.terms", "session": first.json["session"]}
    (await server.client().post(f"{V3}/register", {"auth": auth})).ok()
    assert counts((await admin.get(f"{TOKENS}/held")).ok()) == (0, 1)


async def test_what_is_held_is_free_again_when_the_session_is_over(start_server: Start) -> None:
    term = {"id": "rules", "version": "1", "language": "en", "name": "Rules", "url": "https://weft.test/rules"}
    server, admin = await with_tokens(start_server, terms=[term])
    (await admin.post(f"{TOKENS}/new", {"token": "held", "uses_allowed": 1})).ok()
    assert (await register(server, "alice", "held")).json["completed"] == [STAGE]
    assert not await is_valid(server, "held")
    server.clock.advance(3601)
    assert await is_valid(server, "held")
    second = await register(server, "bob", "held")
    assert second.json["completed"] == [STAGE]
    # A token that is deleted lets nobody in who has shown it before.
    (await admin.delete(f"{TOKENS}/held")).ok()
    auth = {"type": "m.login.terms", "session": second.json["session"]}
    (await server.client().post(f"{V3}/register", {"auth": auth})).refused(403, "M_FORBIDDEN")


async def test_an_expired_token(start_server: Start) -> None:
    server, admin = await with_tokens(start_server)
    (await admin.post(f"{TOKENS}/new", {"token": "short", "expiry_time": server.clock() + 5_000})).ok()
    assert await is_valid(server, "short")
    server.clock.advance(6)
    assert not await is_valid(server, "short")
    assert (await register(server, "alice", "short")).status == 401
    assert [one["token"] for one in (await admin.get(TOKENS, valid="false")).ok()["registration_tokens"]] == ["short"]


async def test_tokens_of_the_file_are_good_beside(start_server: Start, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("from-the-file\n")
    server, admin = await with_tokens(start_server, token_file=str(tmp_path / "tokens"))
    (await admin.post(f"{TOKENS}/new", {"token": "made", "uses_allowed": 1})).ok()
    for number in range(3):
        (await register(server, f"user{number}", "from-the-file")).ok()
    (await register(server, "alice", "made")).ok()
    assert (await register(server, "bob", "made")).status == 401
