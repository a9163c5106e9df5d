"""Backups of room keys: versions, keys in all shapes of path, which key gives way to which, counts and etags."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from weft.testing import Answer, Client, TestServer

BASE = "/_matrix/client/v3/room_keys"
ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
ROOM, OTHER = "!room:weft.test", "!other:weft.test"


def key(*, first: int = 0, forwarded: int = 0, verified: bool = False, text: str = "x") -> dict[str, Any]:
    return {
        "first_message_index": first,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": text, "mac": "m", "ephemeral": "e"},
    }


async def begin(who: Client, public_key: str = "abc") -> str:
    body = {"algorithm": ALGORITHM, "auth_data": {"public_key": public_key, "signatures": {}}}
    version: str = (await who.post(f"{BASE}/version", body)).ok()["version"]
    return version


def path_of(room_id: str | None = None, session_id: str | None = None, *, version: str) -> str:
    parts = "".join(f"/{quote(part, safe='')}" for part in (room_id, session_id) if part is not None)
    return f"{BASE}/keys{parts}?version={version}"


async def put(who: Client, version: str, session: str, body: dict[str, Any], room_id: str = ROOM) -> Answer:
    return await who.put(path_of(room_id, session, version=version), body)


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


async def test_versions(alice: Client) -> None:
    (await alice.get(f"{BASE}/version")).refused(404, "M_NOT_FOUND")
    first = await begin(alice, "one")
    second = await begin(alice, "two")
    assert first != second
    current = (await alice.get(f"{BASE}/version")).ok()
    assert current == (await alice.get(f"{BASE}/version/{second}")).ok()
    assert current["version"] == second
    assert current["auth_data"]["public_key"] == "two"
    assert (current["algorithm"], current["count"]) == (ALGORITHM, 0)
    assert (await alice.get(f"{BASE}/version/{first}")).ok()["auth_data"]["public_key"] == "one"
    for version in ("99", "nothing", "-1", "1" * 60):
        (await alice.get(f"{BASE}/version/{version}")).refused(404, "M_NOT_FOUND")
    (await alice.delete(f"{BASE}/version/{second}")).ok()
    assert (await alice.get(f"{BASE}/version")).ok()["version"] == first
    (await alice.get(f"{BASE}/version/{second}")).refused(404, "M_NOT_FOUND")
    (await alice.delete(f"{BASE}/version/{second}")).ok()
    (await alice.delete(f"{BASE}/version/99")).refused(404, "M_NOT_FOUND")
    assert await begin(alice) not in (first, second)


async def test_auth_data_may_change_and_the_algorithm_may_not(alice: Client) -> None:
    version = await begin(alice)
    path, auth_data = f"{BASE}/version/{version}", {"public_key": "new"}
    (await alice.put(path, {"algorithm": ALGORITHM, "auth_data": auth_data})).ok()
    (await alice.put(path, {"algorithm": ALGORITHM, "auth_data": auth_data, "version": version})).ok()
    assert (await alice.get(path)).ok()["auth_data"] == auth_data
    wrong = await alice.put(path, {"algorithm": ALGORITHM, "auth_data": {}, "version": "99"})
    wrong.refused(400, "M_INVALID_PARAM")
    (await alice.put(path, {"algorithm": "m.other", "auth_data": {}})).refused(400, "M_INVALID_PARAM")
    (await alice.put(f"{BASE}/version/99", {"algorithm": ALGORITHM, "auth_data": {}})).refused(404, "M_NOT_FOUND")
    (await alice.put(path, {"algorithm": ALGORITHM, "auth_data": {"x": "y" * 70_000}})).refused(413, "M_TOO_LARGE")
    assert (await alice.get(path)).ok()["auth_data"] == auth_data


async def test_keys_in_all_shapes_of_path(alice: Client) -> None:
    version = await begin(alice)
    one = (await put(alice, version, "s/1", key(text="one"))).ok()
    assert one["count"] == 1
    body = {"sessions": {"s2": key(text="two"), "s3": key(text="three")}}
    two = (await alice.put(path_of(ROOM, version=version), body)).ok()
    assert two["count"] == 3
    body = {"rooms": {ROOM: {"sessions": {"s4": key()}}, OTHER: {"sessions": {"s1": key(verified=True)}}}}
    three = (await alice.put(path_of(version=version), body)).ok()
    assert three["count"] == 5
    assert len({one["etag"], two["etag"], three["etag"]}) == 3
    assert (await alice.get(f"{BASE}/version")).ok()["count"] == 5
    assert (await alice.get(path_of(ROOM, "s/1", version=version))).ok() == key(text="one")
    assert (await alice.get(path_of(ROOM, version=version))).ok()["sessions"].keys() == {"s/1", "s2", "s3", "s4"}
    rooms = (await alice.get(path_of(version=version))).ok()["rooms"]
    assert rooms[OTHER] == {"sessions": {"s1": key(verified=True)}}
    assert (await alice.delete(path_of(ROOM, "s2", version=version))).ok()["count"] == 4
    gone = (await alice.delete(path_of(ROOM, "s2", version=version))).ok()
    assert gone["count"] == 4
    assert (await alice.delete(path_of(ROOM, version=version))).ok()["count"] == 1
    (await alice.get(path_of(ROOM, "s/1", version=version))).refused(404, "M_NOT_FOUND")
    assert (await alice.get(path_of(ROOM, version=version))).ok() == {"sessions": {}}
    last = (await alice.delete(path_of(version=version))).ok()
    assert last["count"] == 0
    assert last["etag"] != gone["etag"]
    assert (await alice.get(path_of(version=version))).ok() == {"rooms": {}}


async def test_what_gives_way_to_what(alice: Client) -> None:
    """In any order, the best of all that were stored remains."""
    version = await begin(alice)
    kinds = [
        key(verified=verified, first=first, forwarded=forwarded)
        for verified, first, forwarded in itertools.product((True, False), (0, 3), (0, 1))
    ]
    rng = random.Random(5)
    for session in range(12):
        stored = rng.sample(kinds, 4)
        for one in stored:
            (await put(alice, version, str(session), one)).ok()
        found = (await alice.get(path_of(ROOM, str(session), version=version))).ok()
        best = min(stored, key=lambda one: (not one["is_verified"], one["first_message_index"], one["forwarded_count"]))
        assert found == best


async def test_what_changes_nothing_keeps_the_etag(alice: Client) -> None:
    version = await begin(alice)
    first = (await put(alice, version, "s", key(text="first"))).ok()
    assert (await put(alice, version, "s", key(text="as good"))).ok() == first
    assert (await put(alice, version, "s", key(first=9, text="worse"))).ok() == first
    assert (await alice.get(path_of(ROOM, "s", version=version))).ok() == key(text="first")
    assert (await alice.put(path_of(version=version), {"rooms": {}})).ok() == first


async def test_only_the_current_backup_takes_keys(alice: Client) -> None:
    (await put(alice, "1", "s", key())).refused(404, "M_NOT_FOUND")
    old = await begin(alice)
    (await put(alice, old, "s", key())).ok()
    new = await begin(alice)
    refused = await put(alice, old, "s2", key())
    refused.refused(403, "M_WRONG_ROOM_KEYS_VERSION")
    assert refused.json["current_version"] == new
    (await put(alice, "99", "s2", key())).refused(404, "M_NOT_FOUND")
    assert (await alice.get(path_of(ROOM, version=old))).ok()["sessions"].keys() == {"s"}
    assert (await alice.get(path_of(ROOM, version=new))).ok()["sessions"] == {}


async def test_backups_are_ones_own(server: TestServer, alice: Client) -> None:
    bob = await server.user("bob")
    version = await begin(alice)
    (await put(alice, version, "s", key())).ok()
    (await bob.get(path_of(ROOM, version=version))).refused(404, "M_NOT_FOUND")
    (await bob.get(f"{BASE}/version/{version}")).refused(404, "M_NOT_FOUND")
    (await bob.delete(f"{BASE}/version/{version}")).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [
        {**key(), "first_message_index": -1},
        {**key(), "first_message_index": 1 << 60},
        {**key(), "forwarded_count": "1"},
        {**key(), "is_verified": 1},
        {**key(), "session_data": "text"},
    ],
)
async def test_what_is_no_key(alice: Client, body: dict[str, Any]) -> None:
    version = await begin(alice)
    (await put(alice, version, "s", body)).refused(400, "M_BAD_JSON")
    (await put(alice, version, "s", key(text="x" * 70_000))).refused(413, "M_TOO_LARGE")
    (await alice.put(f"{BASE}/keys", {"rooms": {}})).refused(400, "M_MISSING_PARAM")
    assert (await alice.get(f"{BASE}/version")).ok()["count"] == 0


async def test_many_at_once_are_counted(alice: Client) -> None:
    version = await begin(alice)
    bodies = [{"sessions": {f"s{n % 7}": key(first=n) for n in range(start, start + 5)}} for start in range(20)]
    for answer in await asyncio.gather(*(alice.put(path_of(ROOM, version=version), body) for body in bodies)):
        answer.ok()
    found = (await alice.get(f"{BASE}/version")).ok()
    assert found["count"] == len((await alice.get(path_of(ROOM, version=version))).ok()["sessions"]) == 7
    versions = await asyncio.gather(*(begin(alice) for _ in range(5)))
    assert len({*versions, version}) == 6


async def test_backups_end_with_the_account(server: TestServer) -> None:
    bob = await server.user("bob")
    (await put(bob, await begin(bob), "s", key())).ok()
    await server.server.accounts.deactivate(str(bob.user_id), erase=False)
    for table in ("key_backups", "key_backup_keys"):
        count = await server.server.engine.database.read(lambda tx, t=table: tx.value(f"SELECT COUNT(*) FROM {t}"))
        assert count == 0
