"""Sliding sync, case by case.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import TWINS
from tests.modules.sliding import ALL_STATE, PATH, Sliding, a_list, bodies, keys
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


async def rooms_of(client: Client, count: int, **options: Any) -> list[str]:
    """Rooms, the one in which something happened last being the last."""
    return [await client.create_room(name=f"room {number}", **options) for number in range(count)]


async def put_account_data(client: Client, data_type: str, content: object, room_id: str | None = None) -> None:
    place = f"/rooms/{quote(room_id)}" if room_id is not None else ""
    (await client.put(f"{V3}/user/{client.user_id}{place}/account_data/{data_type}", content)).ok()


# -- lists


async def test_a_list_shows_the_rooms_where_something_happened_last(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await rooms_of(alice, 5)
    server.clock.advance(1)
    await alice.send(rooms[1], "up")
    sliding = Sliding(alice, lists={"top": a_list(0, 1)})
    answer = await sliding.sync()
    assert answer["lists"]["top"]["count"] == 5
    assert answer["lists"]["top"]["ops"] == [{"op": "SYNC", "range": [0, 1], "room_ids": [rooms[1], rooms[4]]}]
    assert set(answer["rooms"]) == {rooms[1], rooms[4]}
    assert all(room["initial"] for room in answer["rooms"].values())


async def test_a_window_that_grows_tells_only_what_is_new_in_it(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await rooms_of(alice, 6)
    sliding = Sliding(alice, lists={"top": a_list(0, 1)})
    await sliding.sync()
    answer = await sliding.sync(lists={"top": a_list(0, 3)})
    assert set(answer["rooms"]) == {rooms[2], rooms[3]}
    assert (await sliding.sync())["rooms"] == {}


async def test_what_happens_outside_the_window_comes_into_it(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await rooms_of(alice, 3)
    sliding = Sliding(alice, lists={"top": a_list(0, 0)})
    assert set((await sliding.sync())["rooms"]) == {rooms[2]}
    server.clock.advance(1)
    await alice.send(rooms[0], "here")
    answer = await sliding.sync()
    assert set(answer["rooms"]) == {rooms[0]}
    room = answer["rooms"][rooms[0]]
    assert (room["initial"], room["num_live"], bodies(room)) == (True, 1, ["here"])


async def test_a_room_that_comes_back_into_the_window_is_told_from_where_it_was_left(server: TestServer) -> None:
    alice = await server.user("alice")
    first, second = await rooms_of(alice, 2)
    sliding = Sliding(alice, lists={"top": a_list(0, 1)})
    await sliding.sync()
    await sliding.sync(lists={"top": a_list(0, 0)})
    await alice.send(first, "one")
    server.clock.advance(1)
    await alice.send(second, "other")
    assert set((await sliding.sync())["rooms"]) == {second}
    await alice.send(second, "again")
    await sliding.sync()
    answer = await sliding.sync(lists={"top": a_list(0, 1)})
    room = answer["rooms"][first]
    assert bodies(room) == ["one"]
    assert "initial" not in room
    assert (await sliding.sync())["rooms"] == {}


@pytest.mark.parametrize("proposal", [False, True])
async def test_both_spellings_of_a_list(server: TestServer, proposal: bool) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(name="Ours")
    asked = (
        {
            "range": [0, 9],
            "timeline_limit": 1,
            "required_state": {"include": [{"type": "m.room.create"}, {"type": "m.room.member", "state_key": "@x:y"}]},
            "filters": {"is_invited": False},
        }
        if proposal
        else {
            "ranges": [[0, 9]],
            "timeline_limit": 1,
            "required_state": [["m.room.create", "*"], ["m.room.member", "@x:y"]],
            "filters": {"is_invite": False},
        }
    )
    answer = await Sliding(alice, lists={"a": asked}).sync()
    assert keys(answer["rooms"][room_id]) == {("m.room.create", "")}
    assert answer["rooms"][room_id]["lists"] == ["a"]


async def test_filters(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    plain = await alice.create_room(name="plain")
    secret = await alice.create_room(
        initial_state=[{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
    )
    space = await alice.create_room(creation_content={"type": "m.space"})
    invited = await bob.create_room(invite=[alice.user_id])
    await alice.set_state(space, "m.space.child", {"via": ["weft.test"]}, plain)
    await alice.set_state(space, "m.space.child", {}, secret)
    await put_account_data(alice, "m.direct", {bob.user_id: [secret]})
    (await alice.put(f"{V3}/user/{alice.user_id}/rooms/{quote(plain)}/tags/m.favourite", {"order": 0.5})).ok()
    asked: dict[str, tuple[dict[str, Any], set[str]]] = {
        "dm": ({"is_dm": True}, {secret}),
        "not_dm": ({"is_dm": False}, {plain, space, invited}),
        "encrypted": ({"is_encrypted": True}, {secret}),
        "open": ({"is_encrypted": False}, {plain, space, invited}),
        "invites": ({"is_invite": True}, {invited}),
        "in": ({"is_invited": False}, {plain, secret, space}),
        "spaces": ({"room_types": ["m.space"]}, {space}),
        "no_spaces": ({"not_room_types": ["m.space"]}, {plain, secret, invited}),
        "ordinary": ({"room_types": [None]}, {plain, secret, invited}),
        "neither": ({"room_types": ["m.space"], "not_room_types": ["m.space"]}, set()),
        "inside": ({"spaces": [space, "!unknown:weft.test"]}, {plain}),
        "tagged": ({"tags": ["m.favourite", "u.none"]}, {plain}),
        "untagged": ({"not_tags": ["m.favourite"]}, {secret, space, invited}),
        "both": ({"tags": ["m.favourite"], "not_tags": ["m.favourite"]}, set()),
    }
    lists = {name: a_list(**filters) for name, (filters, _) in asked.items()}
    answer = await Sliding(alice, lists=lists).sync()
    shown = {name: set(answer["lists"][name]["ops"][0]["room_ids"]) for name in asked}
    assert shown == {name: wanted for name, (_, wanted) in asked.items()}
    assert answer["rooms"][secret]["is_dm"] is True
    assert "invites" in answer["rooms"][invited]["lists"]


# -- what is told of a room


async def test_a_room_as_it_is_told_first(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(name="Tea", preset="public_chat")
    await alice.set_state(room_id, "m.room.avatar", {"url": "mxc://weft.test/tea"})
    await bob.join(room_id)
    await bob.send(room_id, "milk?")
    state = [["m.room.member", "$LAZY"], ["m.room.topic", ""], ["m.room.join_rules", "*"]]
    room = (await Sliding(alice, lists={"a": a_list(limit=1, state=state)}).sync())["rooms"][room_id]
    assert (room["name"], room["avatar"]) == ("Tea", "mxc://weft.test/tea")
    assert (room["membership"], room["initial"], room["is_dm"]) == ("join", True, False)
    assert (room["joined_count"], room["invited_count"]) == (2, 0)
    assert (room["notification_count"], room["highlight_count"]) == (1, 0)
    assert keys(room) == {("m.room.member", bob.user_id), ("m.room.join_rules", "")}
    assert (room["limited"], room["num_live"], bodies(room)) == (True, 0, ["milk?"])
    assert "heroes" not in room
    page = (await alice.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", **{"from": room["prev_batch"]})).ok()
    assert page["chunk"][0]["state_key"] == bob.user_id


async def test_a_room_without_a_name_is_called_by_its_members(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    sliding = Sliding(alice)
    assert (await sliding.sync())["rooms"][room_id]["heroes"] == []
    await bob.join(room_id)
    room = (await sliding.sync())["rooms"][room_id]
    assert room["heroes"] == [{"user_id": bob.user_id, "displayname": "bob"}]
    assert room["joined_count"] == 2
    await alice.set_state(room_id, "m.room.name", {"name": "Named"})
    assert (await sliding.sync())["rooms"][room_id]["name"] == "Named"
    await alice.set_state(room_id, "m.room.name", {})
    room = (await sliding.sync())["rooms"][room_id]
    assert room["name"] is None
    assert room["heroes"][0]["user_id"] == bob.user_id


async def test_required_state_that_changes_is_told(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sliding = Sliding(alice, lists={"a": a_list(state=[["m.room.topic", ""]], limit=0)})
    room = (await sliding.sync())["rooms"][room_id]
    assert (keys(room), room["timeline"], room["limited"]) == (set(), [], True)
    topic = await alice.set_state(room_id, "m.room.topic", {"topic": "tea"})
    await alice.set_state(room_id, "m.room.join_rules", {"join_rule": "public"})
    await sliding.sync()
    assert sliding.rooms[room_id]["state"] == {("m.room.topic", ""): topic}


async def test_more_required_state_is_told_at_once(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(topic="tea")
    sliding = Sliding(alice, lists={"a": a_list(state=[["m.room.topic", ""]])})
    await sliding.sync()
    both = [["m.room.topic", ""], ["m.room.create", ""]]
    answer = await sliding.sync(lists={"a": a_list(state=both)})
    assert keys(answer["rooms"][room_id]) == {("m.room.create", "")}
    assert (await sliding.sync(lists={"a": a_list(state=[["m.room.create", ""]])}))["rooms"] == {}


async def test_a_longer_timeline_is_told_at_once(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    for number in range(4):
        await alice.send(room_id, str(number))
    sliding = Sliding(alice, lists={"a": a_list(limit=1)})
    assert bodies((await sliding.sync())["rooms"][room_id]) == ["3"]
    room = (await sliding.sync(lists={"a": a_list(limit=3)}))["rooms"][room_id]
    assert bodies(room) == ["1", "2", "3"]
    assert (room["expanded_timeline"], room["unstable_expanded_timeline"], room["num_live"]) == (True, True, 0)
    assert "initial" not in room


async def test_a_subscription_and_a_list_together_ask_for_the_most_of_both(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    for number in range(4):
        await alice.send(room_id, str(number))
    subscription = {"timeline_limit": 3, "required_state": [["m.room.create", ""]]}
    sliding = Sliding(
        alice,
        lists={"a": a_list(limit=1, state=[["m.room.join_rules", ""]])},
        room_subscriptions={room_id: subscription, "!unknown:weft.test": subscription},
    )
    answer = await sliding.sync()
    assert set(answer["rooms"]) == {room_id}
    assert bodies(answer["rooms"][room_id]) == ["1", "2", "3"]
    assert keys(answer["rooms"][room_id]) == {("m.room.create", ""), ("m.room.join_rules", "")}


async def test_members_are_told_as_the_timeline_needs_them_and_once(server: TestServer) -> None:
    alice, bob, carol = await server.user("alice"), await server.user("bob"), await server.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    for somebody in (bob, carol):
        await somebody.join(room_id)
    await alice.send(room_id, "hello")
    sliding = Sliding(alice, lists={"a": a_list(limit=1, state=[["m.room.member", "$LAZY"]])})
    assert keys((await sliding.sync())["rooms"][room_id]) == {("m.room.member", alice.user_id)}
    await bob.send(room_id, "hello")
    lost = (await sliding.ask()).ok()
    assert keys(lost["rooms"][room_id]) == {("m.room.member", bob.user_id)}
    # The answer was lost: bob is told of again.
    assert keys((await sliding.sync())["rooms"][room_id]) == {("m.room.member", bob.user_id)}
    await bob.send(room_id, "again")
    again = (await sliding.sync())["rooms"][room_id]
    if not TWINS:  # another process does not know whom this one has told of
        assert keys(again) == set()
    await carol.leave(room_id)
    assert keys((await sliding.sync())["rooms"][room_id]) >= {("m.room.member", carol.user_id)}


# -- rooms that one is not in


async def test_an_invitation_and_then_the_room(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    sliding = Sliding(alice, lists={"a": a_list(state=ALL_STATE)})
    await sliding.sync()
    room_id = await bob.create_room(name="Party", invite=[alice.user_id])
    room = (await sliding.sync())["rooms"][room_id]
    shown = {event["type"] for event in room["stripped_state"]}
    assert {"m.room.name", "m.room.member", "m.room.create"} <= shown
    assert room["membership"] == "invite"
    assert room["invite_state"] == room["stripped_state"]
    assert not room.keys() & {"timeline", "required_state", "joined_count", "name", "heroes"}
    await alice.join(room_id)
    room = (await sliding.sync())["rooms"][room_id]
    assert (room["membership"], room["initial"], room["name"]) == ("join", True, "Party")
    assert ("m.room.create", "") in keys(room)


async def test_an_invitation_that_is_turned_down(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await bob.create_room(invite=[alice.user_id])
    sliding = Sliding(alice)
    await sliding.sync()
    await alice.leave(room_id)
    room = (await sliding.sync())["rooms"][room_id]
    assert room["membership"] == "leave"
    assert "timeline" not in room
    fresh = await Sliding(alice, "other").sync()
    assert fresh["rooms"] == {}


async def test_invitations_of_ignored_people_are_not_shown(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    await put_account_data(alice, "m.ignored_user_list", {"ignored_users": {bob.user_id: {}}})
    await bob.create_room(invite=[alice.user_id])
    answer = await Sliding(alice).sync()
    assert (answer["rooms"], answer["lists"]["all"]["count"]) == ({}, 0)


async def test_a_room_that_one_leaves_is_told_of_to_the_end_and_no_further(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    sliding = Sliding(bob, lists={"a": a_list(state=[["m.room.topic", ""], ["m.room.member", "$ME"]])})
    await sliding.sync()
    await alice.send(room_id, "bye")
    await bob.leave(room_id)
    await alice.send(room_id, "he is gone")
    await alice.set_state(room_id, "m.room.topic", {"topic": "him"})
    room = (await sliding.sync())["rooms"][room_id]
    assert (room["membership"], bodies(room)) == ("leave", ["bye"])
    assert keys(room) == {("m.room.member", bob.user_id)}
    assert (await sliding.sync())["rooms"] == {}
    assert (await Sliding(bob, "other").sync())["rooms"] == {}


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_who_is_put_out_hears_of_it_on_every_connection(server: TestServer, how: str) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await alice.send(room_id, "out!")
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/{how}", {"user_id": bob.user_id})).ok()
    await alice.send(room_id, "he is gone")
    room = (await Sliding(bob).sync())["rooms"][room_id]
    assert room["membership"] == ("leave" if how == "kick" else "ban")
    assert bodies(room) == ["out!"]


async def test_who_was_never_there_is_told_nothing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/ban", {"user_id": bob.user_id})).ok()
    asked = {"timeline_limit": 10, "required_state": ALL_STATE}
    answer = await Sliding(bob, room_subscriptions={room_id: asked}, lists={"a": a_list()}).sync()
    assert (answer["rooms"], answer["lists"]["a"]["count"]) == ({}, 0)


# -- positions


async def test_an_answer_that_is_lost_is_given_again(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await rooms_of(alice, 2)
    sliding = Sliding(alice, lists={"a": a_list(0, 0)})
    await sliding.sync()
    wider = {"a": a_list(0, 1)}
    lost = (await sliding.ask(lists=wider)).ok()
    assert set(lost["rooms"]) == {rooms[0]}
    again = await sliding.sync(lists=wider)
    assert set(again["rooms"]) == {rooms[0]}
    assert (await sliding.sync())["rooms"] == {}
    (await sliding.ask(pos=lost["pos"])).refused(400, "M_UNKNOWN_POS")


async def test_a_position_survives_a_restart(server: TestServer) -> None:
    alice = await server.user("alice")
    first, second = await rooms_of(alice, 2)
    sliding = Sliding(alice, lists={"a": a_list(state=[["m.room.topic", ""]])})
    await sliding.sync()
    await server.restart()
    await alice.send(first, "hello")
    topic = await alice.set_state(first, "m.room.topic", {"topic": "new"})
    answer = await sliding.sync()
    assert set(answer["rooms"]) == {first}
    assert bodies(answer["rooms"][first]) == ["hello"]
    assert sliding.rooms[first]["state"] == {("m.room.topic", ""): topic}
    assert second in sliding.rooms


@pytest.mark.parametrize(
    "pos", ["nonsense", "s1.1", "s1.1!1", "s1.1!1.x", "s1.1!99999.1", "s!1.1", "s1.1!1.99", "s1.1!-1.1"]
)
async def test_positions_that_are_nobodys(server: TestServer, pos: str) -> None:
    alice = await server.user("alice")
    await Sliding(alice).sync()
    (await Sliding(alice).ask(pos=pos)).refused(400, "M_UNKNOWN_POS")


async def test_a_position_is_good_for_its_device_and_connection_alone(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    sliding = Sliding(alice)
    await sliding.sync()
    await Sliding(bob).sync()
    for other in (Sliding(bob), Sliding(alice, "other"), Sliding(await server.login("alice"))):
        (await other.ask(pos=sliding.pos)).refused(400, "M_UNKNOWN_POS")


async def test_to_begin_anew_ends_the_connection_of_that_name(server: TestServer) -> None:
    alice = await server.user("alice")
    before, other = Sliding(alice), Sliding(alice, "other")
    await before.sync()
    await other.sync()
    await Sliding(alice).sync()
    await alice.create_room()
    (await before.ask()).refused(400, "M_UNKNOWN_POS")
    await other.sync()


async def test_a_position_is_a_place_for_messages(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await alice.send(room_id, "before")
    sliding = Sliding(alice)
    await sliding.sync()
    await alice.send(room_id, "after")
    page = (await alice.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", **{"from": sliding.pos})).ok()
    assert page["chunk"][0]["content"]["body"] == "before"


# -- waiting


async def test_it_waits_until_something_happens(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sliding = Sliding(alice)
    await sliding.sync()
    waiting = asyncio.create_task(sliding.sync(timeout=20_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await alice.send(room_id, "wake up")
    assert bodies((await asyncio.wait_for(waiting, 5))["rooms"][room_id]) == ["wake up"]


async def test_it_answers_when_its_time_is_over_and_what_happened_out_of_sight_is_not_lost(server: TestServer) -> None:
    alice = await server.user("alice")
    first, second = await rooms_of(alice, 2)
    sliding = Sliding(alice, room_subscriptions={second: {"timeline_limit": 5}, first: {"timeline_limit": 5}})
    await sliding.sync()
    await sliding.sync(room_subscriptions={second: {"timeline_limit": 5}})
    waiting = asyncio.create_task(sliding.sync(timeout=300))
    await alice.send(first, "unseen")
    assert (await waiting)["rooms"] == {}
    answer = await sliding.sync(room_subscriptions={first: {"timeline_limit": 5}})
    assert bodies(answer["rooms"][first]) == ["unseen"]


# -- extensions


async def test_account_data(server: TestServer) -> None:
    alice = await server.user("alice")
    shown, hidden = await rooms_of(alice, 2)
    await put_account_data(alice, "org.example", {"a": 1})
    for room_id in (shown, hidden):
        await put_account_data(alice, "org.room", {"b": 1}, room_id)
    asked = {"account_data": {"enabled": True}}
    sliding = Sliding(alice, room_subscriptions={shown: {}}, extensions=asked)
    told = (await sliding.sync())["extensions"]["account_data"]
    assert {event["type"] for event in told["global"]} >= {"org.example", "m.push_rules"}
    assert set(told["rooms"]) == {shown}
    assert "account_data" not in (await sliding.sync())["extensions"]
    await put_account_data(alice, "org.room", {"b": 2}, hidden)
    await put_account_data(alice, "org.example", {"a": 2})
    told = (await sliding.sync())["extensions"]["account_data"]
    assert told == {"global": [{"type": "org.example", "content": {"a": 2}}]}
    answer = await sliding.sync(room_subscriptions={hidden: {}})
    assert answer["extensions"]["account_data"]["rooms"] == {hidden: [{"type": "org.room", "content": {"b": 2}}]}


async def test_receipts_and_typing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    event_id = await alice.send(room_id, "read me")
    asked = {"receipts": {"enabled": True}, "typing": {"enabled": True}}
    sliding = Sliding(alice, extensions=asked)
    await sliding.sync()
    for client, kind in ((bob, "m.read"), (alice, "m.read.private")):
        (await client.post(f"{V3}/rooms/{quote(room_id)}/receipt/{kind}/{quote(event_id)}")).ok()
    (await bob.put(f"{V3}/rooms/{quote(room_id)}/typing/{bob.user_id}", {"typing": True, "timeout": 20000})).ok()
    told = (await sliding.sync())["extensions"]
    content = told["receipts"]["rooms"][room_id]["content"][event_id]
    assert {kind: set(users) for kind, users in content.items()} == {
        "m.read": {bob.user_id},
        "m.read.private": {alice.user_id},
    }
    assert told["typing"]["rooms"][room_id]["content"] == {"user_ids": [bob.user_id]}
    again = await Sliding(alice, "other", extensions=asked).sync()
    assert again["extensions"]["receipts"]["rooms"].keys() == {room_id}
    few = {"receipts": {"enabled": True, "lists": ["none"], "rooms": []}}
    assert (await Sliding(alice, "few", extensions=few).sync())["extensions"] == {}


async def test_what_one_has_read_changes_the_count(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    event_id = await bob.send(room_id, "unread")
    sliding = Sliding(alice)
    assert (await sliding.sync())["rooms"][room_id]["notification_count"] == 1
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/receipt/m.read.private/{quote(event_id)}")).ok()
    room = (await sliding.sync())["rooms"][room_id]
    assert room["notification_count"] == 0
    assert "timeline" not in room


async def test_messages_to_the_device(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    asked: dict[str, Any] = {"to_device": {"enabled": True}}
    sliding = Sliding(alice, lists={}, extensions=asked)
    since = (await sliding.sync())["extensions"]["to_device"]["next_batch"]

    async def send(number: int) -> None:
        messages = {alice.user_id: {alice.device_id: {"n": number}}}
        (await bob.put(f"{V3}/sendToDevice/org.test/t{number}", {"messages": messages})).ok()

    await send(1)
    first = (await sliding.sync(extensions={"to_device": {"enabled": True, "since": since}}))["extensions"]["to_device"]
    assert [event["content"]["n"] for event in first["events"]] == [1]
    await send(2)
    # Who has not said that it has the first gets it again.
    again = (await sliding.sync())["extensions"]["to_device"]
    assert [event["content"]["n"] for event in again["events"]] == [1, 2]
    asked = {"to_device": {"enabled": True, "since": again["next_batch"]}}
    assert (await sliding.sync(extensions=asked))["extensions"]["to_device"]["events"] == []


async def test_many_messages_to_the_device_come_in_portions(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    sliding = Sliding(alice, lists={}, extensions={"to_device": {"enabled": True}})
    await sliding.sync()
    for number in range(130):
        messages = {alice.user_id: {"*": {"n": number}}}
        (await bob.put(f"{V3}/sendToDevice/org.test/t{number}", {"messages": messages})).ok()
    got: list[int] = []
    asked: dict[str, Any] = {"enabled": True}
    while True:
        told = (await sliding.sync(extensions={"to_device": asked}))["extensions"]["to_device"]
        if not told["events"]:
            break
        got += [event["content"]["n"] for event in told["events"]]
        asked = {"enabled": True, "since": told["next_batch"]}
    assert got == list(range(130))


async def test_a_token_of_messages_that_is_nobodys_is_refused(server: TestServer) -> None:
    alice = await server.user("alice")
    for since in ("nonsense", "1.999999"):
        asked = {"to_device": {"enabled": True, "since": since}}
        (await Sliding(alice, extensions=asked).ask()).refused(400, "M_INVALID_PARAM")


async def test_encryption(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    sliding = Sliding(alice, "encryption", lists={}, extensions={"e2ee": {"enabled": True}})
    told = (await sliding.sync())["extensions"]["e2ee"]
    assert "signed_curve25519" in told["device_one_time_keys_count"]
    assert told["device_unused_fallback_key_types"] == []
    waiting = asyncio.create_task(sliding.sync(timeout=20_000))
    await bob.join(room_id)
    told = (await asyncio.wait_for(waiting, 5))["extensions"]["e2ee"]
    assert told["device_lists"]["changed"] == [bob.user_id]
    await bob.leave(room_id)
    assert (await sliding.sync())["extensions"]["e2ee"]["device_lists"]["left"] == [bob.user_id]


# -- limits


@pytest.mark.parametrize(
    ("asked", "errcode"),
    [
        ({"lists": {"a b": a_list()}}, "M_INVALID_PARAM"),
        ({"lists": {"a": a_list(5, 4)}}, "M_INVALID_PARAM"),
        ({"lists": {"a": {"ranges": [[-1, 4]], "timeline_limit": 1, "required_state": []}}}, "M_BAD_JSON"),
        ({"lists": {f"l{n}": a_list() for n in range(101)}}, "M_INVALID_PARAM"),
        ({"room_subscriptions": {f"!{n}:a": {"timeline_limit": 1} for n in range(101)}}, "M_INVALID_PARAM"),
        ({"lists": []}, "M_BAD_JSON"),
        ({"lists": {"a": {"timeline_limit": "1"}}}, "M_BAD_JSON"),
        ({"room_subscriptions": {"!a:b": {"required_state": [["m.room.name"]]}}}, "M_BAD_JSON"),
        ({"extensions": {"to_device": True}}, "M_BAD_JSON"),
    ],
)
async def test_what_makes_no_sense_is_refused(server: TestServer, asked: Any, errcode: str) -> None:
    alice = await server.user("alice")
    (await alice.post(PATH, asked)).refused(400, errcode)


async def test_a_device_has_few_connections(server: TestServer) -> None:
    alice = await server.user("alice")
    many = [Sliding(alice, f"c{number}") for number in range(11)]
    for sliding in many:
        server.clock.advance(1)
        await sliding.sync()
    await alice.create_room()
    (await many[0].ask()).refused(400, "M_UNKNOWN_POS")
    await many[1].sync()


async def test_connections_end_with_the_device(server: TestServer) -> None:
    alice = await server.user("alice")
    await Sliding(alice).sync()

    def count(tx: Any) -> Any:
        return tx.value("SELECT COUNT(*) FROM sliding_connections"), tx.value("SELECT COUNT(*) FROM sliding_rooms")

    await alice.create_room()
    await Sliding(alice).sync()
    assert await server.server.engine.database.read(count) == (1, 1)
    (await alice.post(f"{V3}/logout")).ok()
    assert await server.server.engine.database.read(count) == (0, 0)
