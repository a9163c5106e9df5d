"""What somebody who comes late, on a server of another kind, sees of a room's past."""

from __future__ import annotations

import pytest

from tests.federation.people import becomes, create, invited, join, say, told
from tests.interop.conftest import Pair
from tests.interop.people import Society, agree, shows


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
async def test_a_long_past(pair: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, version)
    said = [f"message {number}" for number in range(110)]
    for text in said:
        await say(alice, room_id, text)
    await join(bob, room_id, alice.home)
    await shows(bob, room_id, *said)
    await agree(room_id, alice, bob)


@pytest.mark.parametrize("visibility", ["shared", "invited", "joined", "world_readable"])
async def test_what_a_late_comer_sees(pair: Pair, person: Society, visibility: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    rule = {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": visibility}}
    room_id = await create(alice, "11", preset="private_chat", initial_state=[rule])
    await say(alice, room_id, "before")
    await alice.invite(room_id, bob.user_id)
    await invited(bob, room_id)
    await say(alice, room_id, "since the invite")
    await bob.join(room_id)
    await becomes(alice, room_id, bob.user_id, "join")
    await say(alice, room_id, "welcome")
    unseen = {"shared": 0, "world_readable": 0, "invited": 1, "joined": 2}[visibility]
    await shows(bob, room_id, *["before", "since the invite", "welcome"][unseen:])
    await say(bob, room_id, "hello")
    await told(alice, room_id, "before", "since the invite", "welcome", "hello")


async def test_the_rule_changes_under_way(pair: Pair, person: Society) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice)
    await say(alice, room_id, "for all who come")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    await say(alice, room_id, "for who is here")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "shared"})
    await say(alice, room_id, "for all again")
    await join(bob, room_id, alice.home)
    await shows(bob, room_id, "for all who come", "for all again")
