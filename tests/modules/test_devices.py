"""A user's devices: named, listed, seen, deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


async def devices(client: Client) -> dict[str, Any]:
    return {each["device_id"]: each for each in (await client.get(f"{V3}/devices")).ok()["devices"]}


async def confirmed(client: Client, method: str, path: str, body: dict[str, Any]) -> None:
    """A request that wants the password, given it."""
    session = (await client.request(method, path, json=body)).json["session"]
    auth = {
        "type": "m.login.password",
        "session": session,
        "identifier": {"type": "m.id.user", "user": client.user_id},
        "password": "correct horse",
    }
    (await client.request(method, path, json=body | {"auth": auth})).ok()


async def test_a_device_is_named_and_renamed(server: TestServer) -> None:
    alice = await server.user("alice", device_id="PHONE", initial_device_display_name="Phone")
    path = f"{V3}/devices/PHONE"
    assert (await alice.get(path)).ok()["display_name"] == "Phone"
    (await alice.put(path, {"display_name": "Old phone"})).ok()
    (await alice.put(path, {})).ok()
    assert (await devices(alice))["PHONE"]["display_name"] == "Old phone"


async def test_devices_of_others_are_not_to_be_found(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob", device_id="THEIRS")
    path = f"{V3}/devices/THEIRS"
    (await alice.get(path)).refused(404, "M_NOT_FOUND")
    (await alice.put(path, {"display_name": "mine"})).refused(404, "M_NOT_FOUND")
    (await alice.put(path, {})).refused(404, "M_NOT_FOUND")
    await confirmed(alice, "DELETE", path, {})
    assert list(await devices(bob)) == ["THEIRS"]


async def test_where_a_device_was_seen(server: TestServer) -> None:
    alice = await server.user("alice", device_id="PHONE")
    phone = server.client(alice.token, address="10.1.2.3")
    seen = (await devices(phone))["PHONE"]
    assert seen["last_seen_ip"] == "10.1.2.3"
    first = seen["last_seen_ts"]
    server.clock.advance(120)
    seen = (await devices(server.client(alice.token, address="10.9.9.9")))["PHONE"]
    assert seen["last_seen_ip"] == "10.9.9.9"
    assert seen["last_seen_ts"] >= first + 120_000


async def test_being_seen_is_written_by_itself_after_a_while(server: TestServer) -> None:
    alice = await server.user("alice", device_id="PHONE")
    database = server.server.engine.database
    for _ in range(50):
        server.clock.advance(61)
        (await alice.get(f"{V3}/account/whoami")).ok()
        await asyncio.sleep(0.01)
        row = await database.read(lambda tx: tx.one("SELECT last_seen_ms, last_seen_user_agent FROM devices"))
        assert row is not None
        if row[0]:
            break
    assert server.clock() - 300_000 < row[0] < server.clock()
    assert row[1] == "weft-testing"


@pytest.mark.parametrize("many", [False, True])
async def test_deleting_wants_the_password_and_ends_the_session(server: TestServer, many: bool) -> None:
    alice = await server.user("alice")
    gone = await server.login("alice")
    path = f"{V3}/delete_devices" if many else f"{V3}/devices/{gone.device_id}"
    body = {"devices": [gone.device_id, "NONE"]} if many else {}
    method = "POST" if many else "DELETE"
    assert (await alice.request(method, path, json=body)).status == 401
    assert gone.device_id in await devices(alice)
    await confirmed(alice, method, path, body)
    assert list(await devices(alice)) == [alice.device_id]
    (await gone.get(f"{V3}/devices")).refused(401, "M_UNKNOWN_TOKEN")
    await confirmed(alice, method, path, body)


async def test_consent_for_one_device_is_no_consent_for_another(server: TestServer) -> None:
    alice = await server.user("alice")
    one, other = await server.login("alice"), await server.login("alice")
    session = (await alice.delete(f"{V3}/devices/{one.device_id}", {})).json["session"]
    auth = {
        "type": "m.login.password",
        "session": session,
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "correct horse",
    }
    (await alice.delete(f"{V3}/devices/{other.device_id}", {"auth": auth})).refused(403, "M_FORBIDDEN")
    assert other.device_id in await devices(alice)


async def test_a_user_may_delete_the_device_in_use(server: TestServer) -> None:
    alice = await server.user("alice")
    await confirmed(alice, "DELETE", f"{V3}/devices/{alice.device_id}", {})
    (await alice.get(f"{V3}/devices")).refused(401, "M_UNKNOWN_TOKEN")


async def test_others_hear_of_each_change(server: TestServer) -> None:
    alice = await server.user("alice", device_id="PHONE")
    (await alice.put(f"{V3}/devices/PHONE", {"display_name": "New"})).ok()
    (await alice.post(f"{V3}/logout")).ok()
    rows = await server.server.engine.database.read(
        lambda tx: tx.all("SELECT user_id, key FROM log WHERE kind = 'device' ORDER BY key")
    )
    assert rows == [("@alice:weft.test", f"{number} PHONE") for number in (1, 2, 3)]
