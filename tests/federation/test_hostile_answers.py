"""Servers that lie when we ask: joining a room through them, and finding out what events build on.

The victim ends in a clean state, tells its user a plain error, and a later honest answer is taken.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
https://spec.matrix.org/v1.19/server-server-api/#retrieving-missing-events
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.federation.invented_room import InventedRoom, Lie, json, pdus, refusal
from tests.federation.stranger import Stranger
from tests.federation.test_hostile_transactions import resealed
from tests.federation.victim import Victim, push, seen
from weft.federation.transport import OutgoingRequest
from weft.graph.build import Draft
from weft.testing import Answer, Client

NO_ANSWERS: list[Answer] = [
    json(None),
    json([]),
    json("x"),
    json({"event": None, "state": None, "auth_chain": None}),
    Answer(200, {}, b""),
    Answer(200, {}, b"[" * 100_000),
    Answer(200, {}, b'{"event":"\xff"}'),
    Answer(200, {}, b'{"event":{"x":"\\ud800"},"state":[],"auth_chain":[]}'),
    Answer(302, {"location": "http://127.0.0.1/"}, b""),
    Answer(500, {}, b"<html>"),
    json({"errcode": 1}, 400),
    json({"errcode": "M_" + "X" * 10_000, "error": "x" * 100_000}, 403),
    Answer(99, {}, b"{}"),
]


def always(answer: Answer) -> Lie:
    return lambda request, honest: answer


def altered(change: Callable[[dict[str, Any]], Any]) -> Lie:
    """The honest answer, changed."""

    def lie(request: OutgoingRequest, honest: Answer) -> Answer:
        told = honest.json
        change(told)
        return json(told)

    return lie


async def join(client: Client, room: InventedRoom) -> Answer:
    return await client.post(f"/_matrix/client/v3/join/{room.id}?via={room.stranger.name}", {})


async def check_not_joined(victim: Victim, alice: Client, room: InventedRoom) -> None:
    """Alice is not in the room, sees nothing of it, and gets in once the server is honest."""
    assert (await alice.get("/_matrix/client/v3/joined_rooms")).ok() == {"joined_rooms": []}
    assert room.id not in (await alice.sync()).get("rooms", {}).get("join", {})
    assert (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/state")).status in (403, 404)
    await victim.server.restart()
    room.lies.clear()
    (await join(alice, room)).ok()
    said = await alice.send(room.id, "in at last")
    assert said in await seen(alice, room.id)


@pytest.mark.parametrize("name", ["make_join", "send_join"])
@pytest.mark.parametrize("answer", NO_ANSWERS, ids=range(len(NO_ANSWERS)))
async def test_a_join_is_answered_with_nonsense(
    victim: Victim, stranger: Stranger, alice: Client, name: str, answer: Answer
) -> None:
    room = InventedRoom(stranger)
    room.lies[name] = always(answer)
    told = await join(alice, room)
    assert told.status in (400, 403, 404, 502), told
    assert told.json["errcode"].startswith("M_")
    assert len(told.body) < 5_000
    await check_not_joined(victim, alice, room)


def _set(name: str, value: Any) -> Lie:
    def change(told: dict[str, Any]) -> None:
        told["event"][name] = value

    return altered(change)


TEMPLATES: dict[str, Lie] = {
    "another version": altered(lambda told: told.update(room_version="1")),
    "a version of another format": altered(lambda told: told.update(room_version="12")),
    "an unknown version": altered(lambda told: told.update(room_version="x" * 10_000)),
    "no version": altered(lambda told: told.pop("room_version")),
    "no past": _set("prev_events", None),
    "a past that is none": _set("prev_events", [["$x", {}]]),
    "too much past": _set("prev_events", [f"${n}" for n in range(21)]),
    "no authority": _set("auth_events", []),
    "made-up authority": _set("auth_events", ["$made-up"]),
    "negative depth": _set("depth", -1),
    "depth beyond integers": _set("depth", 2**60),
    "a float": _set("depth", 1.5),
}


@pytest.mark.parametrize("lie", TEMPLATES)
async def test_templates_that_can_not_be_used(victim: Victim, stranger: Stranger, alice: Client, lie: str) -> None:
    room = InventedRoom(stranger)
    room.lies["make_join"] = TEMPLATES[lie]
    told = await join(alice, room)
    assert told.status in (400, 403, 502), told
    await check_not_joined(victim, alice, room)


async def test_of_a_template_only_the_place_is_used(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room = InventedRoom(stranger)
    evil = {
        "type": "m.room.power_levels",
        "state_key": "",
        "sender": "@other:weft.test",
        "room_id": "!other:stranger.test",
        "content": {"membership": "ban", "displayname": "evil", "users": {}},
        "origin_server_ts": 1,
        "redacts": "$x",
        "unsigned": {"x": 1},
    }
    room.lies["make_join"] = altered(lambda told: told["event"].update(evil))
    (await join(alice, room)).ok()
    made = next(event for event in room.events.values() if event.sender == alice.user_id)
    assert (made.type, made.state_key, made.membership) == ("m.room.member", alice.user_id, "join")
    assert made.content.get("displayname") != "evil"
    assert "redacts" not in made.pdu


def _without(event_type: str) -> Lie:
    def change(told: dict[str, Any]) -> None:
        for part in ("state", "auth_chain"):
            told[part] = [pdu for pdu in told[part] if pdu["type"] != event_type]

    return altered(change)


def _spoiled(name: str, value: Any, event_type: str) -> Lie:
    def change(told: dict[str, Any]) -> None:
        for part in ("state", "auth_chain"):
            for pdu in told[part]:
                if pdu["type"] == event_type:
                    pdu[name] = value

    return altered(change)


STATES: dict[str, Lie] = {
    "nothing": altered(lambda told: told.update(state=[], auth_chain=[])),
    "no create event": _without("m.room.create"),
    "no power levels": _without("m.room.power_levels"),
    "no join rules": _without("m.room.join_rules"),
    "no members": _without("m.room.member"),
    "an unsigned create event": _spoiled("signatures", {}, "m.room.create"),
    "unsigned power levels": _spoiled("signatures", {}, "m.room.power_levels"),
    "a forged join rule": _spoiled("sender", "@alice:weft.test", "m.room.join_rules"),
    "another room's create event": _spoiled("room_id", "!other:stranger.test", "m.room.create"),
    "members left out": altered(lambda told: told.update(members_omitted=True)),
    "another event than ours": altered(lambda told: told.update(event=told["state"][0])),
    "no event at all": altered(lambda told: told.update(event={"x": 1})),
    "our event, changed": altered(lambda told: told["event"]["content"].update(displayname="evil")),
    "our event with a bad signature": altered(lambda told: told["event"]["signatures"].update({"weft.test": {}})),
}


@pytest.mark.parametrize("version", ["10", "12"])
@pytest.mark.parametrize("lie", STATES)
async def test_states_that_can_not_be(
    victim: Victim, stranger: Stranger, alice: Client, lie: str, version: str
) -> None:
    room = InventedRoom(stranger, version)
    room.lies["send_join"] = STATES[lie]
    told = await join(alice, room)
    assert told.status in (400, 403, 502), told
    await check_not_joined(victim, alice, room)


async def test_a_state_with_junk_among_it(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """What is no event of the room is left out; the rest is the room."""
    room, other = InventedRoom(stranger), InventedRoom(Stranger(victim.server, "other.test"))
    forged = resealed(room.events[room.front[0].event_id], stranger, sender="@nobody:other.test", state_key="x")
    junk = [None, 1, {}, *pdus(other.events.values()), forged.pdu, {"type": "x" * 70_000}]
    room.lies["send_join"] = altered(lambda told: told["state"].extend(junk))
    (await join(alice, room)).ok()
    state = (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/state")).ok()
    assert {event["sender"] for event in state} == {room.mallory, alice.user_id}
    assert other.id not in (await alice.get("/_matrix/client/v3/joined_rooms")).ok()["joined_rooms"]


async def test_another_version_of_a_room_that_we_are_in(victim: Victim, stranger: Stranger, alice: Client) -> None:
    bob = await victim.server.user("bob")
    room = InventedRoom(stranger)
    (await join(alice, room)).ok()
    rule = room.add("m.room.join_rules", {"join_rule": "invite"}, "")
    await push(stranger, rule)
    room.lies["make_join"] = altered(lambda told: told.update(room_version="9"))
    assert (await join(bob, room)).status in (400, 403)
    assert (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/joined_members")).ok()["joined"].keys() == {
        alice.user_id,
        room.mallory,
    }


async def test_leaving_works_whatever_the_other_server_says(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room = InventedRoom(stranger)
    (await join(alice, room)).ok()
    for name, lie in [
        ("make_leave", always(refusal())),
        ("make_leave", altered(lambda told: told.update(room_version="1"))),
        ("make_leave", _set("prev_events", 1)),
        ("send_leave", always(Answer(500, {}, b""))),
    ]:
        room.lies[name] = lie
        await alice.leave(room.id)
        assert room.id not in (await alice.get("/_matrix/client/v3/joined_rooms")).ok()["joined_rooms"]
        room.lies.clear()
        (await join(alice, room)).ok()


# -- what events build on


PAST: dict[str, dict[str, Lie]] = {
    "refuses everything": {
        name: always(refusal()) for name in ("get_missing_events", "state_ids", "state", "event", "event_auth")
    },
    "an empty state": {
        "get_missing_events": always(json({"events": []})),
        "state_ids": always(json({"pdu_ids": [], "auth_chain_ids": []})),
    },
    "made-up ids": {
        "get_missing_events": always(json({"events": []})),
        "state_ids": always(json({"pdu_ids": [f"$made-up{n}" for n in range(20)], "auth_chain_ids": []})),
        "event": always(refusal()),
    },
    "a hundred thousand ids": {
        "get_missing_events": always(json({"events": []})),
        "state_ids": always(json({"pdu_ids": [f"$made-up{n}" for n in range(100_000)], "auth_chain_ids": []})),
        "state": always(json({"pdus": [{}] * 10_000, "auth_chain": []})),
    },
    "ids that are none": {
        "get_missing_events": always(json({"events": []})),
        "state_ids": always(json({"pdu_ids": ["\0", "", "x" * 10_000], "auth_chain_ids": [1]})),
    },
    "junk for missing events": {
        "get_missing_events": always(json({"events": [None, 1, {}, {"room_id": "x"}] * 500})),
        "state_ids": always(refusal()),
    },
    "nonsense": {
        name: always(Answer(200, {}, b"[1,"))
        for name in ("get_missing_events", "state_ids", "state", "event", "event_auth")
    },
}


@pytest.mark.parametrize("lie", PAST)
async def test_lies_about_what_an_event_builds_on(victim: Victim, stranger: Stranger, alice: Client, lie: str) -> None:
    """The event waits, the room goes on, and once the server is honest the event is taken."""
    room = InventedRoom(stranger)
    (await join(alice, room)).ok()
    room.say("withheld")
    later = room.say("later")
    room.lies.update(PAST[lie])
    before = victim.asked[stranger.name]
    async with victim.gains(staged_events=1):
        await push(stranger, later)
    assert victim.asked[stranger.name] - before < 100
    assert later.event_id not in await seen(alice, room.id)
    assert await alice.send(room.id, "the room goes on") in await seen(alice, room.id)
    room.lies.clear()
    await push(stranger, room.say("honest"))
    await victim.settled()
    assert later.event_id in await seen(alice, room.id)


async def test_a_state_of_another_room(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room, other = InventedRoom(stranger), InventedRoom(Stranger(victim.server, "other.test"))
    (await join(alice, room)).ok()
    room.say("withheld")
    later = room.say("later")
    ids = list(other.events)
    room.lies["get_missing_events"] = always(json({"events": pdus(other.events.values())}))
    room.lies["state_ids"] = always(json({"pdu_ids": ids, "auth_chain_ids": ids}))
    room.lies["event"] = lambda request, honest: json({"pdus": pdus([other.events[ids[0]]])})
    async with victim.gains(staged_events=1):
        await push(stranger, later)
    assert later.event_id not in await seen(alice, room.id)


async def test_a_state_that_gives_the_liar_power_is_not_believed(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """Eve, who has no power, shows a state in which she has; the event that gave it to her is hers."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    await victim.settled()
    eve = stranger.user("eve")
    draft = Draft(type="m.room.power_levels", sender=eve, state_key="", content={"users": {eve: 100}})
    levels = await stranger.make(room_id, draft)
    name = Draft(type="m.room.name", sender=eve, state_key="", content={"name": "Eve's"})
    event = await stranger.make(room_id, name)
    event = resealed(event, stranger, prev_events=["$withheld"])
    rooms = victim.server.server.engine.rooms
    room = await rooms.get(room_id)
    state = [one for key, one in room.state if key[0] != "m.room.power_levels"]
    base = "/_matrix/federation/v1"
    stranger.answers[f"{base}/state_ids/{room_id}"] = stranger.json(
        {"pdu_ids": [*state, levels.event_id], "auth_chain_ids": []}
    )
    stranger.answers[f"{base}/event/{levels.event_id}"] = stranger.json({"pdus": [levels.pdu]})
    stranger.answers[f"{base}/get_missing_events/{room_id}"] = stranger.json({"events": []})
    await push(stranger, event)
    await victim.settled()
    assert event.event_id not in await seen(alice, room_id)
    assert (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.name")).status == 404
    said = (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.power_levels")).ok()
    assert eve not in said["users"]


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=range(len(NO_ANSWERS)))
async def test_a_past_that_is_none(victim: Victim, stranger: Stranger, alice: Client, answer: Answer) -> None:
    room = InventedRoom(stranger)
    for number in range(5):
        room.say(str(number))
    (await join(alice, room)).ok()
    room.lies["backfill"] = always(answer)
    async with victim.gains():
        page = (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/messages", dir="b", limit=50)).ok()
    assert all(event["type"] != "m.room.message" for event in page["chunk"])
    await victim.server.restart()
    room.lies.clear()
    assert sum(event["type"] == "m.room.message" for event in await _past(alice, room.id)) == 5


async def _past(client: Client, room_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"dir": "b", "limit": 50}
    while True:
        page = (await client.get(f"/_matrix/client/v3/rooms/{room_id}/messages", **query)).ok()
        found += page["chunk"]
        if "end" not in page:
            return found
        query["from"] = page["end"]


async def test_a_past_that_is_not_the_rooms(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room, other = InventedRoom(stranger), InventedRoom(Stranger(victim.server, "other.test"))
    said = room.say("real")
    (await join(alice, room)).ok()
    forged = resealed(said, stranger, sender=alice.user_id)
    loose = resealed(said, stranger, content={"body": "nobody asked for this", "msgtype": "m.text"})
    told = json({"pdus": [*pdus(other.events.values()), forged.pdu, loose.pdu, *[None] * 1_000]})
    room.lies["backfill"] = always(told)
    async with victim.gains():
        page = (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/messages", dir="b", limit=50)).ok()
    assert all(event["type"] != "m.room.message" for event in page["chunk"])
