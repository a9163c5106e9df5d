"""Two Wefts and a Synapse share a room; each Weft is stopped in turn while the others talk."""

from __future__ import annotations

import asyncio

import pytest

from tests.federation.people import becomes, create, eventually, join, say, told
from tests.interop.homeservers import Homeserver
from tests.interop.people import Society, agree, receives, sees, texts


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
async def test_three_servers_share_a_room(
    weft: Homeserver, second_weft: Homeserver, synapse: Homeserver, person: Society, version: str
) -> None:
    alice, bob, carol = await person("alice", weft), await person("bob", second_weft), await person("carol", synapse)
    room_id = await create(alice, version)
    await join(carol, room_id, alice.home)

    async def is_let_in() -> bool:
        # Through a server on which the room does not live; Synapse lets nobody in before it has all of the room itself.
        return (await bob.post(f"/_matrix/client/v3/join/{room_id}?via={carol.home}")).status == 200

    await eventually(is_let_in)
    for one in (alice, bob, carol):
        for other in (alice, bob, carol):
            await becomes(one, room_id, other.user_id, "join")
    said: list[str] = []
    for one in (alice, bob, carol):
        said.append(f"hello from {one.user_id}")
        await say(one, room_id, said[-1])
        for other in (alice, bob, carol):
            await told(other, room_id, *said)
    # All at once: the graph forks, and comes together again.
    await asyncio.gather(*(say(one, room_id, f"I speak now, says {one.user_id}") for one in (alice, bob, carol)))
    await agree(room_id, alice, bob, carol)


@pytest.mark.parametrize("away", ["weft", "second_weft"])
async def test_a_server_that_was_away(
    weft: Homeserver, second_weft: Homeserver, synapse: Homeserver, person: Society, away: str
) -> None:
    people = {
        "weft": await person("alice", weft),
        "second_weft": await person("bob", second_weft),
        "synapse": await person("carol", synapse),
    }
    absent = people.pop(away)
    host, guest = people.values()
    room_id = await create(host, "11")
    for one in (guest, absent):
        await join(one, room_id, host.home)
    for one in (host, guest, absent):
        for other in (host, guest, absent):
            await becomes(one, room_id, other.user_id, "join")
    said = ["before"]
    await say(absent, room_id, "before")
    for one in (host, guest):
        await told(one, room_id, *said)
    absent.server.stop()
    try:
        for number in range(12):
            said.append(f"message {number}")
            await say((host, guest)[number % 2], room_id, said[-1])
            for one in (host, guest):
                await told(one, room_id, *said)
        await host.set_state(room_id, "m.room.topic", {"topic": "they are away"})
        await sees(guest, room_id, "m.room.topic", {"topic": "they are away"})
    finally:
        await absent.server.start()
    await say(absent, room_id, "I am back")
    await agree(room_id, host, guest, absent, seconds=40)
    assert sorted(await texts(absent, room_id)) == sorted([*said, "I am back"])
    last = await say(guest, room_id, "good to see you")
    for one in (host, absent):
        await receives(one, room_id, last)
