"""Rooms that let the members of another room in: whichever server is asked vouches for who joins.

https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.federation.people import becomes, create, eventually, join, say
from tests.interop.conftest import Pair
from tests.interop.homeservers import Homeserver
from tests.interop.people import Person, Society, agree, content, join_rule, may_not_join, receives, sees


class Trio(NamedTuple):
    """Three servers: the one where the room begins, the one that is asked to let somebody in, and theirs."""

    host: Homeserver
    voucher: Homeserver
    guest: Homeserver


@pytest.fixture(params=["weft for weft", "weft for synapse", "synapse for weft"])
def trio(request: pytest.FixtureRequest, weft: Homeserver, second_weft: Homeserver, synapse: Homeserver) -> Trio:
    """Who vouches for whom; the room is of the third server."""
    return {
        "weft for weft": Trio(synapse, weft, second_weft),
        "weft for synapse": Trio(weft, second_weft, synapse),
        "synapse for weft": Trio(weft, synapse, second_weft),
    }[request.param]


async def _restricted(alice: Person, version: str, kind: str = "restricted") -> tuple[str, str]:
    """A room, and the one whose members may join it."""
    club = await create(alice, version)
    rule = join_rule(kind, allow=[{"type": "m.room_membership", "room_id": club}])
    return await create(alice, version, preset="private_chat", initial_state=[rule]), club


async def _vouched_by(person: Person, room_id: str, user_id: str, voucher: str) -> None:
    """Waits until somebody is seen to have joined by another's word."""
    await becomes(person, room_id, user_id, "join")
    member = await content(person, room_id, "m.room.member", user_id)
    assert member["join_authorised_via_users_server"] == voucher


@pytest.mark.parametrize("version", ["8", "10", "11", "12"])
async def test_a_restricted_room(pair: Pair, person: Society, version: str) -> None:
    """The host vouches for those who are in its club."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id, club = await _restricted(alice, version)
    await may_not_join(bob, room_id, alice.home)
    await join(bob, club, alice.home)
    await join(bob, room_id, alice.home)
    await _vouched_by(alice, room_id, bob.user_id, alice.user_id)
    await agree(room_id, alice, bob)
    # Nobody of the guest's may invite, so its own people need the host's word too.
    carol = await person("carol", pair.guest)
    await may_not_join(carol, room_id, alice.home)
    await join(carol, club, alice.home)
    await becomes(alice, club, carol.user_id, "join")
    await join(carol, room_id, alice.home)
    await becomes(alice, room_id, carol.user_id, "join")
    await agree(room_id, alice, bob, carol)


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_room_that_one_may_be_in_the_club_for_or_knock_at(pair: Pair, person: Society, version: str) -> None:
    """The two ways into a `knock_restricted` room; who has neither stays outside."""
    alice, bob, carol = (
        await person("alice", pair.host),
        await person("bob", pair.guest),
        await person("carol", pair.guest),
    )
    room_id, club = await _restricted(alice, version, "knock_restricted")
    for one in (bob, carol):
        await may_not_join(one, room_id, alice.home)
    # Who knocked may have got into the club meanwhile.
    await _knock(bob, room_id, alice)
    await join(bob, club, alice.home)
    await becomes(alice, club, bob.user_id, "join")
    await join(bob, room_id, alice.home)
    await _vouched_by(alice, room_id, bob.user_id, alice.user_id)
    await _knock(carol, room_id, alice)
    await alice.invite(room_id, carol.user_id)
    await becomes(bob, room_id, carol.user_id, "invite")
    await carol.join(room_id)
    await becomes(alice, room_id, carol.user_id, "join")
    # And the host's own people, seen from the guest.
    erin = await person("erin", pair.host)
    await _knock(erin, room_id, bob)
    await alice.invite(room_id, erin.user_id)
    await erin.join(room_id)
    await becomes(bob, room_id, erin.user_id, "join")
    await agree(room_id, alice, bob, carol, erin)


async def _knock(person: Person, room_id: str, seen_by: Person) -> None:
    (await person.post(f"/_matrix/client/v3/knock/{room_id}?via={seen_by.home}", {"reason": "tea"})).ok()
    await becomes(seen_by, room_id, person.user_id, "knock")


@pytest.mark.parametrize("version", ["8", "10", "11", "12"])
async def test_a_server_that_came_later_vouches(trio: Trio, person: Society, version: str) -> None:
    """For somebody of a third server, and for its own people; the room's own server is not asked."""
    alice, bob, carol, dave = (
        await person("alice", trio.host),
        await person("bob", trio.voucher),
        await person("carol", trio.guest),
        await person("dave", trio.voucher),
    )
    room_id, club = await _restricted(alice, version)
    await join(bob, club, alice.home)
    await join(bob, room_id, alice.home)
    levels = await content(alice, room_id, "m.room.power_levels")
    levels["users"][bob.user_id] = levels["invite"] = 50
    await alice.set_state(room_id, "m.room.power_levels", levels)
    await sees(bob, room_id, "m.room.power_levels", levels)
    for one in (carol, dave):
        await join(one, club, alice.home)
        await becomes(bob, club, one.user_id, "join")
        await _is_let_in(one, room_id, bob.home)
        for other in (alice, bob, one):
            await _vouched_by(other, room_id, one.user_id, bob.user_id)
    thanks = await say(carol, room_id, "thanks")
    for one in (alice, bob, dave):
        await receives(one, room_id, thanks)
    await agree(room_id, alice, bob, carol, dave)


async def test_the_next_server_is_asked_where_one_can_not_vouch(trio: Trio, person: Society) -> None:
    alice, bob, carol = (
        await person("alice", trio.host),
        await person("bob", trio.voucher),
        await person("carol", trio.guest),
    )
    # Where ids of rooms name no server, nobody is asked but who is named.
    room_id, club = await _restricted(alice, "12")
    levels = await content(alice, room_id, "m.room.power_levels")
    levels["invite"] = 50
    await alice.set_state(room_id, "m.room.power_levels", levels)
    await join(bob, club, alice.home)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    await join(carol, club, alice.home)
    await becomes(bob, club, carol.user_id, "join")
    # Nobody of Bob's server may invite.
    refused = await carol.post(f"/_matrix/client/v3/join/{room_id}?via={bob.home}")
    assert refused.status in (400, 403, 502)
    await _is_let_in(carol, room_id, bob.home, alice.home)
    await _vouched_by(bob, room_id, carol.user_id, alice.user_id)
    await agree(room_id, alice, bob, carol)


async def _is_let_in(person: Person, room_id: str, *via: str) -> None:
    """Joins; Synapse lets nobody in before it has all of the room itself."""
    path = f"/_matrix/client/v3/join/{room_id}?" + "&".join(f"via={server}" for server in via)

    async def is_in() -> bool:
        return (await person.post(path)).status == 200

    await eventually(is_in)
