"""Profiles: fields, their limits, and their way into rooms."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from tests.modules.test_receipts import pair
from weft.testing import Client, TestServer


def path(user_id: str, key: str = "") -> str:
    return f"/_matrix/client/v3/profile/{quote(user_id)}" + (f"/{quote(key)}" if key else "")


async def put(who: Client, key: str, value: Any) -> None:
    (await who.put(path(who.user_id, key), {key: value})).ok()


async def member(who: Client, room_id: str, user_id: str) -> dict[str, Any]:
    """The content of somebody's member event."""
    event_path = f"/_matrix/client/v3/rooms/{quote(room_id)}/state/m.room.member/{quote(user_id)}"
    content: dict[str, Any] = (await who.get(event_path)).ok()
    return content


async def test_fields_are_set_read_and_removed(server: TestServer) -> None:
    alice = await server.user("alice")
    assert (await alice.get(path(alice.user_id))).ok() == {"displayname": "alice"}
    (await alice.get(path(alice.user_id, "avatar_url"))).refused(404, "M_NOT_FOUND")
    fields = {
        "displayname": "Alice ✿",
        "avatar_url": "mxc://weft.test/abc",
        "m.tz": "Europe/Zurich",
        "org.example.any": {"a": [1, None]},
        "org.example.null": None,
    }
    for key, value in fields.items():
        await put(alice, key, value)
        assert (await alice.get(path(alice.user_id, key))).ok() == {key: value}
    nobody = server.client()
    assert (await nobody.get(path(alice.user_id))).ok() == fields
    for key in fields:
        (await alice.delete(path(alice.user_id, key))).ok()
        (await alice.delete(path(alice.user_id, key))).ok()
        (await alice.get(path(alice.user_id, key))).refused(404, "M_NOT_FOUND")
    assert (await nobody.get(path(alice.user_id))).ok() == {}


async def test_an_empty_name_is_none(server: TestServer) -> None:
    alice = await server.user("alice")
    await put(alice, "displayname", "Alice")
    await put(alice, "displayname", "")
    assert (await alice.get(path(alice.user_id))).ok() == {}


async def test_fields_set_at_the_same_time_are_all_kept(server: TestServer) -> None:
    alice = await server.user("alice")
    await asyncio.gather(*[put(alice, f"org.example.f{n}", n) for n in range(10)])
    assert (await alice.get(path(alice.user_id))).ok() == {
        "displayname": "alice",
        **{f"org.example.f{n}": n for n in range(10)},
    }


@pytest.mark.parametrize(
    ("key", "body", "errcode"),
    [
        ("displayname", {"displayname": 3}, "M_BAD_JSON"),
        ("displayname", {"displayname": None}, "M_BAD_JSON"),
        ("displayname", {"displayname": "x" * 257}, "M_INVALID_PARAM"),
        ("displayname", {"avatar_url": "mxc://a/b"}, "M_MISSING_PARAM"),
        ("avatar_url", {"avatar_url": "https://example.org/a.png"}, "M_INVALID_PARAM"),
        ("m.tz", {"m.tz": ""}, "M_INVALID_PARAM"),
        ("Org.Example", {"Org.Example": 1}, "M_INVALID_PARAM"),
        ("ü", {"ü": 1}, "M_INVALID_PARAM"),
        ("a" * 256, {"a" * 256: 1}, "M_KEY_TOO_LARGE"),
        ("org.example", {"org.example": "x" * 65_536}, "M_PROFILE_TOO_LARGE"),
        ("org.example", [], "M_BAD_JSON"),
    ],
)
async def test_what_cannot_be_set(server: TestServer, key: str, body: Any, errcode: str) -> None:
    alice = await server.user("alice")
    await put(alice, "org.first", 1)
    (await alice.put(path(alice.user_id, key), body)).refused(400, errcode)
    assert (await alice.get(path(alice.user_id))).ok() == {"displayname": "alice", "org.first": 1}


async def test_all_fields_together_have_a_limit(server: TestServer) -> None:
    alice = await server.user("alice")
    await put(alice, "org.one", "x" * 40_000)
    answer = await alice.put(path(alice.user_id, "org.two"), {"org.two": "x" * 30_000})
    answer.refused(400, "M_PROFILE_TOO_LARGE")
    await put(alice, "org.one", "x")
    await put(alice, "org.two", "x" * 30_000)


