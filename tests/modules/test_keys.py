"""Keys of devices: uploaded, asked for, claimed once, and counted in /sync."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.modules.encryption import V3, Keys, claim, query
from tests.modules.test_devices import confirmed
from weft.testing import TestServer

UPLOAD = f"{V3}/keys/upload"


async def test_a_device_is_found(server: TestServer) -> None:
    alice, bob = await server.user("alice", initial_device_display_name="Phone"), await server.user("bob")
    keys = Keys(alice)
    assert await keys.upload() == {"signed_curve25519": 0}
    unsigned = {"unsigned": {"device_display_name": "Phone"}}
    found = await query(bob, alice.user_id)
    assert found["device_keys"] == {alice.user_id: {alice.device_id: keys.device() | unsigned}}
    assert found["failures"] == {}
    # A device that has no keys is not told of, and neither is anybody unknown.
    found = await query(alice, bob.user_id, "@absent:weft.test", "nonsense")
    assert found["device_keys"] == {bob.user_id: {}, "@absent:weft.test": {}}


async def test_some_devices_are_asked_for(server: TestServer) -> None:
    alice = await server.user("alice")
    other = await server.login("alice")
    for client in (alice, other):
        await Keys(client).upload()
    asked = {alice.user_id: [other.device_id, "NONE"]}
    found = (await alice.post(f"{V3}/keys/query", {"device_keys": asked})).ok()["device_keys"]
    assert list(found[alice.user_id]) == [other.device_id]


async def test_the_same_upload_again_changes_nothing(server: TestServer) -> None:
    alice = await server.user("alice")
    keys = Keys(alice)
    one_time = keys.one_time(3)
    assert await keys.upload(one_time_keys=one_time) == {"signed_curve25519": 3}
    since = (await alice.sync())["next_batch"]
    assert await keys.upload(one_time_keys=one_time) == {"signed_curve25519": 3}
    assert "device_lists" not in await alice.sync(since)


async def test_the_identity_of_a_device_stays(server: TestServer) -> None:
    alice = await server.user("alice")
    await Keys(alice).upload()
    (await alice.post(UPLOAD, {"device_keys": Keys(alice, "another").device()})).refused(400, "M_INVALID_PARAM")
    # What else the device says of itself may change.
    changed = Keys(alice).device(algorithms=["m.megolm.v1.aes-sha2"])
    (await alice.post(UPLOAD, {"device_keys": changed})).ok()
    assert (await query(alice, alice.user_id))["device_keys"][alice.user_id][alice.device_id] == changed


@pytest.mark.parametrize("by", ["itself", "another device"])
async def test_a_device_that_went_comes_back_with_other_keys(server: TestServer, by: str) -> None:
    """A program that always names the same device, and has lost what it had stored, has to remove that device first."""
    alice, bob = await server.user("alice"), await server.user("bob")
    bot = await server.login(alice.user_id, device_id="BOT")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    keys = Keys(bot)
    await keys.upload(3, fallback_keys=keys.fallback())
    # To log in again is not enough: that is how somebody comes back who has all their keys.
    again = await server.login(alice.user_id, device_id="BOT")
    assert (await query(bob, alice.user_id))["device_keys"][alice.user_id]["BOT"] == keys.device()
    renewed = Keys(again, "with an empty store")
    (await again.post(UPLOAD, {"device_keys": renewed.device()})).refused(400, "M_INVALID_PARAM")
    since = (await bob.sync())["next_batch"]
    if by == "itself":
        (await again.post(f"{V3}/logout")).ok()
    else:
        await confirmed(alice, "DELETE", f"{V3}/devices/BOT", {})
    assert (await query(bob, alice.user_id))["device_keys"][alice.user_id] == {}
    assert await claim(bob, again) == {}
    last = await server.login(alice.user_id, device_id="BOT")
    assert await Keys(last, "with an empty store").upload(2) == {"signed_curve25519": 2}
    assert (await bob.sync(since))["device_lists"]["changed"] == [alice.user_id]
    assert (await query(bob, alice.user_id))["device_keys"][alice.user_id]["BOT"] == renewed.device()


async def test_another_key_of_the_same_id_is_refused(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    one_time = keys.one_time(2)
    await keys.upload(one_time_keys=one_time)
    name = next(iter(one_time))
    changed = {name: keys.single("another"), **keys.one_time(1)}
    (await alice.post(UPLOAD, {"one_time_keys": changed})).refused(400, "M_INVALID_PARAM")
    assert (await alice.sync())["device_one_time_keys_count"] == {"signed_curve25519": 2}
    # Nor is a key that was given away taken in again, as itself or as another.
    assert list((await claim(bob, alice))[alice.device_id]) == [name]
    (await alice.post(UPLOAD, {"one_time_keys": changed})).refused(400, "M_INVALID_PARAM")
    assert await keys.upload(one_time_keys=one_time) == {"signed_curve25519": 1}


async def test_keys_are_claimed_in_the_order_of_their_upload(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    given: list[str] = []
    uploaded: list[str] = []
    for size in (3, 1, 2):
        some = keys.one_time(size)
        # Their ids say nothing about their age.
        some = {f"signed_curve25519:{9 - len(uploaded)}{n}": key for n, key in enumerate(some.values())}
        await keys.upload(one_time_keys=some)
        uploaded += some
    for left in range(5, -1, -1):
        ((name, key),) = (await claim(bob, alice))[alice.device_id].items()
        assert key.keys() == {"key", "signatures"}
        given.append(name)
        assert (await alice.sync())["device_one_time_keys_count"] == {"signed_curve25519": left}
    assert given == uploaded
    assert await claim(bob, alice) == {}


async def test_the_fallback_key_is_for_when_none_is_left(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    fallback = keys.fallback()
    await keys.upload(1, fallback_keys=fallback)
    since = (await alice.sync())["next_batch"]
    assert (await alice.sync(since))["device_unused_fallback_key_types"] == ["signed_curve25519"]
    assert (await claim(bob, alice))[alice.device_id] != fallback
    assert (await alice.sync(since))["device_unused_fallback_key_types"] == ["signed_curve25519"]
    for _ in range(3):
        assert (await claim(bob, alice))[alice.device_id] == fallback
        assert (await alice.sync(since))["device_unused_fallback_key_types"] == []
    # The same one again stays used; another one takes its place.
    await keys.upload(fallback_keys=fallback)
    assert (await alice.sync(since))["device_unused_fallback_key_types"] == []
    await keys.upload(fallback_keys=keys.fallback("F2"))
    assert (await alice.sync(since))["device_unused_fallback_key_types"] == ["signed_curve25519"]
    assert (await claim(bob, alice))[alice.device_id] == keys.fallback("F2")


async def test_each_answer_counts_the_keys_of_the_device_that_asks(server: TestServer) -> None:
    alice = await server.user("alice")
    other = await server.login("alice")
    await Keys(alice).upload(5)
    for client, count in ((alice, 5), (other, 0)):
        answer = await client.sync()
        assert answer["device_one_time_keys_count"] == {"signed_curve25519": count}
        assert answer["device_unused_fallback_key_types"] == []
        answer = await client.sync(answer["next_batch"])
        assert answer["device_one_time_keys_count"] == {"signed_curve25519": count}


async def test_no_key_is_given_twice(server: TestServer) -> None:
    alice = await server.user("alice")
    keys = Keys(alice)
    await keys.upload(60, fallback_keys=keys.fallback())
    askers = [await server.user() for _ in range(4)]

    async def ask(number: int) -> str:
        ((name, _),) = (await claim(askers[number % 4], alice))[alice.device_id].items()
        return str(name)

    given = await asyncio.gather(*(ask(number) for number in range(90)))
    once = [name for name in given if name != "signed_curve25519:F1"]
    assert len(once) == len(set(once)) == 60


async def test_keys_go_with_their_device(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    other = await server.login("alice", device_id="OTHER")
    keys = Keys(other)
    await keys.upload(2, fallback_keys=keys.fallback())
    await confirmed(alice, "DELETE", f"{V3}/devices/OTHER", {})
    assert (await query(bob, alice.user_id))["device_keys"] == {alice.user_id: {}}
    assert await claim(bob, other) == {}
    # A device of the same name is another one.
    again = await server.login("alice", device_id="OTHER")
    assert (await again.sync())["device_one_time_keys_count"] == {"signed_curve25519": 0}
    assert await Keys(again, "another").upload(1) == {"signed_curve25519": 1}


DEVICE: dict[str, Any] = {"algorithms": [], "keys": {}, "signatures": {}}


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        ({"device_keys": {**DEVICE, "user_id": "@bob:weft.test", "device_id": "PHONE"}}, 400, "M_BAD_JSON"),
        ({"device_keys": {**DEVICE, "user_id": "@alice:weft.test", "device_id": "OTHER"}}, 400, "M_BAD_JSON"),
        ({"device_keys": {"user_id": "@alice:weft.test", "device_id": "PHONE"}}, 400, "M_BAD_JSON"),
        ({"device_keys": []}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"nocolon": "key"}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b:c": "key"}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {":b": "key"}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:": "key"}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:" + "b" * 300: "key"}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b": 1}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b": {"key": 1, "signatures": {}}}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b": {"key": "x", "signatures": {"@a:b": 1}}}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b": {"key": "x", "signatures": {}, "more": 1.5}}}, 400, "M_BAD_JSON"),
        ({"one_time_keys": {"a:b": {"key": "x", "signatures": {}, "more": "x" * 17_000}}}, 413, "M_TOO_LARGE"),
        ({"one_time_keys": {f"a:{n}": "key" for n in range(1_001)}}, 413, "M_TOO_LARGE"),
        ({"fallback_keys": {"a:b": "key", "a:c": "key"}}, 400, "M_BAD_JSON"),
        ({"fallback_keys": {f"a{n}:b": "key" for n in range(11)}}, 413, "M_TOO_LARGE"),
    ],
)
async def test_what_is_no_key_is_refused(server: TestServer, body: dict[str, Any], status: int, errcode: str) -> None:
    alice = await server.user("alice", device_id="PHONE")
    (await alice.post(UPLOAD, body)).refused(status, errcode)
    assert (await alice.sync())["device_one_time_keys_count"] == {"signed_curve25519": 0}


async def test_other_servers_that_are_not_there(server: TestServer) -> None:
    alice = await server.user("alice")
    await Keys(alice).upload()
    found = await query(alice, alice.user_id, "@bob:gone.test", timeout=500)
    assert list(found["failures"]) == ["gone.test"]
    assert list(found["device_keys"]) == [alice.user_id]
    asked = {"@bob:gone.test": {"PHONE": "signed_curve25519"}}
    found = (await alice.post(f"{V3}/keys/claim", {"one_time_keys": asked})).ok()
    assert (list(found["failures"]), found["one_time_keys"]) == (["gone.test"], {})
