"""Ephemeral messages of a server that means ill: nobody speaks for others' users, nor in rooms that are closed to it.

https://spec.matrix.org/v1.19/server-server-api/#edus
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push
from weft.testing import Client

EVE = "@eve:stranger.test"


def typing(room_id: str, user_id: Any = EVE, value: Any = True) -> dict[str, Any]:
    return {"edu_type": "m.typing", "content": {"room_id": room_id, "user_id": user_id, "typing": value}}


def receipt(room_id: str, event_id: str, user_id: str = EVE, **data: Any) -> dict[str, Any]:
    one = {"data": {"ts": 1, **data}, "event_ids": [event_id]}
    return {"edu_type": "m.receipt", "content": {room_id: {"m.read": {user_id: one}}}}


def presence(*users: str, **more: Any) -> dict[str, Any]:
    push = [{"user_id": user_id, "presence": "online", "last_active_ago": 1, **more} for user_id in users]
    return {"edu_type": "m.presence", "content": {"push": push}}


async def ephemeral(client: Client, room_id: str) -> dict[str, Any]:
    answer = await client.sync()
    events = answer["rooms"]["join"][room_id].get("ephemeral", {}).get("events", [])
    return {event["type"]: event["content"] for event in events}


async def test_nobody_speaks_for_others(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    said = await alice.send(room_id)
    others = [alice.user_id, "@bob:elsewhere.test", "eve", "@eve", "", "@e\0ve:stranger.test", "@nobody:stranger.test"]
    edus = [edu for user in others for edu in (typing(room_id, user), receipt(room_id, said, user), presence(user))]
    async with victim.gains():
        (await push(stranger, edus=edus)).ok()
    assert await ephemeral(alice, room_id) == {}
    assert (await alice.get(f"/_matrix/client/v3/presence/{alice.user_id}/status")).json.get("status_msg") is None
    (await push(stranger, edus=[typing(room_id), receipt(room_id, said), presence(EVE, status_msg="hi")])).ok()
    assert (await ephemeral(alice, room_id)).keys() == {"m.typing", "m.receipt"}
    status = (await alice.get(f"/_matrix/client/v3/presence/{EVE}/status")).ok()
    assert status["status_msg"] == "hi"


async def test_presence_of_people_whom_nobody_knows(victim: Victim, stranger: Stranger, alice: Client) -> None:
    crowd = [f"@u{number}:stranger.test" for number in range(2_000)]
    async with victim.gains():
        (await push(stranger, edus=[presence(*crowd)] * 5)).ok()


async def test_rooms_that_the_server_is_not_in(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="private_chat")
    said = await alice.send(room_id)
    rooms = [room_id, "!unknown:weft.test", "\0", "x" * 10_000]
    async with victim.gains():
        (await push(stranger, edus=[edu for one in rooms for edu in (typing(one), receipt(one, said))])).ok()
    assert await ephemeral(alice, room_id) == {}


async def test_receipts_for_what_is_not_there(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id, other = await alice.create_room(preset="public_chat"), await alice.create_room()
    await stranger.join(room_id)
    said, elsewhere = await alice.send(room_id), await alice.send(other)
    edus = [
        receipt(room_id, elsewhere),
        receipt(room_id, "$unknown"),
        receipt(room_id, "\0"),
        receipt(room_id, "x" * 100_000),
        receipt(room_id, said, thread_id="\0"),
        receipt(room_id, said, thread_id="$" + "x" * 100_000),
        receipt(room_id, said, thread_id=elsewhere),
        receipt(room_id, said, ts=-1),
        receipt(room_id, said, ts=2**63),
    ]
    async with victim.gains():
        (await push(stranger, edus=edus)).ok()
    assert await ephemeral(alice, room_id) == {}


NONSENSE: list[Any] = [
    None,
    1,
    [],
    {},
    {"edu_type": 1, "content": {}},
    {"edu_type": "m.typing"},
    {"edu_type": "m.typing", "content": []},
    {"edu_type": "x" * 100_000, "content": {}},
    {"edu_type": "m.receipt", "content": {"!a:b": []}},
    {"edu_type": "m.receipt", "content": {"!a:b": {"m.read": {"@a:b": {"event_ids": [], "data": {}}}}}},
    {"edu_type": "m.receipt", "content": {"!a:b": {"m.read": {"@a:b": {"event_ids": ["$"] * 101, "data": {"ts": 1}}}}}},
    {"edu_type": "m.presence", "content": {"push": 1}},
    {"edu_type": "m.presence", "content": {"push": [None, 1, {}, {"user_id": EVE, "presence": "dead"}]}},
    {
        "edu_type": "m.presence",
        "content": {"push": [{"user_id": EVE, "presence": "online", "status_msg": "x" * 9_999}]},
    },
    {"edu_type": "m.presence", "content": {"push": [{"user_id": EVE, "presence": "online", "last_active_ago": -1}]}},
    {"edu_type": "m.direct_to_device", "content": {"sender": EVE, "type": "m.x", "message_id": "1", "messages": []}},
    {"edu_type": "m.device_list_update", "content": {"user_id": EVE, "device_id": 1, "stream_id": -1}},
    {"edu_type": "m.signing_key_update", "content": {"user_id": EVE, "master_key": 1}},
]


async def test_nonsense_does_not_spoil_the_rest(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    said = [typing(room_id, EVE, value) for value in (None, 1, "yes", {})]
    async with victim.gains(typing=1):
        (await push(stranger, edus=[*NONSENSE, *said, typing(room_id)])).ok()
    assert (await ephemeral(alice, room_id))["m.typing"] == {"user_ids": [EVE]}


@pytest.mark.parametrize("denied", ["stranger.test", "*er.test", "s*"])
async def test_servers_that_the_room_keeps_out(victim: Victim, stranger: Stranger, alice: Client, denied: str) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    said = await alice.send(room_id)
    acl = {"allow": ["*"], "deny": [denied], "allow_ip_literals": False}
    await alice.set_state(room_id, "m.room.server_acl", acl)
    async with victim.gains():
        (await push(stranger, edus=[typing(room_id), receipt(room_id, said)])).ok()
    assert await ephemeral(alice, room_id) == {}
