"""Administrators look after rooms. https://element-hq.github.io/synapse/latest/admin_api/rooms.html"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
ADMIN = "/_synapse/admin/v1"


async def people(server: TestServer) -> tuple[Client, Client, Client]:
    return await server.user("admin"), await server.user("alice"), await server.user("bob")


def ids(page: dict[str, Any]) -> list[str]:
    return [room["room_id"] for room in page["rooms"]]


async def test_rooms_are_listed_in_pages(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    a = await alice.create_room(name="Apples", preset="public_chat", room_alias_name="orchard", visibility="public")
    b = await alice.create_room(name="Bananas")
    c = await bob.create_room(preset="public_chat", room_version="10", creation_content={"m.federate": False})
    await bob.join(a)
    path = f"{ADMIN}/rooms"
    page = (await admin.get(path, limit=2)).ok()
    assert (page["offset"], page["total_rooms"], page["next_batch"]) == (0, 3, 2)
    assert "prev_batch" not in page
    rest = (await admin.get(path, limit=2, **{"from": page["next_batch"]})).ok()
    assert (rest["offset"], rest["prev_batch"]) == (2, 0)
    assert "next_batch" not in rest
    assert ids(page) + ids(rest) == [c, a, b], "the one without a name first"
    (apples,) = (await admin.get(path, search_term="APPL")).ok()["rooms"]
    assert apples == {
        "room_id": a,
        "name": "Apples",
        "canonical_alias": "#orchard:weft.test",
        "joined_members": 2,
        "joined_local_members": 2,
        "version": "12",
        "creator": alice.user_id,
        "encryption": None,
        "federatable": True,
        "public": True,
        "join_rules": "public",
        "guest_access": "forbidden",
        "history_visibility": "shared",
        "state_events": apples["state_events"],
        "room_type": None,
    }
    state = (await alice.get(f"{V3}/rooms/{a}/state")).ok()
    assert apples["state_events"] == len(state)
    assert ids((await admin.get(path, search_term="orch")).ok()) == [a]
    assert ids((await admin.get(path, search_term="weft.test")).ok()) == [c], "of aliases the localpart alone"
    assert ids((await admin.get(path, search_term=b[3:12])).ok()) == [b]
    assert ids((await admin.get(path, search_term="%")).ok()) == []
    assert ids((await admin.get(path, public_rooms="true")).ok()) == [a]
    assert set(ids((await admin.get(path, public_rooms="false")).ok())) == {b, c}
    assert ids((await admin.get(path, order_by="joined_members")).ok())[0] == a
    assert ids((await admin.get(path, order_by="size", dir="b")).ok())[2] == a
    assert ids((await admin.get(path, order_by="federatable")).ok())[0] == c
    for order in (
        "canonical_alias",
        "joined_local_members",
        "version",
        "creator",
        "encryption",
        "public",
        "join_rules",
    ):
        assert set(ids((await admin.get(path, order_by=order)).ok())) == {a, b, c}
    for order in ("guest_access", "history_visibility", "state_events", "alphabetical", "name"):
        assert set(ids((await admin.get(path, order_by=order)).ok())) == {a, b, c}
    (await admin.get(path, order_by="depth")).refused(400, "M_INVALID_PARAM")


async def test_the_list_follows_the_rooms(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await alice.create_room(name="Before")
    path = f"{ADMIN}/rooms"
    assert (await admin.get(path)).ok()["rooms"][0]["name"] == "Before"
    await alice.set_state(room_id, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    event_id = await alice.set_state(room_id, "m.room.name", {"name": "After"})
    (room,) = (await admin.get(path)).ok()["rooms"]
    assert (room["name"], room["encryption"]) == ("After", "m.megolm.v1.aes-sha2")
    (await alice.put(f"{V3}/rooms/{room_id}/redact/{event_id}/1", {})).ok()
    await server.server.engine.followed("redacted rooms")
    (room,) = (await admin.get(path)).ok()["rooms"]
    assert room["name"] is None
    await alice.leave(room_id)
    assert ids((await admin.get(path, empty_rooms="true")).ok()) == [room_id]
    assert ids((await admin.get(path, empty_rooms="false")).ok()) == []
    assert bob.user_id


async def test_details_members_and_state(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await alice.create_room(name="Garden", topic="Roses", preset="public_chat")
    await bob.join(room_id)
    await alice.set_state(room_id, "m.room.avatar", {"url": "mxc://weft.test/rose"})
    path = f"{ADMIN}/rooms/{room_id}"
    details = (await admin.get(path)).ok()
    assert (details["name"], details["topic"], details["avatar"]) == ("Garden", "Roses", "mxc://weft.test/rose")
    assert (details["joined_local_devices"], details["forgotten"], details["tombstoned"]) == (2, False, False)
    members = (await admin.get(f"{path}/members")).ok()
    assert (set(members["members"]), members["total"]) == ({alice.user_id, bob.user_id}, 2)
    state = (await admin.get(f"{path}/state")).ok()["state"]
    assert {event["type"] for event in state} >= {"m.room.create", "m.room.member", "m.room.power_levels"}
    (name,) = (await admin.get(f"{path}/state", type="m.room.name")).ok()["state"]
    assert (name["content"], name["room_id"]) == ({"name": "Garden"}, room_id)
    replacement = (await alice.post(f"{V3}/rooms/{room_id}/upgrade", {"new_version": "11"})).ok()["replacement_room"]
    details = (await admin.get(path)).ok()
    assert (details["tombstoned"], details["replacement_room"]) == (True, replacement)
    for person in (alice, bob):
        await person.leave(room_id)
        (await person.post(f"{V3}/rooms/{room_id}/forget")).ok()
    details = (await admin.get(path)).ok()
    assert (details["forgotten"], details["joined_members"]) == (True, 0)
    for what in ("", "/members", "/state"):
        (await admin.get(f"{ADMIN}/rooms/!unknown:weft.test{what}")).refused(404, "M_NOT_FOUND")
        (await admin.get(f"{ADMIN}/rooms/unknown{what}")).refused(400, "M_INVALID_PARAM")


async def test_looking_into_a_closed_room(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    room_id = await alice.create_room(initial_state=[_visibility("joined")])
    events = [await alice.send(room_id, f"message {number}") for number in range(5)]
    path = f"{ADMIN}/rooms/{room_id}"
    page = (await admin.get(f"{path}/messages", dir="b", limit=3)).ok()
    assert [event["event_id"] for event in page["chunk"]] == events[:1:-1]
    further = (await admin.get(f"{path}/messages", dir="b", limit=100, **{"from": page["end"]})).ok()
    assert [event["event_id"] for event in further["chunk"]][:2] == events[1::-1]
    context = (await admin.get(f"{path}/context/{events[2]}", limit=2)).ok()
    assert context["event"]["event_id"] == events[2]
    assert [event["event_id"] for event in context["events_before"]] == [events[1]]
    assert [event["event_id"] for event in context["events_after"]] == [events[3]]
    first = (await admin.get(f"{path}/timestamp_to_event", ts=0)).ok()["event_id"]
    assert (await admin.get(f"{ADMIN}/fetch_event/{first}")).ok()["event"]["type"] == "m.room.create"
    last = (await admin.get(f"{path}/timestamp_to_event", ts=server.clock() + 1000, dir="b")).ok()
    assert last["event_id"] == events[4]
    fetched = (await admin.get(f"{ADMIN}/fetch_event/{events[2]}")).ok()["event"]
    assert (fetched["event_id"], fetched["content"]["body"]) == (events[2], "message 2")
    assert fetched["signatures"]
    (ends,) = (await admin.get(f"{path}/forward_extremities")).ok()["results"]
    assert (ends["event_id"], ends["received_ts"]) == (events[4], None)
    assert ends["depth"] == fetched["depth"] + 2
    (await admin.get(f"{ADMIN}/fetch_event/$unknown")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{path}/context/$unknown")).refused(404, "M_NOT_FOUND")
    for what in ("messages", "context/$x", "timestamp_to_event?ts=0", "forward_extremities"):
        (await admin.get(f"{ADMIN}/rooms/!unknown:weft.test/{what}")).refused(404, "M_NOT_FOUND")


def _visibility(visibility: str) -> dict[str, Any]:
    return {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": visibility},
    }


# -- blocking


async def test_nobody_gets_into_a_blocked_room(start_server: Start) -> None:
    server = await start_server()
    admin, alice, bob = await people(server)
    room_id = await alice.create_room(preset="public_chat", room_alias_name="bad")
    closed = await alice.create_room()
    await alice.invite(closed, bob.user_id)
    path = f"{ADMIN}/rooms/{room_id}/block"
    assert (await admin.get(path)).ok() == {"block": False}
    assert (await admin.put(path, {"block": True})).ok() == {"block": True}
    (await admin.put(f"{ADMIN}/rooms/{closed}/block", {"block": True})).ok()
    assert (await admin.get(path)).ok() == {"block": True, "user_id": admin.user_id}
    await server.restart()
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/join/{quote('#bad:weft.test')}")).refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/join/{closed}")).refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/knock/{room_id}")).refused(403, "M_FORBIDDEN")
    (await alice.post(f"{V3}/rooms/{room_id}/invite", {"user_id": bob.user_id})).refused(403, "M_FORBIDDEN")
    member = f"{V3}/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    (await bob.put(member, {"membership": "join"})).refused(403, "M_FORBIDDEN")
    await alice.send(room_id, "who is in stays in")
    assert (await admin.put(path, {"block": False})).ok() == {"block": False}
    assert (await admin.get(path)).ok() == {"block": False}
    await bob.join(room_id)
    # A room that nobody here knows can be blocked, too.
    (await admin.put(f"{ADMIN}/rooms/!far:else.test/block", {"block": True})).ok()
    (await bob.post(f"{V3}/join/!far:else.test", {}, via="else.test")).refused(403, "M_FORBIDDEN")
    (await admin.put(f"{ADMIN}/rooms/nothing/block", {"block": True})).refused(400, "M_INVALID_PARAM")
    (await admin.get(f"{ADMIN}/rooms/nothing/block")).refused(400, "M_INVALID_PARAM")
    (await admin.put(path, {})).refused(400, "M_MISSING_PARAM")


# -- bringing users in


async def test_a_user_is_brought_into_a_room(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    public = await alice.create_room(preset="public_chat", room_alias_name="open")
    own, foreign = await admin.create_room(), await alice.create_room()
    body = {"user_id": bob.user_id}
    assert (await admin.post(f"{ADMIN}/join/{quote('#open:weft.test', safe='')}", body)).ok() == {"room_id": public}
    assert (await admin.post(f"{ADMIN}/join/{own}", body)).ok() == {"room_id": own}
    assert (await admin.post(f"{ADMIN}/join/{own}", body)).ok() == {"room_id": own}
    (await admin.post(f"{ADMIN}/join/{foreign}", body)).refused(403, "M_FORBIDDEN")
    joined = (await bob.get(f"{V3}/joined_rooms")).ok()["joined_rooms"]
    assert set(joined) == {public, own}
    (await admin.post(f"{ADMIN}/join/{public}", {"user_id": "@nobody:weft.test"})).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{ADMIN}/join/{public}", {"user_id": "@far:else.test"})).refused(400, "M_INVALID_PARAM")
    (await admin.post(f"{ADMIN}/join/{quote('#none:weft.test', safe='')}", body)).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{ADMIN}/join/{public}", {})).refused(400, "M_MISSING_PARAM")


@pytest.mark.parametrize("version", ["10", "12"])
async def test_somebody_is_given_the_say(server: TestServer, version: str) -> None:
    admin, alice, bob = await people(server)
    room_id = await alice.create_room(room_version=version)
    await alice.invite(room_id, bob.user_id)
    await bob.join(room_id)
    path = f"{ADMIN}/rooms/{room_id}/make_room_admin"
    assert (await admin.post(path, {"user_id": bob.user_id})).ok() == {}
    await bob.set_state(room_id, "m.room.name", {"name": "Bob's"})
    levels = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.power_levels")).ok()
    assert levels["users"][bob.user_id] >= 100
    before = (await alice.get(f"{V3}/rooms/{room_id}/state")).ok()
    (await admin.post(path, {"user_id": bob.user_id})).ok()
    assert len((await alice.get(f"{V3}/rooms/{room_id}/state")).ok()) == len(before)
    # Who is not in the room is invited: whoever asks, if nobody is named.
    (await admin.post(path)).ok()
    await admin.join(room_id)
    await admin.set_state(room_id, "m.room.topic", {"topic": "mine"})
    (await admin.post(path, {"user_id": "nobody"})).refused(400, "M_INVALID_PARAM")
    (await admin.post(f"{ADMIN}/rooms/!unknown:weft.test/make_room_admin")).refused(404, "M_NOT_FOUND")
    for person in (admin, alice, bob):
        await person.leave(room_id)
    (await admin.post(path)).refused(400, "M_UNKNOWN")
