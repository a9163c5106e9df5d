"""A room's access control list keeps a server of the other kind out, and lets it in again.

The list goes by hosts without their ports, so the Weft of these tests is the one that has an address for a name.

https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

import pytest

from tests.federation.people import becomes, create, join, say, told
from tests.interop.conftest import Pair
from tests.interop.homeservers import Homeserver
from tests.interop.people import (
    Person,
    Society,
    agree,
    ephemeral,
    may_not_join,
    receives,
    sees,
    sees_receipt,
    sees_typing,
    shows,
)

OPEN = {"allow": ["*"], "deny": []}


@pytest.fixture(params=["weft", "synapse"])
def strangers(request: pytest.FixtureRequest, second_weft: Homeserver, synapse: Homeserver) -> Pair:
    """Two servers whose hosts have different names."""
    return Pair(second_weft, synapse) if request.param == "weft" else Pair(synapse, second_weft)


def all_but(server_name: str) -> dict[str, list[str]]:
    return {"allow": ["*"], "deny": [server_name.partition(":")[0]]}


async def _shared(version: str, alice: Person, bob: Person) -> str:
    room_id = await create(alice, version)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    return room_id


async def _types(person: Person, room_id: str, *, typing: bool = True) -> None:
    path = f"/_matrix/client/v3/rooms/{room_id}/typing/{person.user_id}"
    (await person.put(path, {"typing": typing, "timeout": 30_000})).ok()


async def _types_and_reads(person: Person, room_id: str, event_id: str) -> None:
    await _types(person, room_id)
    (await person.post(f"/_matrix/client/v3/rooms/{room_id}/receipt/m.read/{event_id}")).ok()


@pytest.mark.refusals
@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
async def test_a_server_is_kept_out_and_let_in_again(strangers: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", strangers.host), await person("bob", strangers.guest)
    room_id, elsewhere = await _shared(version, alice, bob), await _shared(version, alice, bob)
    await say(bob, room_id, "before")
    await told(alice, room_id, "before")
    await alice.set_state(room_id, "m.room.server_acl", all_but(bob.home))
    await sees(bob, room_id, "m.room.server_acl", all_but(bob.home))

    # What is said there stays there.
    lost = await say(bob, room_id, "nobody hears me")
    kept = await say(alice, room_id, "hush")
    await receives(bob, room_id, kept)
    read = await say(alice, elsewhere, "over here")
    await receives(bob, elsewhere, read)
    await _types_and_reads(bob, room_id, kept)
    await _types_and_reads(bob, elsewhere, read)
    # Later than these, in another room, where bob's server is welcome.
    await sees_typing(alice, elsewhere, bob.user_id)
    await sees_receipt(alice, elsewhere, read, bob.user_id)
    await say(bob, elsewhere, "and here")
    await told(alice, elsewhere, "over here", "and here")
    assert (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/event/{lost}")).status == 404
    await shows(alice, room_id, "before", "hush")
    seen = await ephemeral(alice, room_id)
    assert bob.user_id not in seen.get("m.typing", {}).get("user_ids", [])
    assert bob.user_id not in seen.get("m.receipt", {}).get(kept, {}).get("m.read", {})
    # Synapse forgets its copy of the list before the new one is written; what comes in between has it remember the old
    # one for good. So nothing is on its way when the list is changed.
    await _types(bob, room_id, typing=False)
    await _types(bob, elsewhere, typing=False)
    await sees_typing(alice, elsewhere)

    await alice.set_state(room_id, "m.room.server_acl", OPEN)
    await sees(bob, room_id, "m.room.server_acl", OPEN)
    back = await say(bob, room_id, "can you hear me?")
    await receives(alice, room_id, back)
    await _types_and_reads(bob, room_id, back)
    await sees_typing(alice, room_id, bob.user_id)
    await sees_receipt(alice, room_id, back, bob.user_id)
    # Once it is allowed, so is what it said meanwhile: the next event builds on it.
    await receives(alice, room_id, lost)
    await say(alice, room_id, "yes")
    await agree(room_id, alice, bob)


@pytest.mark.parametrize("version", ["10", "12"])
async def test_a_server_that_is_kept_out_can_not_join(strangers: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", strangers.host), await person("bob", strangers.guest)
    rule = {"type": "m.room.server_acl", "state_key": "", "content": all_but(bob.home)}
    room_id = await create(alice, version, initial_state=[rule])
    await may_not_join(bob, room_id, alice.home)
    await alice.set_state(room_id, "m.room.server_acl", OPEN)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    await agree(room_id, alice, bob)


@pytest.mark.refusals
@pytest.mark.parametrize("version", ["10", "12"])
async def test_a_moderator_of_the_other_server_keeps_the_host_out(
    strangers: Pair, person: Society, version: str
) -> None:
    """The list binds the server on which the room began as well."""
    alice, bob = await person("alice", strangers.host), await person("bob", strangers.guest)
    room_id, elsewhere = await _shared(version, alice, bob), await _shared(version, alice, bob)
    levels = (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.power_levels/")).ok()
    levels["users"][bob.user_id] = 100
    levels["events"]["m.room.server_acl"] = 100
    await alice.set_state(room_id, "m.room.power_levels", levels)
    await sees(bob, room_id, "m.room.power_levels", levels)
    await bob.set_state(room_id, "m.room.server_acl", all_but(alice.home))
    await sees(alice, room_id, "m.room.server_acl", all_but(alice.home))
    lost = await say(alice, room_id, "this was my room")
    await say(alice, elsewhere, "hello?")
    await told(bob, elsewhere, "hello?")
    assert (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/event/{lost}")).status == 404
    await bob.set_state(room_id, "m.room.server_acl", OPEN)
    await sees(alice, room_id, "m.room.server_acl", OPEN)
    await say(alice, room_id, "it is again")
    await receives(bob, room_id, lost)
    await agree(room_id, alice, bob)
