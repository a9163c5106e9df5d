"""Two Wefts and a Synapse share a room; each, and two at a time, is stopped while the others talk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.federation.people import becomes, create, eventually, join, say, told
from tests.interop.conftest import Pair
from tests.interop.homeservers import Homeserver
from tests.interop.people import Person, Society, agree, receives, sees, texts


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
async def test_three_servers_share_a_room(pair: Pair, second_weft: Homeserver, person: Society, version: str) -> None:
    alice, bob, carol = (
        await person("alice", pair.host),
        await person("bob", second_weft),
        await person("carol", pair.guest),
    )
    room_id = await create(alice, version)
    await join(carol, room_id, alice.home)

    async def is_let_in() -> bool:
        # Through a server on which the room does not live; Synapse lets nobody in before it has all of the room itself.
        return (await bob.post(f"/_matrix/client/v3/join/{room_id}?via={carol.home}")).status == 200

    await eventually(is_let_in)
    await _all_are_in(room_id, alice, bob, carol)
    said: list[str] = []
    for one in (alice, bob, carol):
        said.append(f"hello from {one.user_id}")
        await say(one, room_id, said[-1])
        await _all_told(room_id, (alice, bob, carol), said)
    # All at once: the graph forks, and comes together again.
    await asyncio.gather(*(say(one, room_id, f"I speak now, says {one.user_id}") for one in (alice, bob, carol)))
    await agree(room_id, alice, bob, carol)


@pytest.mark.parametrize(
    ("away", "version"),
    [
        (("weft",), "10"),
        (("second_weft",), "11"),
        (("synapse",), "6"),
        (("synapse",), "12"),
        (("weft", "second_weft"), "10"),
        (("weft", "second_weft"), "12"),
        (("weft", "synapse"), "11"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
async def test_servers_that_were_away(
    weft: Homeserver,
    second_weft: Homeserver,
    synapse: Homeserver,
    person: Society,
    away: tuple[str, ...],
    version: str,
) -> None:
    """What is said meanwhile, also in a room of those who stay, reaches everybody once all are back."""
    servers = {"weft": weft, "second_weft": second_weft, "synapse": synapse}
    absent = [await person("absent", servers[name]) for name in away]
    staying = [await person("staying", server) for name, server in servers.items() if name not in away]
    if len(staying) == 1:
        staying.append(await person("staying", staying[0].server))
    everybody = [*staying, *absent]
    host = staying[0]
    room_id = await create(host, version)
    for one in everybody[1:]:
        await join(one, room_id, host.home)
    await _all_are_in(room_id, *everybody)
    said: list[str] = []
    for one in absent:
        said.append(f"before, says {one.user_id}")
        await say(one, room_id, said[-1])
        await _all_told(room_id, everybody, said)
    for one in absent:
        one.server.stop()
    try:
        for number in range(12):
            said.append(f"message {number}")
            await say(staying[number % 2], room_id, said[-1])
            await _all_told(room_id, staying, said)
        await host.set_state(room_id, "m.room.topic", {"topic": "they are away"})
        await sees(staying[1], room_id, "m.room.topic", {"topic": "they are away"})
    finally:
        for one in absent:
            await one.server.start()
    for one in absent:
        said.append(f"I am back, says {one.user_id}")
        await say(one, room_id, said[-1])
    await agree(room_id, *everybody, seconds=40)
    for one in everybody:
        assert sorted(await texts(one, room_id)) == sorted(said)
    last = await say(staying[1], room_id, "good to see you")
    for one in everybody:
        await receives(one, room_id, last)


async def _all_are_in(room_id: str, *people: Person) -> None:
    """Waits until each sees each as joined."""
    for one in people:
        for other in people:
            await becomes(one, room_id, other.user_id, "join")


async def _all_told(room_id: str, people: Sequence[Person], said: Sequence[str]) -> None:
    """Waits until each of them sees just these messages."""
    for one in people:
        await told(one, room_id, *said)
