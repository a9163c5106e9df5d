"""Replacing rooms. https://spec.matrix.org/v1.19/client-server-api/#room-upgrades"""

from __future__ import annotations

from typing import Any

import pytest

from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


async def upgrade(client: Client, room_id: str, version: str = "12", **options: Any) -> str:
    body = {"new_version": version, **options}
    replacement: str = (await client.post(f"{V3}/rooms/{room_id}/upgrade", body)).ok()["replacement_room"]
    return replacement


async def content_of(client: Client, room_id: str, event_type: str, state_key: str = "") -> Any:
    return (await client.get(f"{V3}/rooms/{room_id}/state/{event_type}/{state_key}")).ok()


@pytest.mark.parametrize(
    ("old", "new"), [("1", "12"), ("6", "10"), ("9", "I.1"), ("11", "12"), ("12", "12"), ("12", "6")]
)
async def test_what_is_carried_over(server: TestServer, old: str, new: str) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    state = {
        "m.room.join_rules": {"join_rule": "public", "x": 1},
        "m.room.history_visibility": {"history_visibility": "world_readable"},
        "m.room.guest_access": {"guest_access": "forbidden"},
        "m.room.encryption": {"algorithm": "m.megolm.v1.aes-sha2"},
        "m.room.server_acl": {"allow": ["*"], "deny": ["evil.test"]},
        "m.room.name": {"name": "Old room"},
        "m.room.topic": {"topic": "Old things", "m.topic": {"m.text": [{"body": "Old things"}]}},
        "m.room.avatar": {"url": "mxc://weft.test/old"},
    }
    old_id = await alice.create_room(
        room_version=old,
        room_alias_name="old",
        visibility="public",
        creation_content={"type": "org.example.board"},
        initial_state=[{"type": event_type, "content": content} for event_type, content in state.items()],
        power_level_content_override={"kick": 40},
    )
    await alice.set_state(old_id, "org.example.other", {"not": "carried over"})
    await bob.join(old_id)
    ban = {"user_id": "@eve:weft.test", "reason": "no"}
    (await alice.post(f"{V3}/rooms/{old_id}/ban", ban)).ok()

    new_id = await upgrade(alice, old_id, new)

    create = await content_of(alice, new_id, "m.room.create")
    assert create["room_version"] == new
    assert create["type"] == "org.example.board"
    assert create["predecessor"]["room_id"] == old_id
    assert create["predecessor"]["event_id"].startswith("$")
    for event_type, content in state.items():
        assert await content_of(alice, new_id, event_type) == content
    assert await content_of(alice, new_id, "m.room.canonical_alias") == {"alias": "#old:weft.test"}
    levels = await content_of(alice, new_id, "m.room.power_levels")
    assert levels["kick"] == 40
    assert (alice.user_id in levels["users"]) == (new != "12")
    assert levels["events"]["m.room.tombstone"] == (150 if "12" in (old, new) else 100)
    (await alice.get(f"{V3}/rooms/{new_id}/state/org.example.other")).refused(404, "M_NOT_FOUND")
    assert await content_of(alice, new_id, "m.room.member", "@eve:weft.test") == {"membership": "ban", "reason": "no"}
    (await alice.get(f"{V3}/rooms/{new_id}/state/m.room.member/{bob.user_id}")).refused(404, "M_NOT_FOUND")

    tombstone = await content_of(bob, old_id, "m.room.tombstone")
    assert tombstone["replacement_room"] == new_id
    assert tombstone["body"]
    assert await content_of(bob, old_id, "m.room.canonical_alias") == {}
    closed = await content_of(bob, old_id, "m.room.power_levels")
    assert closed["events_default"] == 50
    assert closed["invite"] == 50
    (await bob.put(f"{V3}/rooms/{old_id}/send/m.room.message/1", {"msgtype": "m.text", "body": "x"})).refused(
        403, "M_FORBIDDEN"
    )

    assert (await alice.get(f"{V3}/rooms/{old_id}/aliases")).ok() == {"aliases": []}
    assert (await alice.get(f"{V3}/rooms/{new_id}/aliases")).ok() == {"aliases": ["#old:weft.test"]}
    assert await bob.join("#old:weft.test") == new_id
    listed = (await alice.get(f"{V3}/publicRooms")).ok()["chunk"]
    assert [room["room_id"] for room in listed] == [new_id]


