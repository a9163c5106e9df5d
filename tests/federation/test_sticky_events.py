"""Sticky events between servers: whoever is in the room gets them, however they came to be in it.

https://github.com/matrix-org/matrix-spec-proposals/pull/4354
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import create, eventually, join, say
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push
from tests.modules.test_sticky_events import FIELD, MEMBER, stick, timeline, told
from weft.federation.transport import OutgoingRequest
from weft.graph.build import Draft
from weft.graph.decide import Verdict
from weft.graph.outcome import Outcome
from weft.testing import Client, TestServer


async def hears(client: Client, room_id: str, *wanted: str) -> None:
    """Waits until a client that begins anew is told of just these."""

    async def is_told() -> bool:
        return sorted(told(await client.sync(), room_id)) == sorted(wanted)

    try:
        await eventually(is_told)
    except AssertionError:
        raise AssertionError(f"{told(await client.sync(), room_id)} instead of {wanted}") from None


async def chatter(client: Client, room_id: str) -> None:
    for number in range(12):
        await say(client, room_id, f"so much to say {number}")


async def test_a_server_that_comes_into_the_room_is_sent_them(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    state = [{"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}}]
    room_id = await create(alice, initial_state=state)
    first, second = await stick(alice, room_id), await stick(alice, room_id)
    await chatter(alice, room_id)
    await join(bob, room_id, one.name)
    await chatter(alice, room_id)
    await hears(bob, room_id, first, second)
    third = await stick(bob, room_id)
    await chatter(bob, room_id)
    await hears(alice, room_id, first, second, third)


async def test_a_server_is_sent_those_of_ours_wherever_it_came_in(servers: Kit) -> None:
    """By a third server, which does not pass on what others said."""
    one, two, three = await servers(3)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await create(alice)
    await join(bob, room_id, one.name)
    of_alice, of_bob = await stick(alice, room_id), await stick(bob, room_id)
    await chatter(alice, room_id)
    await hears(bob, room_id, of_alice, of_bob)
    await join(carol, room_id, two.name)
    await chatter(alice, room_id)
    await hears(carol, room_id, of_alice, of_bob)


async def test_a_server_that_was_away_gets_what_is_sticky_still(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, one.name)
    memory_servers.network.part([one.name], [two.name])
    short, long = await stick(alice, room_id, 60_000), await stick(alice, room_id, 3_600_000)
    for number in range(150):
        await say(alice, room_id, f"while Bob is away {number}")
    memory_servers.network.mend_all()
    memory_servers.clock.advance(600)
    await say(alice, room_id, "back")
    await hears(bob, room_id, long)
    assert short not in told(await bob.sync(), room_id)


async def test_one_that_was_soft_failed_is_told_once_its_sender_may(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    joined = await stranger.join(room_id)
    eve = stranger.user("eve")
    late = await stranger.make(room_id, a_sticky_one(eve), prev=[joined])
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": eve})).ok()
    since = (await alice.sync())["next_batch"]
    await push(stranger, late)
    await look_again(victim.server)
    assert told(await alice.sync(), room_id) == []
    await alice.send(room_id, "without her")
    await look_again(victim.server)
    answer = await alice.sync(since)
    assert told(answer, room_id) == []
    assert late.event_id not in timeline(answer, room_id)
    await stranger.join(room_id)
    await look_again(victim.server)
    answer = await alice.sync(answer["next_batch"])
    assert told(answer, room_id) == [late.event_id]
    event = answer["rooms"]["join"][room_id][FIELD]["events"][0]
    assert event[FIELD] == {"duration_ms": 600_000}
    assert event["sender"] == eve
    await look_again(victim.server)
    assert "rooms" not in await alice.sync(answer["next_batch"])


async def test_a_room_that_is_being_deleted_keeps_no_other_back(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    engine = victim.server.server.engine
    rooms = [await alice.create_room(preset="public_chat", room_version="10") for _ in range(2)]
    late = []
    for room_id in rooms:
        joined = await stranger.join(room_id)
        late.append(await stranger.make(room_id, a_sticky_one(stranger.user("eve")), prev=[joined]))
        (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": stranger.user("eve")})).ok()
        await push(stranger, late[-1])
        await stranger.join(room_id)
    gone = await engine.rooms.get(rooms[0])
    await engine.database.write(engine.purging.part, gone.number, gone.id)
    await look_again(victim.server)
    assert told(await alice.sync(), rooms[1]) == [late[1].event_id]


async def test_one_that_the_rooms_past_forbids_is_never_told(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    eve = stranger.user("eve")
    early = await stranger.make(room_id, a_sticky_one(eve))
    await push(stranger, early)
    await stranger.join(room_id)
    await look_again(victim.server)
    assert told(await alice.sync(), room_id) == []


@pytest.mark.parametrize("is_banned", [False, True])
async def test_one_that_comes_as_part_of_the_past(
    victim: Victim, stranger: Stranger, alice: Client, is_banned: bool
) -> None:
    """Whoever has no say in the room any more gets none by having others find it in the past."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    joined = await stranger.join(room_id)
    eve = stranger.user("eve")
    early = await stranger.make(room_id, a_sticky_one(eve), prev=[joined])
    if is_banned:
        (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": eve})).ok()
    await chatter(alice, room_id)
    taken = await victim.server.server.engine.receive.take(room_id, [early], past=True)
    assert taken[early.event_id].verdict == Verdict(Outcome.ACCEPTED)
    assert told(await alice.sync(), room_id) == []
    await look_again(victim.server)
    assert told(await alice.sync(), room_id) == ([] if is_banned else [early.event_id])


async def test_what_comes_while_a_room_is_entered_is_not_lost(
    memory_servers: MemoryKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room's servers know that we are in it before we have its state on disk."""
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    sent: list[str] = []

    async def note(request: OutgoingRequest) -> None:
        if request.destination == two.name and b"in between" in (request.body or b""):
            sent.append(request.uri)

    async def is_sent() -> bool:
        return bool(sent)

    handshakes = two.server.engine.remote.handshakes
    entry = handshakes._entry

    async def slowly(*args: Any) -> Any:
        await say(alice, room_id, "in between")
        await eventually(is_sent)
        return await entry(*args)

    monkeypatch.setattr(handshakes, "_entry", slowly)
    memory_servers.network.on_request.append(note)
    await join(bob, room_id, one.name)

    async def is_there() -> bool:
        found = (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=5")).ok()["chunk"]
        return found[0]["content"].get("body") == "in between"

    await eventually(is_there)
    assert len(sent) == 1


def a_sticky_one(sender: str) -> Draft:
    return Draft(type=MEMBER, sender=sender, content={"msc4354_sticky_key": "phone"}, sticky_ms=600_000)


async def look_again(server: TestServer) -> None:
    task = next(t for m in server.server.modules for t in m.tasks if t.name == "soft-failed sticky events")
    await task.run()
