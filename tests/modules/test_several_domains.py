"""One server that is home to two domains: a room shared by both is one room, and each user is of one domain."""

from __future__ import annotations

import pytest_asyncio

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


@pytest_asyncio.fixture
async def both(start_server: Start) -> TestServer:
    return await start_server({"server": {"names": ["weft.test", "two.test"]}})


async def somebody(server: TestServer, user_id: str) -> Client:
    await server.server.accounts.create(user_id, "correct horse")
    return await server.login(user_id)


async def test_people_of_both_domains_share_a_room(both: TestServer) -> None:
    alice, bob = await both.user("alice"), await somebody(both, "@bob:two.test")
    room_id = await bob.create_room(room_version="11", room_alias_name="pub", invite=[alice.user_id])
    assert room_id.endswith(":two.test")
    assert await alice.join("#pub:two.test") == room_id
    found = (await alice.get(f"{V3}/directory/room/%23pub%3Atwo.test")).ok()
    assert found == {"room_id": room_id, "servers": ["weft.test", "two.test"]}
    event_id = await alice.send(room_id, "hello")
    timeline = (await bob.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    assert timeline[-1]["event_id"] == event_id
    await alice.leave(room_id)
    found = (await alice.get(f"{V3}/directory/room/%23pub%3Atwo.test")).ok()
    assert found["servers"] == ["two.test"]


async def test_aliases_of_the_same_name_are_two(both: TestServer) -> None:
    alice, bob = await both.user("alice"), await somebody(both, "@bob:two.test")
    rooms = {await who.create_room(room_alias_name="pub", visibility="public") for who in (alice, bob)}
    listed = (await alice.get(f"{V3}/publicRooms", server="two.test")).ok()["chunk"]
    assert {room["room_id"] for room in listed} == rooms
    assert {room["canonical_alias"] for room in listed} == {"#pub:weft.test", "#pub:two.test"}


async def test_notices_come_from_the_users_own_domain(both: TestServer) -> None:
    admin, bob = await both.user("admin"), await somebody(both, "@bob:two.test")
    notice = {"user_id": bob.user_id, "content": {"msgtype": "m.text", "body": "x"}}
    (await admin.post("/_synapse/admin/v1/send_server_notice", notice)).ok()
    ((room_id, _),) = (await bob.sync())["rooms"]["invite"].items()
    (await bob.post(f"{V3}/rooms/{room_id}/leave")).refused(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM")
    await bob.join(room_id)
    creator = (await bob.get(f"{V3}/rooms/{room_id}/state/m.room.create", format="event")).ok()["sender"]
    assert creator == "@notices:two.test"


async def test_the_right_to_redact_ends_with_the_domain(both: TestServer) -> None:
    admin, bob = await both.user("admin"), await somebody(both, "@bob:two.test")
    room_id = await bob.create_room(preset="public_chat")
    await admin.join(room_id)
    event_id = await bob.send(room_id)
    (await admin.put(f"{V3}/rooms/{room_id}/redact/{event_id}/1")).refused(403, "M_FORBIDDEN")
