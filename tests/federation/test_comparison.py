"""Whether servers hold the same state of a room: an operator asks, and is told where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import becomes, create, join, say, told
from weft.protocol.event import StateKey
from weft.rooms.room import Room
from weft.storage.events import StoredEvent
from weft.testing import Client, TestServer


async def compare(operator: Client, room_id: str, *servers: str) -> dict[str, dict[str, Any]]:
    query = "&".join(f"server={one}" for one in servers)
    path = f"/_weft/admin/v1/rooms/{quote(room_id, safe='')}/comparison?{query}"
    return {one["server_name"]: one for one in (await operator.get(path)).ok()["servers"]}


async def a_room(one: TestServer, two: TestServer, version: str = "12") -> tuple[Client, Client, str]:
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, version)
    await join(bob, room_id, "one.test")
    await becomes(alice, room_id, str(bob.user_id), "join")
    return alice, bob, room_id


@pytest.mark.parametrize("version", ["1", "10", "12"])
async def test_the_same_state(servers: Kit, version: str) -> None:
    one, two = await servers(2)
    alice, bob, room_id = await a_room(one, two, version)
    await say(bob, room_id, "hello")
    await told(alice, room_id, "hello")
    for operator, other in ((alice, "two.test"), (bob, "one.test")):
        found = (await compare(operator, room_id))[other]
        assert found["same"] is True
        assert found["error"] is None
        assert found["differences"] == []
        assert [end["here"] for end in found["ends"]] == ["accepted"]
        assert found["compared_before"] == [found["ends"][0]["event_id"]]


async def test_what_we_have_not_heard_of(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob, room_id = await a_room(one, two)
    memory_servers.network.cut("one.test", "two.test")
    said = await say(alice, room_id, "you can't hear me")
    found = (await compare(bob, room_id))["one.test"]
    assert found["ends"] == [{"event_id": said, "here": "unknown"}]
    assert found["same"] is True, "as of what both have"
    assert found["compared_before"]


async def test_another_state(memory_servers: MemoryKit, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = await memory_servers(2)
    alice, bob, room_id = await a_room(one, two)
    topics = []
    for topic in ("old", "new"):
        path = f"/_matrix/client/v3/rooms/{room_id}/state/m.room.topic/"
        topics.append((await alice.put(path, {"topic": topic})).ok()["event_id"])
    await say(alice, room_id, "done")
    await told(bob, room_id, "done")
    rooms = one.server.engine.rooms
    truth = rooms.state_before
    place = ("m.room.topic", "")

    async def another(room: Room, stored: StoredEvent) -> Mapping[StateKey, str]:
        return {**await truth(room, stored), place: topics[0]}

    monkeypatch.setattr(rooms, "state_before", another)
    found = (await compare(bob, room_id))["one.test"]
    assert found["same"] is False
    assert found["differences"] == [
        {
            "type": "m.room.topic",
            "state_key": "",
            "ours": topics[1],
            "theirs": topics[0],
            "their_event_here": "accepted",
        }
    ]
    assert found["more"] == 0


async def test_an_event_of_their_state_that_is_not_here(
    memory_servers: MemoryKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await memory_servers(2)
    alice, bob, room_id = await a_room(one, two)
    memory_servers.network.cut("one.test", "two.test")
    path = f"/_matrix/client/v3/rooms/{room_id}/state/m.room.topic/"
    topic = (await alice.put(path, {"topic": "unheard of"})).ok()["event_id"]
    rooms = one.server.engine.rooms
    truth = rooms.state_before

    async def another(room: Room, stored: StoredEvent) -> Mapping[StateKey, str]:
        return {**await truth(room, stored), ("m.room.topic", ""): topic}

    monkeypatch.setattr(rooms, "state_before", another)
    (difference,) = (await compare(bob, room_id))["one.test"]["differences"]
    assert (difference["type"], difference["theirs"]) == ("m.room.topic", topic)
    assert difference["their_event_here"] == "unknown"
    assert "ours" not in difference


async def test_servers_that_tell_nothing(memory_servers: MemoryKit) -> None:
    one, two, three = await memory_servers(3)
    alice, _, room_id = await a_room(one, two)
    await three.user("carol")
    found = await compare(alice, room_id, "two.test", "three.test", "four.test", "no name", "one.test")
    assert found["two.test"]["same"] is True
    for name in ("three.test", "four.test", "no name", "one.test"):
        assert found[name]["same"] is None
        assert found[name]["error"]
