"""Cross-signing: keys that sign others, with consent where they are replaced, and who sees which signatures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.modules.encryption import DEVICE_SIGNING, SIGNATURES, V3, Identity, Keys, query, sign
from tests.modules.test_device_lists import hears_of, news, now
from tests.modules.test_devices import confirmed
from tests.modules.test_receipts import pair
from weft.testing import Client, TestServer

UNSTABLE = "/_matrix/client/unstable/keys"


async def test_the_first_keys_need_no_consent(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    since = await now(bob)
    identity = Identity(alice.user_id)
    await identity.upload(alice)
    assert await news(bob, since) == ({alice.user_id}, set())
    seen = await query(alice, alice.user_id)
    for usage in ("master", "self_signing", "user_signing"):
        assert seen[f"{usage}_keys"] == {alice.user_id: identity.key(usage)}
    seen = await query(bob, alice.user_id)
    assert seen["master_keys"] == {alice.user_id: identity.key("master")}
    assert seen["self_signing_keys"] == {alice.user_id: identity.key("self_signing")}
    assert seen["user_signing_keys"] == {}
    # The same again is no change, and needs none either.
    since = await now(bob)
    await identity.upload(alice)
    (await alice.post(DEVICE_SIGNING, identity.body("self_signing"))).ok()
    assert await news(bob, since) == (set(), set())


async def test_other_keys_need_the_password(server: TestServer) -> None:
    alice = await server.user("alice")
    await Identity(alice.user_id).upload(alice)
    other = Identity(alice.user_id, "other")
    assert (await alice.post(DEVICE_SIGNING, other.body())).status == 401
    assert (await query(alice, alice.user_id))["master_keys"] == {alice.user_id: Identity(alice.user_id).key("master")}
    await confirmed(alice, "POST", DEVICE_SIGNING, other.body())
    assert (await query(alice, alice.user_id))["master_keys"] == {alice.user_id: other.key("master")}


async def test_a_session_remembers_the_keys(server: TestServer) -> None:
    alice = await server.user("alice")
    await Identity(alice.user_id).upload(alice)
    other = Identity(alice.user_id, "other")
    session = (await alice.post(f"{UNSTABLE}/device_signing/upload", other.body())).json["session"]
    identifier = {"type": "m.id.user", "user": "alice"}
    auth = {"type": "m.login.password", "session": session, "identifier": identifier, "password": "correct horse"}
    (await alice.post(f"{UNSTABLE}/device_signing/upload", {"auth": auth})).ok()
    assert (await query(alice, alice.user_id))["user_signing_keys"] == {alice.user_id: other.key("user_signing")}


async def test_a_new_master_key_ends_what_the_former_has_signed(server: TestServer) -> None:
    alice = await server.user("alice")
    await Identity(alice.user_id).upload(alice)
    await confirmed(alice, "POST", DEVICE_SIGNING, Identity(alice.user_id, "other").body("master"))
    seen = await query(alice, alice.user_id)
    assert (seen["self_signing_keys"], seen["user_signing_keys"]) == ({}, {})


ALICE = Identity("@alice:weft.test")
OTHER = Identity("@alice:weft.test", "other")
BOB = Identity("@bob:weft.test")
MASTER, SIGNING = ALICE.key("master"), ALICE.key("user_signing")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (ALICE.body("self_signing"), "M_MISSING_PARAM"),
        ({}, "M_MISSING_PARAM"),
        (BOB.body(), "M_INVALID_PARAM"),
        ({"master_key": ALICE.key("self_signing")}, "M_INVALID_PARAM"),
        ({"master_key": MASTER | {"keys": {}}}, "M_INVALID_PARAM"),
        ({"master_key": MASTER | {"keys": {"ed25519:x": "x"}}}, "M_INVALID_PARAM"),
        ({"master_key": MASTER | {"keys": {"x": 1}}}, "M_BAD_JSON"),
        ({"master_key": {"user_id": "@alice:weft.test"}}, "M_BAD_JSON"),
        (ALICE.body() | {"self_signing_key": OTHER.key("self_signing")}, "M_INVALID_SIGNATURE"),
        (ALICE.body() | {"user_signing_key": SIGNING | {"more": 1}}, "M_INVALID_SIGNATURE"),
        (ALICE.body() | {"user_signing_key": SIGNING | {"signatures": {}}}, "M_INVALID_SIGNATURE"),
    ],
)
async def test_keys_that_are_none(server: TestServer, body: dict[str, Any], errcode: str) -> None:
    alice = await server.user("alice")
    (await alice.post(DEVICE_SIGNING, body)).refused(400, errcode)
    assert (await query(alice, alice.user_id))["master_keys"] == {}


async def test_a_key_and_a_device_have_different_names(server: TestServer) -> None:
    identity = Identity("@alice:weft.test")
    alice = await server.user("alice", device_id=identity.public("self_signing"))
    (await alice.post(DEVICE_SIGNING, identity.body())).refused(403, "M_FORBIDDEN")
    bob = await server.user("bob")
    identity = Identity(bob.user_id)
    await identity.upload(bob)
    named = await server.login("bob", device_id=identity.public("master"))
    keys = Keys(named).device()
    (await named.post(f"{V3}/keys/upload", {"device_keys": keys})).refused(403, "M_FORBIDDEN")


async def test_a_device_is_signed(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    keys, identity = Keys(alice), Identity(alice.user_id)
    await keys.upload()
    await identity.upload(alice)
    tokens = [await now(each) for each in (alice, bob)]
    signed = identity.sign(keys.device(), "self_signing")
    assert await sign(alice, alice.user_id, alice.device_id, signed) == {}
    assert await news(alice, tokens[0]) == ({alice.user_id}, set())
    assert await news(bob, tokens[1]) == ({alice.user_id}, set())
    expected = {**keys.device()["signatures"][alice.user_id], **signed["signatures"][alice.user_id]}
    for who in (alice, bob):
        seen = (await query(who, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
        assert seen["signatures"] == {alice.user_id: expected}
    # The same again is no change.
    since = await now(bob)
    assert await sign(alice, alice.user_id, alice.device_id, signed) == {}
    assert await news(bob, since) == (set(), set())


async def test_a_device_signs_the_master_key(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    other = await server.login("alice")
    keys, identity = Keys(other), Identity(alice.user_id)
    await keys.upload()
    await identity.upload(alice)
    master = identity.key("master")
    assert await sign(alice, alice.user_id, identity.public("master"), keys.sign(master)) == {}
    assert (await query(bob, alice.user_id))["master_keys"][alice.user_id] == keys.sign(master)
    await confirmed(alice, "DELETE", f"{V3}/devices/{other.device_id}", {})
    assert (await query(bob, alice.user_id))["master_keys"][alice.user_id] == master


async def test_only_who_signed_somebody_sees_that(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    carol = await server.user("carol")
    await carol.join(room_id)
    his, hers = Identity(bob.user_id), Identity(alice.user_id)
    await his.upload(bob)
    await hers.upload(alice)
    tokens = [await now(each) for each in (alice, bob, carol)]
    signed = hers.sign(his.key("master"), "user_signing")
    assert await sign(alice, bob.user_id, his.public("master"), signed) == {}
    assert await news(alice, tokens[0]) == ({bob.user_id}, set())
    assert await news(bob, tokens[1]) == (set(), set())
    assert await news(carol, tokens[2]) == (set(), set())
    assert (await query(alice, bob.user_id))["master_keys"][bob.user_id] == signed
    for who in (bob, carol):
        assert "signatures" not in (await query(who, bob.user_id))["master_keys"][bob.user_id]
    await server.restart()
    assert await news(alice, tokens[0]) == ({bob.user_id}, set())


async def test_what_was_not_signed_is_told(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    keys, hers, his = Keys(alice), Identity(alice.user_id), Identity(bob.user_id)
    device, name = keys.device(), alice.device_id

    async def refused(who: Client, target: str, key: str, value: dict[str, Any], errcode: str) -> None:
        failures = await sign(who, target, key, value)
        assert failures[target][key]["errcode"] == errcode

    await refused(alice, alice.user_id, name, device, "M_NOT_FOUND")
    await hers.upload(alice)
    await refused(alice, alice.user_id, name, hers.sign(device, "self_signing"), "M_NOT_FOUND")
    await keys.upload()
    await refused(alice, alice.user_id, name, device, "M_INVALID_SIGNATURE")
    await refused(alice, alice.user_id, name, hers.sign(device, "master"), "M_INVALID_SIGNATURE")
    await refused(alice, alice.user_id, name, hers.sign({**device, "more": 1}, "self_signing"), "M_INVALID_SIGNATURE")
    signed = hers.sign(device, "self_signing")
    (by,) = signed["signatures"][alice.user_id]
    spoiled = {**signed, "signatures": {alice.user_id: {by: "A" * 86}}}
    await refused(alice, alice.user_id, name, spoiled, "M_INVALID_SIGNATURE")
    master = hers.public("master")
    await refused(alice, alice.user_id, master, hers.key("master"), "M_INVALID_SIGNATURE")
    his_signed = hers.sign(his.key("master"), "user_signing")
    await refused(alice, bob.user_id, his.public("master"), his_signed, "M_NOT_FOUND")
    await his.upload(bob)
    await refused(alice, bob.user_id, his.public("master"), his.key("master"), "M_INVALID_SIGNATURE")
    await refused(alice, bob.user_id, "another", his_signed, "M_NOT_FOUND")
    await refused(alice, "@eve:gone.test", "x", his_signed, "M_NOT_FOUND")
    assert (await query(alice, alice.user_id))["device_keys"][alice.user_id][name] == device
    (await alice.post(SIGNATURES, {alice.user_id: 1})).refused(400, "M_BAD_JSON")
    # The one that is good among others counts.
    both = {alice.user_id: {name: signed, "NONE": signed}}
    failures = (await alice.post(f"{UNSTABLE}/signatures/upload", both)).ok()["failures"]
    assert failures.keys() == {alice.user_id}
    assert failures[alice.user_id].keys() == {"NONE"}


async def test_an_account_that_ends_has_no_keys(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    await Identity(alice.user_id).upload(alice)
    since = await now(bob)
    await confirmed(alice, "POST", f"{V3}/account/deactivate", {})
    await hears_of(bob, since, alice.user_id)
    seen = await query(bob, alice.user_id)
    assert (seen["master_keys"], seen["device_keys"]) == ({}, {alice.user_id: {}})
