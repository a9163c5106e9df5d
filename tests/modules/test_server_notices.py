"""Messages from the server itself. https://spec.matrix.org/v1.19/client-server-api/#server-notices"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
NOTICE = "/_synapse/admin/v1/send_server_notice"
SENDER = "@notices:weft.test"


def notice(user_id: str, body: str = "Maintenance at noon", **extra: Any) -> dict[str, Any]:
    return {"user_id": user_id, "content": {"msgtype": "m.text", "body": body}, **extra}


async def invited(client: Client) -> dict[str, Any]:
    rooms: dict[str, Any] = (await client.sync()).get("rooms", {})
    found: dict[str, Any] = rooms.get("invite", {})
    return found


async def test_a_notice_arrives_in_a_room_of_its_own(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    event_id = (await admin.post(NOTICE, notice(alice.user_id))).ok()["event_id"]
    ((room_id, invite),) = (await invited(alice)).items()
    by_type = {event["type"]: event for event in invite["invite_state"]["events"]}
    assert by_type["m.room.create"]["sender"] == SENDER
    assert by_type["m.room.name"]["content"] == {"name": "Server notices"}
    tags = (await alice.get(f"{V3}/user/{alice.user_id}/rooms/{room_id}/tags")).ok()
    assert tags == {"tags": {"m.server_notice": {}}}

    (await alice.post(f"{V3}/rooms/{room_id}/leave")).refused(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM")
    member = f"{V3}/rooms/{room_id}/state/m.room.member/{alice.user_id}"
    (await alice.put(member, {"membership": "leave"})).refused(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM")
    await alice.join(room_id)
    name = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.member/{SENDER}")).ok()
    assert name["displayname"] == "Server notices"
    answer = await alice.put(f"{V3}/rooms/{room_id}/send/m.room.message/1", {"msgtype": "m.text", "body": "?"})
    answer.refused(403, "M_FORBIDDEN")

    second = (await admin.post(NOTICE, notice(alice.user_id, "Done"))).ok()["event_id"]
    timeline = (await alice.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    sent = {event["event_id"]: event for event in timeline}
    assert sent[event_id]["content"]["body"] == "Maintenance at noon"
    assert sent[second]["content"]["body"] == "Done"
    assert sent[second]["sender"] == SENDER


async def test_who_left_is_invited_again(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    (await admin.post(NOTICE, notice(alice.user_id))).ok()
    (room_id,) = await invited(alice)
    await alice.join(room_id)
    await alice.leave(room_id)
    assert not await invited(alice)
    (await admin.post(NOTICE, notice(alice.user_id))).ok()
    assert set(await invited(alice)) == {room_id}


REFUSED = [
    {"content": {"body": 1.5}},
    {"content": {"body": 1 << 60}},
    {"content": {"body": "x" * 70_000}},
    {"type": "m.room.create", "state_key": ""},
    {"type": "m.room.power_levels", "state_key": "", "content": {"users": 7}},
]


@pytest.mark.parametrize("extra", REFUSED)
async def test_a_notice_that_is_refused_leaves_nothing_behind(server: TestServer, extra: dict[str, Any]) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    assert (await admin.post(NOTICE, notice(alice.user_id, **extra))).status in (400, 403, 413)
    assert not await invited(alice)
    (await admin.post(NOTICE, notice(alice.user_id))).ok()
    (room_id,) = await invited(alice)
    await alice.join(room_id)
    await alice.leave(room_id)
    assert (await admin.post(NOTICE, notice(alice.user_id, **extra))).status in (400, 403, 413)
    assert not await invited(alice), "whoever left is not invited again for nothing"


async def test_many_first_notices_make_one_room(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    answers = await asyncio.gather(*(admin.post(NOTICE, notice(alice.user_id, str(n))) for n in range(5)))
    assert len({answer.ok()["event_id"] for answer in answers}) == 5
    assert len(await invited(alice)) == 1


async def test_types_state_and_transactions(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    path = f"{NOTICE}/txn"
    first = (await admin.put(path, notice(alice.user_id))).ok()
    assert (await admin.put(path, notice(alice.user_id, "other"))).ok() == first
    pinned = {"user_id": alice.user_id, "type": "m.room.pinned_events", "state_key": "", "content": {"pinned": []}}
    (await admin.post(NOTICE, pinned)).ok()
    (room_id,) = await invited(alice)
    await alice.join(room_id)
    assert (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.pinned_events")).ok() == {"pinned": []}


@pytest.mark.parametrize(
    ("user_id", "status", "errcode"),
    [
        ("@nobody:weft.test", 404, "M_NOT_FOUND"),
        ("@alice:elsewhere.test", 400, "M_INVALID_PARAM"),
        ("alice", 400, "M_INVALID_PARAM"),
    ],
)
async def test_nobody_to_send_to(server: TestServer, user_id: str, status: int, errcode: str) -> None:
    admin = await server.user("admin")
    (await admin.post(NOTICE, notice(user_id))).refused(status, errcode)


async def test_administrators_only(server: TestServer) -> None:
    await server.user("admin")
    alice = await server.user("alice")
    (await alice.post(NOTICE, notice(alice.user_id))).refused(403, "M_FORBIDDEN")
    (await server.client().post(NOTICE, notice(alice.user_id))).refused(401, "M_MISSING_TOKEN")
