"""Stored filters, over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from weft.testing import Client, TestServer


def path(who: Client, filter_id: str = "") -> str:
    return f"/_matrix/client/v3/user/{quote(who.user_id)}/filter" + (f"/{quote(filter_id)}" if filter_id else "")


async def test_a_filter_is_kept_as_it_came(server: TestServer) -> None:
    alice = await server.user("alice")
    body = b'{"room": {"timeline": {"limit": 3}}, "org.example": [1.5]}'
    filter_id = (await alice.request("POST", path(alice), body=body)).ok()["filter_id"]
    assert not filter_id.startswith("{")
    assert (await alice.get(path(alice, filter_id))).body == body
    again = (await alice.request("POST", path(alice), body=body)).ok()["filter_id"]
    assert again == filter_id


async def test_sync_by_a_stored_filter(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    for number in range(5):
        await alice.send(room_id, f"{number}")
    chosen = {"room": {"timeline": {"limit": 2, "types": ["m.room.message"]}}}
    filter_id = (await alice.post(path(alice), chosen)).ok()["filter_id"]
    await server.restart()
    timeline = (await alice.sync(filter=filter_id))["rooms"]["join"][room_id]["timeline"]
    assert [event["content"]["body"] for event in timeline["events"]] == ["3", "4"]
    assert timeline["limited"] is True


@pytest.mark.parametrize(
    "chosen",
    [
        {"room": 3},
        {"room": {"timeline": {"types": "m.room.message"}}},
        {"room": {"timeline": {"senders": ["not a user"]}}},
        {"event_format": "other"},
        {"presence": {"types": ["x"] * 2001}},
    ],
)
async def test_what_is_no_filter(server: TestServer, chosen: dict[str, object]) -> None:
    alice = await server.user("alice")
    (await alice.post(path(alice), chosen)).refused(400, "M_BAD_JSON")


async def test_filters_are_private_and_must_exist(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    filter_id = (await alice.post(path(alice), {})).ok()["filter_id"]
    (await bob.get(path(alice, filter_id))).refused(403, "M_FORBIDDEN")
    (await bob.post(path(alice), {})).refused(403, "M_FORBIDDEN")
    (await bob.get(path(bob, filter_id))).refused(404, "M_NOT_FOUND")
    (await bob.get("/_matrix/client/v3/sync", filter=filter_id)).refused(400, "M_INVALID_PARAM")