async def test_who_may(start_server: Start) -> None:
    server = await start_server()
    admin, alice = await server.user("admin"), await server.user("alice")
    (await alice.put(path(admin.user_id, "displayname"), {"displayname": "x"})).refused(403, "M_FORBIDDEN")
    (await alice.delete(path(admin.user_id, "displayname"))).refused(403, "M_FORBIDDEN")
    (await server.client().put(path(alice.user_id, "displayname"), {})).refused(401, "M_MISSING_TOKEN")
    (await admin.put(path(alice.user_id, "displayname"), {"displayname": "Named"})).ok()
    assert (await alice.get(path(alice.user_id))).ok() == {"displayname": "Named"}
    absent = path("@absent:weft.test", "displayname")
    (await admin.put(absent, {"displayname": "x"})).refused(404, "M_NOT_FOUND")
    (await alice.get(path("@absent:weft.test"))).refused(404, "M_NOT_FOUND")
    (await alice.get(path("@alice:elsewhere.test"))).refused(504, "M_UNKNOWN")


async def test_guests_have_a_name_alone(server: TestServer) -> None:
    made = (await server.client().post("/_matrix/client/v3/register?kind=guest", {})).ok()
    guest = server.client(made["access_token"], user_id=made["user_id"])
    assert (await guest.get(path(guest.user_id))).ok() == {}
    await put(guest, "displayname", "Guest")
    answer = await guest.put(path(guest.user_id, "avatar_url"), {"avatar_url": "mxc://a/b"})
    answer.refused(403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_a_name_comes_into_rooms(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    other = await bob.create_room(preset="public_chat")
    since = (await alice.sync())["next_batch"]
    await put(bob, "displayname", "Bob")
    await put(bob, "avatar_url", "mxc://weft.test/bob")
    assert await member(alice, room_id, bob.user_id) == {
        "membership": "join",
        "displayname": "Bob",
        "avatar_url": "mxc://weft.test/bob",
    }
    assert (await member(bob, other, bob.user_id))["displayname"] == "Bob"
    timeline = (await alice.sync(since))["rooms"]["join"][room_id]["timeline"]["events"]
    assert [event["content"].get("avatar_url") for event in timeline] == [None, "mxc://weft.test/bob"]
    (await bob.delete(path(bob.user_id, "displayname"))).ok()
    assert "displayname" not in await member(alice, room_id, bob.user_id)


async def test_fields_that_rooms_do_not_show_change_nothing_there(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    await put(bob, "displayname", "Bob")
    since = (await alice.sync())["next_batch"]
    await put(bob, "displayname", "Bob")
    await put(bob, "m.tz", "UTC")
    assert "rooms" not in await alice.sync(since)


async def test_new_rooms_know_the_name(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    await put(bob, "displayname", "Bob")
    room_id = await alice.create_room(preset="public_chat")
    await alice.invite(room_id, bob.user_id)
    assert (await member(alice, room_id, bob.user_id)) == {"membership": "invite", "displayname": "Bob"}
    await bob.join(room_id)
    assert (await member(alice, room_id, bob.user_id))["displayname"] == "Bob"


async def test_what_was_left_over_is_taken_up(server: TestServer) -> None:
    """The process that took a change in has died before it reached the rooms."""
    from functools import partial

    from weft.modules.profile import fields

    alice, bob, room_id = await pair(server)
    database = server.server.engine.database
    edit = partial(fields.with_field, key="displayname", value=b'"Bob"')

    def change(tx: Any) -> None:
        from weft.modules.profile import store

        store.change(tx, bob.user_id, edit)
        store.to_propagate(tx, bob.user_id, 0)

    await database.write(change)
    assert (await member(alice, room_id, bob.user_id))["displayname"] == "bob"
    task = next(task for module in server.server.modules for task in module.tasks if task.name == "profile")
    await task.run()
    assert (await member(alice, room_id, bob.user_id))["displayname"] == "Bob"
    since = (await alice.sync())["next_batch"]
    await task.run()
    assert "rooms" not in await alice.sync(since)


async def test_an_erased_account_has_no_profile(server: TestServer) -> None:
    await server.user("admin")
    alice = await server.user("alice")
    await put(alice, "displayname", "Alice")
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "correct horse",
    }
    (await alice.post("/_matrix/client/v3/account/deactivate", {"auth": auth, "erase": True})).ok()
    assert (await server.client().get(path(alice.user_id))).ok() == {}
