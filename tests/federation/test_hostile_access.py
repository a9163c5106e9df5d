"""Rooms that are closed to a server: by their access control list, because they don't federate, or because nobody of
that server is in them. Every endpoint that is about a room is asked.

https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.stranger import Stranger
from tests.federation.test_hostile_handshakes import V2, member
from tests.federation.victim import Victim, push, refused_events, seen
from weft.graph.build import Draft
from weft.testing import Answer, Client


async def ask_everything(stranger: Stranger, room_id: str, event_id: str, user_id: str) -> dict[str, Answer]:
    """Every endpoint of a room, as a server in it would ask it; by the endpoint's name."""
    room, event, user = quote(room_id), quote(event_id), quote(user_id)
    answers: dict[str, Answer] = {}
    for name, path, query in [
        ("backfill", f"/backfill/{room}", {"v": [event_id], "limit": 5}),
        ("event", f"/event/{event}", {}),
        ("event_auth", f"/event_auth/{room}/{event}", {}),
        ("state", f"/state/{room}", {"event_id": event_id}),
        ("state_ids", f"/state_ids/{room}", {"event_id": event_id}),
        ("timestamp_to_event", f"/timestamp_to_event/{room}", {"ts": 0, "dir": "f"}),
        ("make_join", f"/make_join/{room}/{user}", {"ver": ["10"]}),
        ("make_leave", f"/make_leave/{room}/{user}", {}),
        ("make_knock", f"/make_knock/{room}/{user}", {"ver": ["10"]}),
        ("hierarchy", f"/hierarchy/{room}", {}),
    ]:
        answers[name] = await stranger.get(path, **query)
    asked = {"earliest_events": [], "latest_events": [event_id], "limit": 10}
    answers["get_missing_events"] = await stranger.post(f"/get_missing_events/{room}", asked)
    for membership, base in [("join", V2), ("join", ""), ("leave", V2), ("leave", ""), ("knock", "")]:
        made = await stranger.make(room_id, member(user_id, membership))
        answers[f"send_{membership}{base}"] = await stranger.put(
            f"{base}/send_{membership}/{room}/{quote(made.event_id)}", made.pdu
        )
    exchange = {
        "type": "m.room.member",
        "room_id": room_id,
        "sender": "@alice:weft.test",
        "state_key": user_id,
        "content": {"membership": "invite", "third_party_invite": {"signed": {"mxid": user_id, "token": "t"}}},
    }
    answers["exchange"] = await stranger.put(f"/exchange_third_party_invite/{room}", exchange)
    return answers


def check_closed(answers: dict[str, Answer], secret: str) -> None:
    for name, answer in answers.items():
        assert answer.status in (400, 403, 404), (name, answer)
        assert secret.encode() not in answer.body, (name, answer)


@pytest.mark.parametrize("denied", ["stranger.test", "s*.test"])
async def test_a_server_that_the_room_keeps_out(victim: Victim, stranger: Stranger, alice: Client, denied: str) -> None:
    """Though its user is still a member, and the history is for everybody."""
    room_id = await alice.create_room(preset="public_chat", room_version="10", name="secret name")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    await stranger.join(room_id)
    said = await alice.send(room_id, "secret words")
    await alice.set_state(room_id, "m.room.server_acl", {"allow": ["*"], "deny": [denied]})
    async with victim.gains():
        check_closed(await ask_everything(stranger, room_id, said, stranger.user("eve")), "secret")
    event = await stranger.make(
        room_id, Draft(type="m.room.message", sender=stranger.user("eve"), content={"body": "x", "msgtype": "m.text"})
    )
    async with victim.gains():
        assert list(await refused_events(await push(stranger, event))) == [event.event_id]
    assert event.event_id not in await seen(alice, room_id)
    # What another server passes on is judged by who passes it on, and by the room's rules.
    friend = Stranger(victim.server, "friend.test")
    assert await refused_events(await push(friend, event)) == {}


