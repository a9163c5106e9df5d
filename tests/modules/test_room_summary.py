"""Summaries of rooms. https://spec.matrix.org/v1.19/client-server-api/#room-summaries"""

from __future__ import annotations

from typing import Any

import pytest

from weft.testing import Answer, Client, TestServer

V1 = "/_matrix/client/v1"


async def summary(client: Client, room: str) -> Answer:
    return await client.get(f"{V1}/room_summary/{room.replace('#', '%23')}")


async def test_the_whole_summary(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    club = await alice.create_room(preset="public_chat")
    allow = [{"type": "m.room_membership", "room_id": club}, {"type": "other"}, "x"]
    room_id = await alice.create_room(
        name="Tea",
        topic="Leaves",
        room_alias_name="tea",
        creation_content={"type": "m.space"},
        initial_state=[
            {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}},
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
        ],
    )
    (await summary(bob, room_id)).refused(404, "M_NOT_FOUND")
    await bob.join(club)
    found = (await summary(bob, "#tea:weft.test")).ok()
    assert found == {
        "room_id": room_id,
        "num_joined_members": 1,
        "world_readable": False,
        "guest_can_join": True,
        "canonical_alias": "#tea:weft.test",
        "name": "Tea",
        "topic": "Leaves",
        "join_rule": "restricted",
        "room_type": "m.space",
        "allowed_room_ids": [club],
        "encryption": "m.megolm.v1.aes-sha2",
        "room_version": "12",
        "membership": "leave",
        "im.nheko.summary.encryption": "m.megolm.v1.aes-sha2",
        "im.nheko.summary.room_version": "12",
    }
    await bob.join(room_id)
    assert (await summary(bob, room_id)).ok()["membership"] == "join"


@pytest.mark.parametrize(
    ("rule", "visibility", "seen"),
    [
        ("public", "shared", True),
        ("knock", "shared", True),
        ("knock_restricted", "shared", True),
        ("invite", "world_readable", True),
        ("invite", "shared", False),
        ("restricted", "shared", False),
        ("nonsense", "shared", False),
    ],
)
async def test_who_sees_what(server: TestServer, rule: str, visibility: str, seen: bool) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    state: list[dict[str, Any]] = [
        {"type": "m.room.join_rules", "content": {"join_rule": rule}},
        {"type": "m.room.history_visibility", "content": {"history_visibility": visibility}},
    ]
    room_id = await alice.create_room(initial_state=state)
    for stranger in (bob, server.client()):
        answer = await summary(stranger, room_id)
        if seen:
            found = answer.ok()
            assert found.get("membership") == ("leave" if stranger is bob else None)
        else:
            hidden = answer.refused(404, "M_NOT_FOUND")
            assert (await summary(stranger, "!nowhere:weft.test")).refused(404, "M_NOT_FOUND") == hidden
    await alice.invite(room_id, bob.user_id)
    assert (await summary(bob, room_id)).ok()["membership"] == "invite"


async def test_rooms_that_can_not_be_named(server: TestServer) -> None:
    alice = await server.user()
    (await summary(alice, "nonsense")).refused(400, "M_INVALID_PARAM")
    (await summary(alice, "#nowhere:weft.test")).refused(404, "M_NOT_FOUND")
