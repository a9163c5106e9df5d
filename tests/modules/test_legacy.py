"""What `/sync` replaced, and previews. https://spec.matrix.org/v1.19/client-server-api/#room-previews"""

from __future__ import annotations

import asyncio
from typing import Any

from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


def ids(events: list[Any]) -> list[str]:
    return [one["event_id"] for one in events]


def state(events: list[Any]) -> dict[tuple[str, str], Any]:
    return {(one["type"], one["state_key"]): one["content"] for one in events}


async def world_readable(client: Client, **options: Any) -> str:
    initial = [{"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}]
    return await client.create_room(preset="public_chat", initial_state=initial, **options)


async def guest_of(server: TestServer) -> Client:
    made = (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()
    return server.client(made["access_token"], user_id=made["user_id"])


async def events(client: Client, **query: Any) -> Any:
    return (await client.get(f"{V3}/events", **query)).ok()


async def until_waiting() -> None:
    await asyncio.sleep(0.05)


# -- one room


async def test_a_room_that_one_is_in(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(name="Here")
    sent = [await alice.send(room_id, str(number)) for number in range(5)]
    path = f"{V3}/user/{alice.user_id}/rooms/{room_id}"
    (await alice.put(f"{path}/account_data/org.example.note", {"x": 1})).ok()
    (await alice.post(f"{V3}/rooms/{room_id}/receipt/m.read/{sent[4]}")).ok()
    info = (await alice.get(f"{V3}/rooms/{room_id}/initialSync", limit=3)).ok()
    assert (info["room_id"], info["membership"], info["visibility"]) == (room_id, "join", "private")
    assert ids(info["messages"]["chunk"]) == sent[2:]
    assert state(info["state"])["m.room.name", ""] == {"name": "Here"}
    assert {"type": "org.example.note", "content": {"x": 1}} in info["account_data"]
    assert [sent[4] in receipt["content"] for receipt in info["receipts"]] == [True]
    page = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", from_=info["messages"]["start"])).ok()
    assert ids(page["chunk"])[:2] == [sent[1], sent[0]]
    later = await alice.send(room_id, "later")
    assert ids((await events(alice, from_=info["messages"]["end"]))["chunk"]) == [later]
    (await bob.get(f"{V3}/rooms/{room_id}/initialSync")).refused(403, "M_FORBIDDEN")
    (await bob.get(f"{V3}/rooms/!unknown:weft.test/initialSync")).refused(403, "M_FORBIDDEN")


async def test_a_room_that_one_has_left(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat", name="Before")
    await bob.join(room_id)
    seen = await alice.send(room_id, "seen")
    await bob.leave(room_id)
    secret = await alice.send(room_id, "secret")
    await alice.set_state(room_id, "m.room.name", {"name": "After"})
    info = (await bob.get(f"{V3}/rooms/{room_id}/initialSync")).ok()
    assert info["membership"] == "leave"
    assert state(info["state"])["m.room.name", ""] == {"name": "Before"}
    assert seen in ids(info["messages"]["chunk"])
    assert secret not in ids(info["messages"]["chunk"])
    assert info["messages"]["chunk"][-1]["content"]["membership"] == "leave"


async def test_a_room_that_all_the_world_may_read(server: TestServer) -> None:
    alice, guest = await server.user("alice"), await guest_of(server)
    room_id = await world_readable(alice, visibility="public")
    sent = await alice.send(room_id, "hello, world")
    info = (await guest.get(f"{V3}/rooms/{room_id}/initialSync")).ok()
    assert "membership" not in info
    assert info["visibility"] == "public"
    assert ids(info["messages"]["chunk"])[-1] == sent
    assert ("m.room.create", "") in state(info["state"])


# -- all rooms


async def test_all_rooms_at_once(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    joined = await alice.create_room(preset="public_chat", visibility="public")
    left, inviting = await alice.create_room(preset="public_chat"), await alice.create_room()
    await bob.join(joined)
    await bob.join(left)
    await bob.leave(left)
    await alice.invite(inviting, bob.user_id)
    sent = [await alice.send(joined, str(number)) for number in range(4)]
    (await bob.put(f"{V3}/user/{bob.user_id}/account_data/org.example.all", {"y": 2})).ok()
    (await bob.post(f"{V3}/rooms/{joined}/receipt/m.read/{sent[3]}")).ok()
    answer = (await bob.get(f"{V3}/initialSync", limit=2)).ok()
    rooms = {room["room_id"]: room for room in answer["rooms"]}
    assert set(rooms) == {joined, inviting}
    assert (rooms[joined]["membership"], rooms[joined]["visibility"]) == ("join", "public")
    assert ids(rooms[joined]["messages"]["chunk"]) == sent[2:]
    assert ("m.room.member", bob.user_id) in state(rooms[joined]["state"])
    assert rooms[inviting]["membership"] == "invite"
    assert rooms[inviting]["invite"]["content"]["membership"] == "invite"
    assert "state" not in rooms[inviting]
    assert {"type": "org.example.all", "content": {"y": 2}} in answer["account_data"]
    assert [receipt["room_id"] for receipt in answer["receipts"]] == [joined]
    with_left = (await bob.get(f"{V3}/initialSync", archived=True)).ok()
    rooms = {room["room_id"]: room for room in with_left["rooms"]}
    assert set(rooms) == {joined, inviting, left}
    assert rooms[left]["membership"] == "leave"
    later = await alice.send(joined, "later")
    assert ids((await events(bob, from_=answer["end"]))["chunk"]) == [later]


# -- the stream


async def test_the_stream_of_ones_rooms(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id, other = await alice.create_room(preset="public_chat"), await alice.create_room()
    await bob.join(room_id)
    start = await events(bob)
    assert start["chunk"] == []
    sent = await alice.send(room_id, "one")
    await alice.send(other, "not for bob")
    answer = await events(bob, from_=start["end"])
    assert (answer["start"], ids(answer["chunk"])) == (start["end"], [sent])
    assert answer["chunk"][0]["room_id"] == room_id
    assert (await events(bob, from_=answer["end"]))["chunk"] == []
    await alice.invite(other, bob.user_id)
    invite = await events(bob, from_=answer["end"])
    assert [one["content"]["membership"] for one in invite["chunk"]] == ["invite"]
    await bob.leave(room_id)
    secret = await alice.send(room_id, "secret")
    found = await events(bob, from_=invite["end"])
    assert secret not in ids(found["chunk"])
    assert found["chunk"][-1]["content"]["membership"] == "leave"
    (await bob.get(f"{V3}/events", from_="nonsense")).refused(400, "M_INVALID_PARAM")


async def test_the_stream_waits_for_what_comes(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    token = (await events(bob))["end"]
    waiting = asyncio.create_task(events(bob, from_=token, timeout=20_000))
    await until_waiting()
    assert not waiting.done()
    sent = await alice.send(room_id)
    assert ids((await asyncio.wait_for(waiting, 10))["chunk"]) == [sent]
    empty = await events(bob, from_=(await events(bob))["end"], timeout=30)
    assert empty["chunk"] == []


async def test_looking_into_a_room_as_it_goes_on(server: TestServer) -> None:
    alice, bob, guest = await server.user("alice"), await server.user("bob"), await guest_of(server)
    room_id, closed = await world_readable(alice), await alice.create_room()
    own = await bob.create_room()
    token = (await guest.get(f"{V3}/rooms/{room_id}/initialSync")).ok()["messages"]["end"]
    for client in (bob, guest):
        waiting = asyncio.create_task(events(client, room_id=room_id, from_=token, timeout=20_000))
        await until_waiting()
        sent = await alice.send(room_id)
        await alice.send(closed, "not for them")
        answer = await asyncio.wait_for(waiting, 10)
        assert ids(answer["chunk"]) == [sent]
        token = answer["end"]
    await bob.send(own)
    assert (await events(bob, room_id=room_id, from_=token))["chunk"] == []
    (await bob.get(f"{V3}/events", room_id=closed)).refused(403, "M_FORBIDDEN")
    (await bob.get(f"{V3}/events", room_id="!unknown:weft.test")).refused(403, "M_FORBIDDEN")
    # From the moment that the room is closed to the world, strangers see no more of it.
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "shared"})
    await alice.send(room_id, "among us")
    (await bob.get(f"{V3}/events", room_id=room_id, from_=token)).refused(403, "M_FORBIDDEN")


async def test_a_stream_from_long_ago_comes_bit_by_bit(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    token = (await events(bob))["end"]
    sent = [await alice.send(room_id, str(number)) for number in range(6)]
    # As after a restart, when what happened before is read from the tables.
    await server.restart()
    assert ids((await events(bob, from_=token))["chunk"]) == sent


# -- single events


async def test_an_event_by_its_id_alone(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    sent = await alice.send(room_id)
    found = (await alice.get(f"{V3}/events/{sent}")).ok()
    assert (found["event_id"], found["room_id"]) == (sent, room_id)
    (await bob.get(f"{V3}/events/{sent}")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/events/$unknown")).refused(404, "M_NOT_FOUND")