async def test_a_server_that_is_not_in_the_room(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", room_version="10", name="secret name")
    said = await alice.send(room_id, "secret words")
    answers = await ask_everything(stranger, room_id, said, stranger.user("eve"))
    check_closed(answers, "secret")
    left = await alice.create_room(preset="public_chat", room_version="10", name="secret name")
    eve = stranger.user("eve")
    await stranger.join(left)
    await stranger.send(left, member(eve, "leave"))
    await alice.set_state(left, "m.room.history_visibility", {"history_visibility": "joined"})
    await alice.set_state(left, "m.room.join_rules", {"join_rule": "invite"})
    said = await alice.send(left, "secret words")
    check_closed(await ask_everything(stranger, left, said, eve), "secret")


@pytest.mark.parametrize("version", ["6", "10", "12"])
async def test_a_room_that_does_not_federate(victim: Victim, stranger: Stranger, alice: Client, version: str) -> None:
    """Nobody of another server gets in or learns of it, however open it is."""
    room_id = await alice.create_room(
        preset="public_chat",
        room_version=version,
        name="secret name",
        visibility="public",
        creation_content={"m.federate": False},
    )
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    said = await alice.send(room_id, "secret words")
    check_closed(await ask_everything(stranger, room_id, said, stranger.user("eve")), "secret")
    listed = (await stranger.get("/publicRooms")).ok()["chunk"]
    assert room_id not in {room["room_id"] for room in listed}
    event = await stranger.make(room_id, member(stranger.user("eve")))
    assert list(await refused_events(await push(stranger, event))) == [event.event_id]
    assert (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/joined_members")).ok()["joined"].keys() == {
        alice.user_id
    }
    answer = await alice.post(f"/_matrix/client/v3/rooms/{room_id}/invite", {"user_id": stranger.user("eve")})
    assert answer.status == 403


ABSURD: list[tuple[str, dict[str, Any]]] = [
    ("/backfill/{room}", {"v": ["$x"] * 3_000, "limit": 10}),
    ("/backfill/{room}", {"v": ["{event}"], "limit": 2**63}),
    ("/backfill/{room}", {"v": ["{event}"], "limit": -1}),
    ("/backfill/{room}", {"v": [], "limit": 1}),
    ("/state/{room}", {"event_id": "$unknown"}),
    ("/state/{room}", {}),
    ("/state_ids/{room}", {"event_id": "x" * 10_000}),
    ("/event/%24" + "x" * 10_000, {}),
    ("/event/%00", {}),
    ("/event/%FF", {}),
    ("/event_auth/{room}/%ED%A0%80", {}),
    ("/timestamp_to_event/{room}", {"ts": 2**70, "dir": "f"}),
    ("/timestamp_to_event/{room}", {"ts": -(2**63), "dir": "b"}),
    ("/timestamp_to_event/{room}", {"ts": "x", "dir": "b"}),
    ("/timestamp_to_event/{room}", {"ts": 1, "dir": "up"}),
]


@pytest.mark.parametrize(("path", "query"), ABSURD)
async def test_absurd_questions_of_a_member(
    victim: Victim, stranger: Stranger, alice: Client, path: str, query: dict[str, Any]
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    said = await alice.send(room_id)
    filled = {name: [said] if value == ["{event}"] else value for name, value in query.items()}
    async with victim.gains():
        answer = await stranger.get(path.replace("{room}", quote(room_id)), **filled)
    assert answer.status in (200, 400, 404, 414), answer


async def test_absurd_walks(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    said = await alice.send(room_id)
    for body in (
        {},
        {"earliest_events": [], "latest_events": [said] * 3_000},
        {"earliest_events": [said], "latest_events": [said], "limit": 2**53},
        {"earliest_events": [], "latest_events": [said], "limit": -1},
        {"earliest_events": [], "latest_events": [said], "limit": 10**30},
        {"earliest_events": [], "latest_events": [said], "min_depth": 10**30},
        {"earliest_events": ["\0"], "latest_events": ["\0", "x" * 255, ""]},
        {"earliest_events": [1], "latest_events": None},
    ):
        async with victim.gains():
            answer = await stranger.post(f"/get_missing_events/{quote(room_id)}", body)
        assert answer.status in (200, 400), (body, answer)