async def test_creators_are_named_anew(server: TestServer) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    old_id = await alice.create_room(
        room_version="12",
        preset="trusted_private_chat",
        invite=[bob.user_id],
        power_level_content_override={"users": {carol.user_id: 60}},
    )
    await bob.join(old_id)
    new_id = await upgrade(bob, old_id, "12", additional_creators=[carol.user_id, bob.user_id, carol.user_id])
    create = await content_of(bob, new_id, "m.room.create")
    assert create["additional_creators"] == [carol.user_id]
    levels = await content_of(bob, new_id, "m.room.power_levels")
    assert levels["users"] == {alice.user_id: 100}


async def test_additional_creators_mean_nothing_to_older_versions(server: TestServer) -> None:
    alice = await server.user()
    old_id = await alice.create_room(room_version="10")
    new_id = await upgrade(alice, old_id, "11", additional_creators=["@x:weft.test"])
    assert "additional_creators" not in await content_of(alice, new_id, "m.room.create")


async def test_a_moderator_upgrades_a_room_and_stays_a_moderator(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    users = {alice.user_id: 100, bob.user_id: 50}
    old_id = await alice.create_room(
        room_version="10",
        preset="public_chat",
        power_level_content_override={"users": users, "events": {"m.room.tombstone": 50, "m.room.power_levels": 100}},
    )
    await alice.set_state(old_id, "m.room.name", {"name": "Ours"})
    await bob.join(old_id)
    new_id = await upgrade(bob, old_id, "11")
    assert (await content_of(bob, new_id, "m.room.power_levels"))["users"] == users
    # Its own levels are beyond a moderator; the old room is replaced all the same.
    assert (await content_of(bob, old_id, "m.room.power_levels"))["events_default"] == 0
    assert (await content_of(bob, old_id, "m.room.tombstone"))["replacement_room"] == new_id


@pytest.mark.parametrize(
    ("rule", "version", "expected"),
    [
        ("knock", "6", "invite"),
        ("knock", "7", "knock"),
        ("restricted", "7", "invite"),
        ("restricted", "8", "restricted"),
        ("knock_restricted", "9", "restricted"),
        ("knock_restricted", "7", "knock"),
        ("knock_restricted", "6", "invite"),
    ],
)
async def test_a_join_rule_that_the_version_does_not_know(
    server: TestServer, rule: str, version: str, expected: str
) -> None:
    alice = await server.user()
    old_id = await alice.create_room(initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": rule}}])
    new_id = await upgrade(alice, old_id, version)
    assert (await content_of(alice, new_id, "m.room.join_rules"))["join_rule"] == expected


async def test_a_space_keeps_its_rooms(server: TestServer) -> None:
    alice = await server.user()
    child = await alice.create_room()
    space = await alice.create_room(creation_content={"type": "m.space"})
    await alice.set_state(space, "m.space.child", {"via": ["weft.test"]}, child)
    new_id = await upgrade(alice, space)
    assert await content_of(alice, new_id, "m.space.child", child) == {"via": ["weft.test"]}


async def test_tags_follow_whoever_follows_the_room(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    old_id = await alice.create_room(preset="public_chat")
    await bob.join(old_id)
    for who in (alice, bob):
        (await who.put(f"{V3}/user/{who.user_id}/rooms/{old_id}/tags/m.favourite", {"order": 0.5})).ok()
    new_id = await upgrade(alice, old_id)
    await bob.join(new_id)
    for who in (alice, bob):
        tags = (await who.get(f"{V3}/user/{who.user_id}/rooms/{new_id}/tags")).ok()
        assert tags == {"tags": {"m.favourite": {"order": 0.5}}}


async def test_who_may_not_upgrade(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    path = f"{V3}/rooms/{room_id}/upgrade"
    (await bob.post(path, {"new_version": "12"})).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.post(path, {"new_version": "12"})).refused(403, "M_FORBIDDEN")
    (await alice.post(path, {"new_version": "nope"})).refused(400, "M_UNSUPPORTED_ROOM_VERSION")
    (await alice.post(path, {})).refused(400, "M_MISSING_PARAM")
    bad = {"new_version": "12", "additional_creators": ["x"]}
    (await alice.post(path, bad)).refused(400, "M_INVALID_PARAM")
    (await alice.post(f"{V3}/rooms/!nowhere:weft.test/upgrade", {"new_version": "12"})).refused(403, "M_FORBIDDEN")
    (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.tombstone")).refused(404, "M_NOT_FOUND")
