"""Reading a room's past. https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room"""

from __future__ import annotations

import random
from typing import Any

import pytest

from weft.graph.build import Draft
from weft.modules.history import pages
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"


async def messages(client: Client, room_id: str, **query: Any) -> Any:
    return (await client.get(f"{V3}/rooms/{room_id}/messages", **query)).ok()


async def everything(client: Client, room_id: str, *, most_pages: int = 100, **query: Any) -> list[Any]:
    """All events from a place on, page by page."""
    found: list[Any] = []
    for _ in range(most_pages):
        page = await messages(client, room_id, **query)
        found += page["chunk"]
        if "end" not in page:
            return found
        query["from_"] = page["end"]
    raise AssertionError("the pages do not end")


def ids(events: list[Any]) -> list[str]:
    return [event["event_id"] for event in events]


async def chat(client: Client, room_id: str, count: int) -> list[str]:
    return [await client.send(room_id, f"message {number}") for number in range(count)]


async def read_anew(server: TestServer, room_id: str) -> None:
    """Has a room and its events forgotten by every process, so that they are read from the tables."""
    for one in (server.server, getattr(server, "_twin", server.server)):
        one.engine.rooms.drop(room_id)
        for cache in one.engine.budget.caches:
            cache.clear()


# -- pages


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
@pytest.mark.parametrize("cold", [False, True])
async def test_pages_hold_every_event_once_in_both_directions(server: TestServer, limit: int, cold: bool) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sent = await chat(alice, room_id, 120 if limit > 1 else 12)
    if cold:
        await read_anew(server, room_id)
    backwards = await everything(alice, room_id, dir="b", limit=limit, most_pages=200)
    forwards = await everything(alice, room_id, dir="f", limit=limit, most_pages=200)
    assert ids(backwards) == ids(forwards)[::-1]
    assert len(set(ids(backwards))) == len(backwards)
    assert ids(forwards)[-len(sent) :] == sent
    assert forwards[0]["type"] == "m.room.create"


