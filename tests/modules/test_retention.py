"""Messages that a room keeps for a time only."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
HOUR = 3_600_000


async def room_of(alice: Client, lifetime: int | None = HOUR) -> str:
    room_id = await alice.create_room(preset="public_chat")
    if lifetime is not None:
        await alice.set_state(room_id, "m.room.retention", {"max_lifetime": lifetime})
    return room_id


async def texts(who: Client, room_id: str) -> list[str]:
    found = (await who.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", limit=50)).ok()["chunk"]
    return [one["content"]["body"] for one in found if one["type"] == "m.room.message"]


async def purge(server: TestServer) -> None:
    tasks = [task for module in server.server.modules for task in module.tasks if task.name == "expired messages"]
    assert len(tasks) == 1
    await tasks[0].run()


async def stored(server: TestServer, event_ids: list[str]) -> set[str]:
    rows = await server.server.engine.database.read(
        lambda tx: tx.all("SELECT event_id FROM events WHERE event_id IN :ids", ids=event_ids)
    )
    return {event_id for (event_id,) in rows}


async def test_what_has_expired_is_hidden_and_then_removed(start_server: Start) -> None:
    server = await start_server({"retention": {"enabled": True}})
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await room_of(alice)
    kept_room = await room_of(alice, None)
    await bob.join(room_id)
    old = [await alice.send(room_id, f"old {number}") for number in range(3)]
    kept = await alice.send(kept_room, "for ever")
    since = (await bob.sync())["next_batch"]
    server.clock.advance(1800)
    new = await alice.send(room_id, "new")
    assert await texts(bob, room_id) == ["new", "old 2", "old 1", "old 0"]
    server.clock.advance(1900)
    # None of them was removed yet.
    assert await stored(server, old) == set(old)
    assert await texts(bob, room_id) == ["new"]
    (await bob.get(f"{V3}/rooms/{quote(room_id)}/event/{quote(old[0])}")).refused(404, "M_NOT_FOUND")
    timeline = (await bob.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    assert not {one["event_id"] for one in timeline} & set(old)
    found = {"search_categories": {"room_events": {"search_term": "old"}}}
    assert (await bob.post(f"{V3}/search", found)).ok()["search_categories"]["room_events"]["results"] == []
    await purge(server)
    assert await stored(server, [*old, new, kept]) == {new, kept}
    assert await texts(bob, room_id) == ["new"]
    assert await texts(alice, kept_room) == ["for ever"]
    state = (await bob.get(f"{V3}/rooms/{quote(room_id)}/state")).ok()
    assert {"m.room.create", "m.room.retention", "m.room.member"} <= {one["type"] for one in state}
    # The room goes on as before, for those who come back from an old token too.
    last = await alice.send(room_id, "last")
    later = (await bob.sync(since))["rooms"]["join"][room_id]["timeline"]["events"]
    assert later[-1]["event_id"] == last


async def test_the_last_message_stays_in_the_database_and_is_hidden(start_server: Start) -> None:
    """The next event builds on it."""
    server = await start_server({"retention": {"enabled": True}})
    alice = await server.user("alice")
    room_id = await room_of(alice)
    only = await alice.send(room_id, "only")
    server.clock.advance(3700)
    await purge(server)
    assert await stored(server, [only]) == {only}
    assert await texts(alice, room_id) == []
    await alice.send(room_id, "next")
    await purge(server)
    assert await stored(server, [only]) == set()
    assert await texts(alice, room_id) == ["next"]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"enabled": False, "default_lifetime": "1h"}, ["said"]),
        ({"enabled": True}, ["said"]),
        ({"enabled": True, "default_lifetime": "1h"}, []),
        ({"enabled": True, "default_lifetime": "1h", "shortest_lifetime": "7d"}, ["said"]),
    ],
)
async def test_what_the_server_says_of_rooms_that_say_nothing(
    start_server: Start, settings: dict[str, Any], left: list[str]
) -> None:
    server = await start_server({"retention": settings})
    alice = await server.user("alice")
    room_id = await room_of(alice, None)
    await alice.send(room_id, "said")
    server.clock.advance(2 * 3600)
    assert await texts(alice, room_id) == left


async def test_many_messages_expire_in_steps(start_server: Start) -> None:
    server = await start_server({"retention": {"enabled": True}})
    alice = await server.user("alice")
    room_id = await room_of(alice)
    old = [await alice.send(room_id, f"old {number}") for number in range(520)]
    server.clock.advance(3700)
    new = await alice.send(room_id, "new")
    await purge(server)
    assert await stored(server, [*old, new]) == {new}
