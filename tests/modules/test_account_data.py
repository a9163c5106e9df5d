"""Account data, tags and ignored users, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from weft.modules.account_data import store
from weft.testing import Client, TestServer

USER = "/_matrix/client/v3/user"


def path(who: Client, data_type: str, room_id: str | None = None) -> str:
    room = f"/rooms/{quote(room_id)}" if room_id else ""
    return f"{USER}/{quote(who.user_id)}{room}/account_data/{quote(data_type)}"


def tags_path(who: Client, room_id: str, tag: str = "") -> str:
    return f"{USER}/{quote(who.user_id)}/rooms/{quote(room_id)}/tags" + (f"/{quote(tag)}" if tag else "")


def contents(events: list[dict[str, Any]]) -> dict[str, Any]:
    return {event["type"]: event["content"] for event in events}


def account_data(response: dict[str, Any], room_id: str | None = None) -> dict[str, Any]:
    """What a sync response says, by type."""
    section = response if room_id is None else response.get("rooms", {}).get("join", {}).get(room_id, {})
    return contents(section.get("account_data", {}).get("events", []))


async def test_it_comes_back_as_it_went(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    for place in (None, room_id):
        (await alice.put(path(alice, "org.example", place), {"a": 1.5, "b": {"c": [None, "ü"]}})).ok()
        assert (await alice.get(path(alice, "org.example", place))).ok() == {"a": 1.5, "b": {"c": [None, "ü"]}}
        (await alice.put(path(alice, "org.example", place), {"a": 2})).ok()
        assert (await alice.get(path(alice, "org.example", place))).ok() == {"a": 2}


async def test_the_bytes_are_kept(server: TestServer) -> None:
    alice = await server.user("alice")
    body = b'{ "z": 1,\n "a": 1.0 }'
    (await alice.request("PUT", path(alice, "org.example"), body=body)).ok()
    assert (await alice.get(path(alice, "org.example"))).body == body
    assert account_data(await alice.sync())["org.example"] == {"z": 1, "a": 1.0}


@pytest.mark.parametrize(
    ("body", "errcode"), [(b"{", "M_NOT_JSON"), (b"[]", "M_BAD_JSON"), (b'"x"', "M_BAD_JSON"), (b"", "M_NOT_JSON")]
)
async def test_only_objects_are_kept(server: TestServer, body: bytes, errcode: str) -> None:
    alice = await server.user("alice")
    (await alice.request("PUT", path(alice, "org.example"), body=body)).refused(400, errcode)
    (await alice.get(path(alice, "org.example"))).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize("data_type", ["m.fully_read", "m.push_rules"])
async def test_what_the_server_manages_cannot_be_set(server: TestServer, data_type: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.put(path(alice, data_type), {})).refused(405, "M_BAD_JSON")
    (await alice.put(path(alice, data_type, room_id), {})).refused(405, "M_BAD_JSON")


async def test_push_rules_can_be_read_as_account_data(server: TestServer) -> None:
    alice = await server.user("alice")
    assert "override" in (await alice.get(path(alice, "m.push_rules"))).ok()["global"]


async def test_nobody_else_sees_it(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    (await alice.put(path(alice, "org.example"), {"secret": 1})).ok()
    for place in (None, room_id):
        (await bob.get(path(alice, "org.example", place))).refused(403, "M_FORBIDDEN")
        (await bob.put(path(alice, "org.example", place), {})).refused(403, "M_FORBIDDEN")
    (await bob.get(tags_path(alice, room_id))).refused(403, "M_FORBIDDEN")
    (await bob.put(tags_path(alice, room_id, "u.x"), {})).refused(403, "M_FORBIDDEN")
    (await bob.delete(tags_path(alice, room_id, "u.x"))).refused(403, "M_FORBIDDEN")


async def test_a_room_must_be_named_like_one(server: TestServer) -> None:
    alice = await server.user("alice")
    (await alice.put(path(alice, "org.example", "nonsense"), {})).refused(400, "M_INVALID_PARAM")


async def test_it_is_synced_to_the_other_device(server: TestServer) -> None:
    alice = await server.user("alice")
    phone = await server.login(alice.user_id)
    room_id = await alice.create_room()
    first = await phone.sync()
    assert set(account_data(first)) == {"m.push_rules"}
    (await alice.put(path(alice, "org.one"), {"n": 1})).ok()
    (await alice.put(path(alice, "org.two", room_id), {"n": 2})).ok()
    second = await phone.sync(first["next_batch"])
    assert account_data(second) == {"org.one": {"n": 1}}
    assert account_data(second, room_id) == {"org.two": {"n": 2}}
    third = await phone.sync(second["next_batch"])
    assert (account_data(third), account_data(third, room_id)) == ({}, {})
    anew = await phone.sync()
    assert account_data(anew).keys() == {"org.one", "m.push_rules"}
    assert account_data(anew, room_id) == {"org.two": {"n": 2}}


async def test_a_token_from_before_a_restart_misses_nothing(server: TestServer) -> None:
    alice = await server.user("alice")
    (await alice.put(path(alice, "org.old"), {})).ok()
    since = (await alice.sync())["next_batch"]
    (await alice.put(path(alice, "org.new"), {"n": 1})).ok()
    await server.restart()
    assert account_data(await alice.sync(since)) == {"org.new": {"n": 1}}


async def test_filters_hold_for_it(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    since = (await alice.sync())["next_batch"]
    for data_type in ("org.wanted", "org.unwanted"):
        (await alice.put(path(alice, data_type), {})).ok()
        (await alice.put(path(alice, data_type, room_id), {})).ok()
    only = {"types": ["org.wanted"]}
    chosen = {"account_data": only, "room": {"account_data": only}}
    for token in (since, None):
        response = await alice.sync(token, filter=chosen)
        assert account_data(response).keys() == {"org.wanted"}
        assert account_data(response, room_id).keys() == {"org.wanted"}


async def test_data_of_a_room_comes_with_joining_it(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    (await bob.put(path(bob, "org.example", room_id), {"n": 1})).ok()
    first = await bob.sync()
    assert account_data(first, room_id) == {}
    await bob.join(room_id)
    assert account_data(await bob.sync(first["next_batch"]), room_id) == {"org.example": {"n": 1}}


async def test_an_account_keeps_so_much_and_no_more(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BYTES", 5_000)
    monkeypatch.setattr(store, "MAX_PIECES", 4)
    alice = await server.user("alice")
    (await alice.put(path(alice, "org.a"), {"x": "x" * 3_000})).ok()
    (await alice.put(path(alice, "org.b"), {"x": "x" * 3_000})).refused(413, "M_TOO_LARGE")
    (await alice.put(path(alice, "org.a"), {"x": "x" * 6_000})).refused(413, "M_TOO_LARGE")
    (await alice.get(path(alice, "org.b"))).refused(404, "M_NOT_FOUND")
    (await alice.put(path(alice, "org.a"), {"x": "x" * 4_000})).ok()
    for name in ("org.c", "org.d", "org.e"):
        (await alice.put(path(alice, name), {})).ok()
    (await alice.put(path(alice, "org.f"), {})).refused(413, "M_TOO_LARGE")
    (await alice.put(tags_path(alice, await alice.create_room(), "u.x"), {})).refused(413, "M_TOO_LARGE")
    (await alice.put(path(alice, "org.e"), {"n": 1})).ok()


async def test_tags(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": {}}
    since = (await alice.sync())["next_batch"]
    (await alice.put(tags_path(alice, room_id, "m.favourite"), {"order": 0.25, "x": [1]})).ok()
    (await alice.put(tags_path(alice, room_id, "u.Wörk"), {})).ok()
    (await alice.delete(tags_path(alice, room_id, "u.absent"))).ok()
    expected = {"m.favourite": {"order": 0.25, "x": [1]}, "u.Wörk": {}}
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": expected}
    response = await alice.sync(since)
    assert account_data(response, room_id) == {"m.tag": {"tags": expected}}
    (await alice.delete(tags_path(alice, room_id, "m.favourite"))).ok()
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": {"u.Wörk": {}}}
    assert account_data(await alice.sync(response["next_batch"]), room_id) == {"m.tag": {"tags": {"u.Wörk": {}}}}


async def test_tags_set_at_the_same_time_are_all_kept(server: TestServer) -> None:
    import asyncio

    alice = await server.user("alice")
    room_id = await alice.create_room()
    names = [f"u.{number}" for number in range(12)]
    answers = await asyncio.gather(*[alice.put(tags_path(alice, room_id, name), {}) for name in names])
    assert {answer.status for answer in answers} == {200}
    assert (await alice.get(tags_path(alice, room_id))).ok()["tags"].keys() == set(names)


@pytest.mark.parametrize(
    ("tag", "content", "errcode"),
    [
        ("ü" * 128, {}, "M_INVALID_PARAM"),
        ("u.x", {"order": "0.5"}, "M_BAD_JSON"),
        ("u.x", {"order": True}, "M_BAD_JSON"),
    ],
)
async def test_tags_that_are_none(server: TestServer, tag: str, content: dict[str, Any], errcode: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.put(tags_path(alice, room_id, tag), content)).refused(400, errcode)
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": {}}


@pytest.mark.parametrize("content", [{}, {"tags": 3}, {"tags": {"u.x": 3}}])
async def test_nonsense_in_place_of_tags_does_no_harm(server: TestServer, content: dict[str, Any]) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.put(path(alice, "m.tag", room_id), content)).ok()
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": {}}
    (await alice.put(tags_path(alice, room_id, "u.y"), {})).ok()
    assert (await alice.get(tags_path(alice, room_id))).ok() == {"tags": {"u.y": {}}}


async def test_an_upgraded_room_keeps_tags_and_directness(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.put(tags_path(alice, room_id, "m.favourite"), {"order": 0.5})).ok()
    (await alice.put(path(alice, "m.direct"), {"@bob:weft.test": [room_id], "@eve:weft.test": ["!x"]})).ok()
    upgraded = await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/upgrade", {"new_version": "11"})
    successor = upgraded.ok()["replacement_room"]
    assert (await alice.get(tags_path(alice, successor))).ok() == {"tags": {"m.favourite": {"order": 0.5}}}
    direct = (await alice.get(path(alice, "m.direct"))).ok()
    assert direct == {"@bob:weft.test": [room_id, successor], "@eve:weft.test": ["!x"]}


async def test_ignored_users_say_nothing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await alice.sync())["next_batch"]
    (await alice.put(path(alice, "m.ignored_user_list"), {"ignored_users": {bob.user_id: {}}})).ok()
    await bob.send(room_id, "unheard")
    told = await alice.sync(since)
    timeline = told.get("rooms", {}).get("join", {}).get(room_id, {}).get("timeline", {}).get("events", [])
    assert timeline == []
    (await alice.put(path(alice, "m.ignored_user_list"), {"ignored_users": {}})).ok()
    event_id = await bob.send(room_id, "heard")
    told = await alice.sync(told["next_batch"])
    assert [event["event_id"] for event in told["rooms"]["join"][room_id]["timeline"]["events"]] == [event_id]