async def test_a_page_begins_with_from_and_says_where_it_began(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sent = await chat(alice, room_id, 5)
    first = await messages(alice, room_id, dir="b", limit=2)
    assert ids(first["chunk"]) == [sent[4], sent[3]]
    second = await messages(alice, room_id, dir="b", limit=2, from_=first["end"])
    assert second["start"] == first["end"]
    assert ids(second["chunk"]) == [sent[2], sent[1]]
    again = await messages(alice, room_id, dir="b", limit=2, from_=first["start"])
    assert ids(again["chunk"]) == ids(first["chunk"])
    back = await messages(alice, room_id, dir="f", limit=10, from_=second["end"])
    assert ids(back["chunk"]) == sent[1:]
    assert "end" not in back


@pytest.mark.parametrize("cold", [False, True])
async def test_pages_join_sync(server: TestServer, cold: bool) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await chat(alice, room_id, 15)
    timeline = (await alice.sync())["rooms"]["join"][room_id]["timeline"]
    assert timeline["limited"]
    later = await chat(alice, room_id, 3)
    if cold:
        await read_anew(server, room_id)
    before = await everything(alice, room_id, dir="b", from_=timeline["prev_batch"], limit=4)
    after = await everything(alice, room_id, dir="f", from_=timeline["prev_batch"], limit=4)
    assert ids(after) == [*ids(timeline["events"]), *later]
    assert ids(before)[::-1] + ids(after) == ids(await everything(alice, room_id, dir="f", limit=100))


async def test_forwards_from_a_sync_token_comes_what_arrived_since(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await chat(alice, room_id, 3)
    token = (await alice.sync())["next_batch"]
    assert await everything(alice, room_id, dir="f", from_=token, limit=4) == []
    later = await chat(alice, room_id, 9)
    page = await messages(alice, room_id, dir="f", from_=token, limit=4)
    assert ids(page["chunk"]) == later[:4]
    since = await alice.sync(page["end"], filter={"room": {"timeline": {"limit": 50}}})
    assert ids(since["rooms"]["join"][room_id]["timeline"]["events"]) == later[4:]
    assert ids(await everything(alice, room_id, dir="f", from_=token, limit=4)) == later


async def test_a_page_ends_at_to(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await chat(alice, room_id, 3)
    old = (await alice.sync())["next_batch"]
    later = await chat(alice, room_id, 6)
    new = (await alice.sync())["next_batch"]
    await chat(alice, room_id, 2)
    gap = await everything(alice, room_id, dir="b", from_=new, to=old, limit=4)
    assert ids(gap) == later[::-1]
    assert ids(await everything(alice, room_id, dir="f", from_=old, to=new, limit=4)) == later
    assert await everything(alice, room_id, dir="b", from_=old, to=new) == []
    middle = (await messages(alice, room_id, dir="b", from_=new, limit=3))["end"]
    assert ids(await everything(alice, room_id, dir="b", from_=new, to=middle, limit=2)) == later[:2:-1]
    assert ids(await everything(alice, room_id, dir="f", from_=old, to=middle, limit=2)) == later[:3]


async def test_limits(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await chat(alice, room_id, 30)
    assert len((await messages(alice, room_id, dir="b"))["chunk"]) == 10
    assert (await messages(alice, room_id, dir="b", limit=0))["chunk"] == []
    assert len((await messages(alice, room_id, dir="b", limit=100_000))["chunk"]) == 36
    assert len((await messages(alice, room_id, dir="b", limit=20, filter={"limit": 3}))["chunk"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"dir": "x"},
        {"dir": "b", "limit": -1},
        {"dir": "b", "from_": "nonsense"},
        {"dir": "b", "from_": "t1-2-x"},
        {"dir": "b", "from_": "s1.99999999999999999999999"},
        {"dir": "f", "from_": "t99999999999999999999-1"},
        {"dir": "b", "to": "t1"},
    ],
)
async def test_what_is_no_token_or_direction(server: TestServer, query: dict[str, Any]) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.get(f"{V3}/rooms/{room_id}/messages", **query)).refused(400, "M_INVALID_PARAM")


async def test_a_made_up_token_finds_nothing_wrong(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    for token in ("t0-0", "t4611686018427387903-4611686018427387903", "s0.0", "s4194303.1099511627775", "t5-0-7.7"):
        for direction in "bf":
            await messages(alice, room_id, dir=direction, from_=token, to="s1.1")
            await messages(alice, room_id, dir=direction, from_=token)


# -- filters


async def test_filters(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    text = await alice.send(room_id)
    picture = await bob.send(room_id, msgtype="m.image", url="mxc://weft.test/cat")
    custom = await alice.send(room_id, event_type="org.example.custom", x=1)

    async def found(**event_filter: Any) -> list[str]:
        event_filter.setdefault("types", ["m.room.message", "org.example.*"])
        return ids(await everything(alice, room_id, dir="f", filter=event_filter))

    assert await found() == [text, picture, custom]
    assert await found(types=["m.room.message"]) == [text, picture]
    assert await found(not_types=["org.*"]) == [text, picture]
    assert await found(senders=[bob.user_id]) == [picture]
    assert await found(not_senders=[bob.user_id]) == [text, custom]
    assert await found(contains_url=True) == [picture]
    assert await found(contains_url=False) == [text, custom]
    assert await found(rooms=[room_id]) == [text, picture, custom]
    assert await found(not_rooms=[room_id]) == []
    assert await found(types=[]) == []
    (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", filter="{")).refused(400, "M_NOT_JSON")
    (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", filter='{"types":1}')).refused(400, "M_BAD_JSON")


async def test_filter_for_events_that_others_relate_to(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    _plain, threaded, liked = await chat(alice, room_id, 3)
    await relate(bob, room_id, threaded, "m.thread")
    await relate(alice, room_id, liked, "m.annotation", event_type="m.reaction", key="+1")

    async def found(**event_filter: Any) -> list[str]:
        return ids(await everything(alice, room_id, dir="f", filter=event_filter))

    assert await found(related_by_rel_types=["m.thread"]) == [threaded]
    assert await found(related_by_rel_types=["m.thread", "m.annotation"]) == [threaded, liked]
    assert await found(related_by_senders=[alice.user_id]) == [liked]
    assert await found(related_by_senders=[alice.user_id], related_by_rel_types=["m.thread"]) == []


async def relate(
    client: Client, room_id: str, target: str, rel_type: str, *, event_type: str = "m.room.message", **more: Any
) -> str:
    content: dict[str, Any] = {"m.relates_to": {"rel_type": rel_type, "event_id": target, **more}}
    if event_type == "m.room.message":
        content |= {"msgtype": "m.text", "body": "related"}
    return await client.send(room_id, event_type=event_type, **content)


async def test_a_filter_that_drops_much_gives_its_pages_bit_by_bit(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_LOOKED_AT", 20)
    monkeypatch.setattr(pages, "_BATCH", 10)
    alice = await server.user("alice")
    room_id = await alice.create_room()
    first = await alice.send(room_id, "first", event_type="org.example.rare", x=1)
    await chat(alice, room_id, 150)
    query: dict[str, Any] = {"limit": 5, "filter": {"types": ["org.example.rare"]}}
    page = await messages(alice, room_id, dir="b", **query)
    assert page["chunk"] == []
    assert "end" in page
    assert ids(await everything(alice, room_id, dir="b", **query)) == [first]
    assert ids(await everything(alice, room_id, dir="f", **query)) == [first]


async def test_lazy_loading_gives_the_senders_as_they_were(server: TestServer) -> None:
    alice, bob, carol = await server.user("alice"), await server.user("bob"), await server.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await carol.join(room_id)
    await rename(alice, room_id, "Alice")
    await rename(bob, room_id, "Bob")
    await bob.send(room_id, "as Bob")
    await rename(bob, room_id, "Robert")
    await alice.send(room_id, "after")
    lazy = {"lazy_load_members": True, "types": ["m.room.message"]}
    page = await messages(alice, room_id, dir="b", limit=2, filter=lazy)
    assert names(page["state"]) == {alice.user_id: "Alice", bob.user_id: "Robert"}
    older = await messages(alice, room_id, dir="b", limit=1, filter=lazy, from_=await before_last(alice, room_id, lazy))
    assert names(older["state"]) == {bob.user_id: "Bob"}
    assert "state" not in await messages(alice, room_id, dir="b", limit=2)


async def rename(client: Client, room_id: str, name: str) -> None:
    await client.set_state(room_id, "m.room.member", {"membership": "join", "displayname": name}, client.user_id)


async def before_last(client: Client, room_id: str, event_filter: Any) -> str:
    token: str = (await messages(client, room_id, dir="b", limit=1, filter=event_filter))["end"]
    return token


def names(state: list[Any]) -> dict[str, str]:
    assert {event["type"] for event in state} == {"m.room.member"}
    return {event["state_key"]: event["content"].get("displayname") for event in state}


# -- who may see what


async def test_rooms_that_are_closed_and_rooms_that_are_not_there(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    event_id = await alice.send(room_id)
    invited = await alice.create_room(invite=[bob.user_id])
    for room in (room_id, "!unknown:weft.test", invited):
        (await bob.get(f"{V3}/rooms/{room}/messages", dir="b")).refused(403, "M_FORBIDDEN")
        (await bob.get(f"{V3}/rooms/{room}/context/{event_id}")).refused(403, "M_FORBIDDEN")
        (await bob.get(f"{V3}/rooms/{room}/event/{event_id}")).refused(404, "M_NOT_FOUND")
        (await bob.get(f"{V1}/rooms/{room}/timestamp_to_event", ts=0, dir="f")).refused(403, "M_FORBIDDEN")


@pytest.mark.parametrize("how", ["leave", "kick", "ban"])
async def test_who_left_sees_what_was_before(server: TestServer, how: str) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    before = await chat(alice, room_id, 3)
    if how == "leave":
        await bob.leave(room_id)
    else:
        (await alice.post(f"{V3}/rooms/{room_id}/{how}", {"user_id": bob.user_id})).ok()
    secret = await alice.send(room_id, "now that he is gone")
    for direction in "bf":
        found = ids(await everything(bob, room_id, dir=direction, limit=3))
        assert set(before) < set(found)
        assert secret not in found
    newest = (await messages(bob, room_id, dir="b", limit=1))["chunk"][0]
    assert newest["type"] == "m.room.member"
    assert newest["state_key"] == bob.user_id
    (await bob.get(f"{V3}/rooms/{room_id}/event/{secret}")).refused(404, "M_NOT_FOUND")
    (await bob.get(f"{V3}/rooms/{room_id}/context/{secret}")).refused(404, "M_NOT_FOUND")
    context = (await bob.get(f"{V3}/rooms/{room_id}/context/{before[-1]}", limit=10)).ok()
    assert secret not in ids(context["events_after"])
    if how == "leave":
        (await bob.post(f"{V3}/rooms/{room_id}/forget")).ok()
        (await bob.get(f"{V3}/rooms/{room_id}/messages", dir="b")).refused(403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("visibility", "seen"),
    [
        ("joined", ["after joining"]),
        ("invited", ["while invited", "after joining"]),
        ("shared", ["before", "while invited", "after joining"]),
        ("world_readable", ["before", "while invited", "after joining"]),
    ],
)
async def test_history_visibility(server: TestServer, visibility: str, seen: list[str]) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    initial = [{"type": "m.room.history_visibility", "content": {"history_visibility": visibility}}]
    room_id = await alice.create_room(initial_state=initial)
    sent = {"before": await alice.send(room_id, "before")}
    await alice.invite(room_id, bob.user_id)
    sent["while invited"] = await alice.send(room_id, "while invited")
    await bob.join(room_id)
    sent["after joining"] = await alice.send(room_id, "after joining")
    for direction in "bf":
        found = await everything(bob, room_id, dir=direction, limit=2)
        bodies = [event["content"]["body"] for event in found if event["type"] == "m.room.message"]
        assert sorted(bodies) == sorted(seen)
    for body, event_id in sent.items():
        answer = await bob.get(f"{V3}/rooms/{room_id}/event/{event_id}")
        if body in seen:
            answer.ok()
        else:
            answer.refused(404, "M_NOT_FOUND")


async def test_what_was_said_in_ones_absence_is_skipped(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_LOOKED_AT", 20)
    monkeypatch.setattr(pages, "_BATCH", 10)
    alice, bob = await server.user("alice"), await server.user("bob")
    initial = [{"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}]
    room_id = await alice.create_room(preset="public_chat", initial_state=initial)
    hidden = await chat(alice, room_id, 60)
    await bob.join(room_id)
    shown = await chat(alice, room_id, 2)
    await bob.leave(room_id)
    hidden += await chat(alice, room_id, 60)
    await bob.join(room_id)
    shown += await chat(alice, room_id, 2)
    for direction in "bf":
        found = ids(await everything(bob, room_id, dir=direction, limit=5, most_pages=6))
        assert set(shown) < set(found)
        assert not set(hidden) & set(found)


async def test_strangers_and_guests_see_what_was_world_readable(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    made = (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()
    guest = server.client(made["access_token"], user_id=made["user_id"])
    room_id = await alice.create_room(preset="public_chat")
    secret = await alice.send(room_id, "among us")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    public = await alice.send(room_id, "to the world")
    for stranger in (bob, guest):
        for direction in "bf":
            found = ids(await everything(stranger, room_id, dir=direction))
            assert public in found
            assert secret not in found
        (await stranger.get(f"{V3}/rooms/{room_id}/event/{public}")).ok()
        (await stranger.get(f"{V3}/rooms/{room_id}/event/{secret}")).refused(404, "M_NOT_FOUND")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "shared"})
    (await bob.get(f"{V3}/rooms/{room_id}/messages", dir="b")).refused(403, "M_FORBIDDEN")


async def test_ignored_users_say_nothing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    mine, his = await alice.send(room_id), await bob.send(room_id)
    path = f"{V3}/user/{alice.user_id}/account_data/m.ignored_user_list"
    (await alice.put(path, {"ignored_users": {bob.user_id: {}}})).ok()
    found = await everything(alice, room_id, dir="b")
    assert mine in ids(found)
    assert his not in ids(found)
    assert any(event["type"] == "m.room.member" and event["sender"] == bob.user_id for event in found)


async def test_what_comes_with_an_event(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.set_state(room_id, "m.room.topic", {"topic": "one"})
    await alice.set_state(room_id, "m.room.topic", {"topic": "two"})
    event_id = await alice.send(room_id)
    await bob.join(room_id)
    for client, has_txn in ((alice, True), (bob, False)):
        event = (await client.get(f"{V3}/rooms/{room_id}/event/{event_id}")).ok()
        assert event["room_id"] == room_id
        assert ("transaction_id" in event["unsigned"]) is has_txn
        assert event["unsigned"]["age"] >= 0
    membership = {e["event_id"]: e["unsigned"]["membership"] for e in await everything(bob, room_id, dir="b")}
    assert membership[event_id] == "leave"
    topic = (await everything(bob, room_id, dir="b", filter={"types": ["m.room.topic"]}))[0]
    assert topic["unsigned"]["prev_content"] == {"topic": "one"}


# -- forks


async def test_pages_over_a_fork_hold_every_event_once(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    engine = server.server.engine
    chance = random.Random(7)
    tokens: list[tuple[str, set[str]]] = []
    sent: set[str] = set()
    for number in range(30):
        room = await engine.rooms.get(room_id)
        if chance.random() < 0.3:
            # As if another server had not seen the newest events when it sent.
            older = chance.choice(list(room.timeline)[-6:])
            if older.snapshot is not None:
                room.front, room.front_snapshot = (older,), await engine.rooms.snapshot(room, older.snapshot)
        draft = Draft(type="m.room.message", sender=alice.user_id, content={"body": str(number), "msgtype": "m.text"})
        sent.add((await engine.append.append(room_id, draft)).event.event_id)
        if chance.random() < 0.3:
            tokens.append(((await alice.sync())["next_batch"], set(sent)))
    backwards = await everything(alice, room_id, dir="b", limit=4)
    forwards = await everything(alice, room_id, dir="f", limit=4)
    assert ids(backwards) == ids(forwards)[::-1]
    assert sent < set(ids(backwards))
    assert len(set(ids(backwards))) == len(backwards)
    for token, known in tokens:
        older_ids = ids(await everything(alice, room_id, dir="b", from_=token, limit=3))
        newer_ids = ids(await everything(alice, room_id, dir="f", from_=token, limit=3))
        assert len(set(older_ids)) == len(older_ids)
        assert len(set(newer_ids)) == len(newer_ids)
        assert set(older_ids) & sent == known
        assert set(newer_ids) == sent - known
        assert set(ids(await everything(alice, room_id, dir="b", to=token, limit=3))) == sent - known
        middle = (await messages(alice, room_id, dir="b", from_=token, limit=3))["end"]
        parts = await everything(alice, room_id, dir="b", from_=middle, limit=3)
        rest = await everything(alice, room_id, dir="f", from_=middle, limit=3)
        assert sorted(ids(parts + rest)) == sorted(ids(backwards))


# -- context


async def test_context(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    sent = await chat(alice, room_id, 9)
    await bob.join(room_id)
    context = (await alice.get(f"{V3}/rooms/{room_id}/context/{sent[4]}", limit=5)).ok()
    assert context["event"]["event_id"] == sent[4]
    assert ids(context["events_before"]) == [sent[3], sent[2]]
    assert ids(context["events_after"]) == sent[5:8]
    before = await everything(alice, room_id, dir="b", from_=context["start"])
    after = await everything(alice, room_id, dir="f", from_=context["end"])
    assert ids(before)[0] == sent[1]
    assert before[-1]["type"] == "m.room.create"
    assert ids(after)[0] == sent[8]
    assert len(after) == 2
    # The state is that after the last event given: nobody but alice was there.
    state = {(event["type"], event["state_key"]) for event in context["state"]}
    assert ("m.room.member", alice.user_id) in state
    assert ("m.room.member", bob.user_id) not in state
    assert ("m.room.create", "") in state
    alone = (await alice.get(f"{V3}/rooms/{room_id}/context/{sent[4]}", limit=0)).ok()
    assert alone["events_before"] == alone["events_after"] == []
    assert ids(await everything(alice, room_id, dir="f", from_=alone["end"]))[0] == sent[5]
    assert ids(await everything(alice, room_id, dir="b", from_=alone["start"]))[0] == sent[3]
    (await alice.get(f"{V3}/rooms/{room_id}/context/$unknown")).refused(404, "M_NOT_FOUND")


async def test_context_is_filtered_but_for_the_event(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    his = await bob.send(room_id)
    mine = await chat(alice, room_id, 3)
    chosen = {"senders": [bob.user_id], "types": ["m.room.message", "m.room.member"], "lazy_load_members": True}
    context = (await alice.get(f"{V3}/rooms/{room_id}/context/{mine[2]}", limit=4, filter=chosen)).ok()
    assert context["event"]["event_id"] == mine[2]
    assert his in ids(context["events_before"])
    assert {event["state_key"] for event in context["state"]} == {bob.user_id}


# -- by time


async def test_the_event_at_a_time(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    times: list[tuple[str, int]] = []
    for event_id in await chat(alice, room_id, 3):
        event = (await alice.get(f"{V3}/rooms/{room_id}/event/{event_id}")).ok()
        times.append((event_id, event["origin_server_ts"]))
        server.clock.advance(60)

    async def at(client: Client, time_ms: int, direction: str) -> Any:
        return await client.get(f"{V1}/rooms/{room_id}/timestamp_to_event", ts=time_ms, dir=direction)

    (first, _t0), (second, t1), (third, t2) = times
    assert (await at(alice, t1, "f")).ok() == {"event_id": second, "origin_server_ts": t1}
    assert (await at(alice, t1, "b")).ok()["event_id"] == second
    assert (await at(alice, t1 + 1, "f")).ok()["event_id"] == third
    assert (await at(alice, t1 - 1, "b")).ok()["event_id"] == first
    assert (await at(alice, 1 << 100, "b")).ok()["event_id"] == third
    (await at(alice, t2 + 1, "f")).refused(404, "M_NOT_FOUND")
    (await at(alice, -5, "b")).refused(404, "M_NOT_FOUND")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    hidden = await chat(alice, room_id, 15)
    await bob.join(room_id)
    found = (await at(bob, t2 + 1, "f")).ok()
    assert found["event_id"] not in hidden
    assert found["event_id"] != third
