"""Who may do what in rooms that servers share, and rooms that replace each other."""

from __future__ import annotations

import pytest

from tests.federation.people import becomes, create, eventually, join, say, told
from tests.interop.conftest import Pair
from tests.interop.people import Society, agree, content, receives, sees


@pytest.mark.parametrize(("old", "new"), [("6", "10"), ("10", "11"), ("11", "12")])
async def test_members_follow_an_upgrade(pair: Pair, person: Society, old: str, new: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, old, name="Tea")
    await join(bob, room_id, alice.home)
    await say(bob, room_id, "hello")
    await told(alice, room_id, "hello")
    made = (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/upgrade", {"new_version": new})).ok()
    successor = made["replacement_room"]

    async def is_told() -> bool:
        return ((await content(bob, room_id, "m.room.tombstone")) or {}).get("replacement_room") == successor

    await eventually(is_told)
    await join(bob, successor, alice.home)
    await becomes(alice, successor, bob.user_id, "join")
    assert (await content(bob, successor, "m.room.create"))["predecessor"]["room_id"] == room_id
    assert (await content(bob, successor, "m.room.name")) == {"name": "Tea"}
    await say(bob, successor, "here I am")
    await told(alice, successor, "here I am")
    await agree(successor, alice, bob)


async def test_power_is_respected(pair: Pair, person: Society) -> None:
    """What a server's user may not do, their own server refuses already; moderators of either kind may."""
    alice, bob, carol = (
        await person("alice", pair.host),
        await person("bob", pair.guest),
        await person("carol", pair.host),
    )
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    await join(carol, room_id, alice.home)
    await becomes(bob, room_id, carol.user_id, "join")
    topic = f"/_matrix/client/v3/rooms/{room_id}/state/m.room.topic/"
    assert (await bob.put(topic, {"topic": "mine"})).status == 403
    assert (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": carol.user_id})).status == 403
    levels = await content(alice, room_id, "m.room.power_levels")
    levels["users"][bob.user_id] = 50
    await alice.set_state(room_id, "m.room.power_levels", levels)
    await sees(bob, room_id, "m.room.power_levels", levels)
    event_id = await say(carol, room_id, "noise")
    await receives(bob, room_id, event_id)
    (await bob.put(f"/_matrix/client/v3/rooms/{room_id}/redact/{event_id}/1", {})).ok()

    async def is_redacted() -> bool:
        return (await receives(alice, room_id, event_id))["content"] == {}

    await eventually(is_redacted)
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": carol.user_id})).ok()
    await becomes(alice, room_id, carol.user_id, "leave")
    await agree(room_id, alice, bob)
