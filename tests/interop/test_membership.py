"""How people get into rooms of a server of another kind, and out of them."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.federation.people import becomes, create, eventually, invited, join, say, told
from tests.interop.conftest import Pair
from tests.interop.people import Person, Society, agree, join_rule, may_not_join

versions = pytest.mark.parametrize("version", ["6", "10", "11", "12"])
#: Those that know knocking, or restricted rooms as they are now.
newer_versions = pytest.mark.parametrize("version", ["10", "11", "12"])


async def not_there(person: Person, room_id: str, section: str) -> None:
    """Waits until a room is gone from a section of somebody's rooms."""

    async def is_gone() -> bool:
        return room_id not in (await person.sync()).get("rooms", {}).get(section, {})

    await eventually(is_gone)


@versions
async def test_joining_by_alias_and_leaving_and_coming_back(pair: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    localpart = f"tea-{alice.user_id[7:15]}"
    room_id = await create(alice, version, room_alias_name=localpart)
    alias = f"#{localpart}:{alice.home}"
    found = (await bob.get(f"/_matrix/client/v3/directory/room/{quote(alias)}")).ok()
    assert found["room_id"] == room_id
    assert alice.home in found["servers"]
    assert await bob.join(alias) == room_id
    await becomes(alice, room_id, bob.user_id, "join")
    await say(bob, room_id, "found it")
    await told(alice, room_id, "found it")
    await bob.leave(room_id)
    await becomes(alice, room_id, bob.user_id, "leave")
    await say(alice, room_id, "while bob is out")
    await alice.set_state(room_id, "m.room.topic", {"topic": "news"})
    await join(bob, room_id, alice.home)
    await say(bob, room_id, "back")
    await told(alice, room_id, "found it", "while bob is out", "back")
    await told(bob, room_id, "found it", "while bob is out", "back")
    await agree(room_id, alice, bob)


@versions
async def test_an_invite_is_accepted(pair: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, version, preset="private_chat", name="Tea", invite=[bob.user_id], is_direct=True)
    shown = await invited(bob, room_id)
    preview = {event["type"]: event for event in shown["invite_state"]["events"]}
    assert preview["m.room.name"]["content"] == {"name": "Tea"}
    assert "m.room.create" in preview
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/join")).ok()
    await becomes(alice, room_id, bob.user_id, "join")
    await say(bob, room_id, "thanks")
    await told(alice, room_id, "thanks")
    await agree(room_id, alice, bob)


@versions
async def test_an_invite_is_turned_down_and_another_taken_back(pair: Pair, person: Society, version: str) -> None:
    alice, bob, carol = (
        await person("alice", pair.host),
        await person("bob", pair.guest),
        await person("carol", pair.guest),
    )
    room_id = await create(alice, version, preset="private_chat", invite=[bob.user_id, carol.user_id])
    await invited(bob, room_id)
    await bob.leave(room_id)
    await becomes(alice, room_id, bob.user_id, "leave")
    await not_there(bob, room_id, "invite")
    await may_not_join(bob, room_id, alice.home)
    await invited(carol, room_id)
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": carol.user_id})).ok()
    await not_there(carol, room_id, "invite")
    await alice.invite(room_id, carol.user_id)
    await invited(carol, room_id)
    await carol.join(room_id)
    await becomes(alice, room_id, carol.user_id, "join")
    await agree(room_id, alice, carol)


@newer_versions
async def test_knocks_are_answered_refused_and_taken_back(pair: Pair, person: Society, version: str) -> None:
    alice = await person("alice", pair.host)
    bob, carol, dave = [await person(name, pair.guest) for name in ("bob", "carol", "dave")]
    room_id = await create(alice, version, preset="private_chat", initial_state=[join_rule("knock")])
    for one in (bob, carol, dave):
        (await one.post(f"/_matrix/client/v3/knock/{room_id}?via={alice.home}", {"reason": "tea"})).ok()
        await becomes(alice, room_id, one.user_id, "knock")
        shown = (await one.sync())["rooms"]["knock"][room_id]["knock_state"]["events"]
        assert "m.room.create" in {event["type"] for event in shown}
    await alice.invite(room_id, bob.user_id)
    await invited(bob, room_id)
    await bob.join(room_id)
    await becomes(alice, room_id, bob.user_id, "join")
    await carol.leave(room_id)
    await becomes(alice, room_id, carol.user_id, "leave")
    await not_there(carol, room_id, "knock")
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": dave.user_id})).ok()
    await not_there(dave, room_id, "knock")
    await agree(room_id, alice, bob)


@versions
async def test_somebody_is_put_out_and_banned(pair: Pair, person: Society, version: str) -> None:
    alice, bob, carol = (
        await person("alice", pair.host),
        await person("bob", pair.guest),
        await person("carol", pair.guest),
    )
    room_id = await create(alice, version)
    await join(bob, room_id, alice.home)
    await join(carol, room_id, alice.home)
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": bob.user_id, "reason": "noise"})).ok()
    await becomes(carol, room_id, bob.user_id, "leave")
    await not_there(bob, room_id, "join")
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": bob.user_id})).ok()
    await becomes(carol, room_id, bob.user_id, "ban")
    await not_there(bob, room_id, "join")
    await may_not_join(bob, room_id, alice.home)
    # The last of that server's people: it has to hear of the ban although it is in the room no longer.
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": carol.user_id})).ok()
    await not_there(carol, room_id, "join")
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/unban", {"user_id": carol.user_id})).ok()
    await join(carol, room_id, alice.home)
    await becomes(alice, room_id, carol.user_id, "join")
    await agree(room_id, alice, carol)
