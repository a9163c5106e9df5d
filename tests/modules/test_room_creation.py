"""Making rooms. https://spec.matrix.org/v1.19/client-server-api/#creation"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

CREATE = "/_matrix/client/v3/createRoom"
ALL_VERSIONS = [str(number) for number in range(1, 13)] + ["I.1", "org.matrix.msc1767.10"]


async def state_of(client: Client, room_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/_matrix/client/v3/rooms/{room_id}/state")).ok()
    return found


async def content_of(client: Client, room_id: str, event_type: str, state_key: str = "") -> Any:
    return (await client.get(f"/_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}")).ok()


def keys(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["state_key"]) for event in events]


async def test_the_first_events_come_in_the_order_of_the_specification(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(
        room_alias_name="pub",
        name="Pub",
        topic="Beer",
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            {"type": "org.example.thing", "state_key": "a", "content": {"x": 1}},
        ],
        invite=[bob.user_id],
    )
    assert keys(await state_of(alice, room_id)) == [
        ("m.room.create", ""),
        ("m.room.member", alice.user_id),
        ("m.room.power_levels", ""),
        ("m.room.canonical_alias", ""),
        ("m.room.join_rules", ""),
        ("m.room.history_visibility", ""),
        ("m.room.guest_access", ""),
        ("m.room.encryption", ""),
        ("org.example.thing", "a"),
        ("m.room.name", ""),
        ("m.room.topic", ""),
        ("m.room.member", bob.user_id),
    ]


@pytest.mark.parametrize("version", ALL_VERSIONS)
async def test_every_room_version_can_be_made_and_spoken_in(server: TestServer, version: str) -> None:
    alice, bob = await server.user(), await server.user()
    room_id = await alice.create_room(room_version=version, preset="public_chat", name="A room", topic="Its topic")
    create = await content_of(alice, room_id, "m.room.create")
    assert create["room_version"] == version
    assert ("creator" in create) == (version not in ("11", "12"))
    assert (":" in room_id) == (version != "12")
    assert await content_of(alice, room_id, "m.room.topic") == {
        "topic": "Its topic",
        "m.topic": {"m.text": [{"body": "Its topic", "mimetype": "text/plain"}]},
    }
    await bob.join(room_id)
    event_type = "m.message" if version in ("I.1", "org.matrix.msc1767.10") else "m.room.message"
    await bob.send(
        room_id, event_type=event_type, **{"m.text": [{"body": "hello"}], "msgtype": "m.text", "body": "hello"}
    )


async def test_the_default_version_is_a_setting(start_server: Start) -> None:
    server = await start_server({"rooms": {"default_version": "9"}})
    alice = await server.user()
    create = await content_of(alice, await alice.create_room(), "m.room.create")
    assert create["room_version"] == "9"


async def test_an_unknown_version_is_refused(server: TestServer) -> None:
    alice = await server.user()
    (await alice.post(CREATE, {"room_version": "nope"})).refused(400, "M_UNSUPPORTED_ROOM_VERSION")


@pytest.mark.parametrize(
    ("options", "join_rule", "guest_access", "invite_level"),
    [
        ({}, "invite", "can_join", 0),
        ({"visibility": "private"}, "invite", "can_join", 0),
        ({"visibility": "public"}, "public", "forbidden", 50),
        ({"preset": "private_chat"}, "invite", "can_join", 0),
        ({"preset": "trusted_private_chat"}, "invite", "can_join", 0),
        ({"preset": "public_chat"}, "public", "forbidden", 50),
        ({"preset": "private_chat", "visibility": "public"}, "invite", "can_join", 0),
    ],
)
async def test_presets(
    server: TestServer, options: dict[str, Any], join_rule: str, guest_access: str, invite_level: int
) -> None:
    alice = await server.user()
    room_id = await alice.create_room(**options)
    assert (await content_of(alice, room_id, "m.room.join_rules"))["join_rule"] == join_rule
    assert (await content_of(alice, room_id, "m.room.guest_access"))["guest_access"] == guest_access
    assert (await content_of(alice, room_id, "m.room.history_visibility"))["history_visibility"] == "shared"
    assert (await content_of(alice, room_id, "m.room.power_levels"))["invite"] == invite_level


async def test_a_trusted_chat_puts_the_invited_beside_the_creator(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    trusted = {"preset": "trusted_private_chat", "invite": [bob.user_id], "is_direct": True}
    old = await alice.create_room(room_version="11", **trusted)
    users = (await content_of(alice, old, "m.room.power_levels"))["users"]
    assert users == {alice.user_id: 100, bob.user_id: 100}
    assert (await content_of(alice, old, "m.room.member", bob.user_id))["is_direct"] is True

    new = await alice.create_room(
        room_version="12", creation_content={"additional_creators": ["@carol:weft.test", bob.user_id]}, **trusted
    )
    create = await content_of(alice, new, "m.room.create")
    assert create["additional_creators"] == ["@carol:weft.test", bob.user_id]
    levels = await content_of(alice, new, "m.room.power_levels")
    assert levels["users"] == {}
    assert levels["events"]["m.room.tombstone"] == 150
    await bob.join(new)
    await bob.set_state(new, "m.room.power_levels", {**levels, "ban": 99})


async def test_creation_content_can_not_override_what_is_the_servers(server: TestServer) -> None:
    alice = await server.user()
    given = {"creator": "@eve:weft.test", "room_version": "3", "m.federate": False, "type": "m.space", "x": "y"}
    for version in ("10", "11"):
        room_id = await alice.create_room(room_version=version, creation_content=given)
        create = await content_of(alice, room_id, "m.room.create")
        expected = {"room_version": version, "m.federate": False, "type": "m.space", "x": "y"}
        assert create == expected | ({"creator": alice.user_id} if version == "10" else {})


async def test_initial_state_overrides_the_preset_and_name_overrides_both(server: TestServer) -> None:
    alice = await server.user()
    room_id = await alice.create_room(
        preset="public_chat",
        name="In the end",
        initial_state=[
            {"type": "m.room.join_rules", "content": {"join_rule": "knock"}},
            {"type": "m.room.name", "content": {"name": "At first"}},
        ],
    )
    assert await content_of(alice, room_id, "m.room.join_rules") == {"join_rule": "knock"}
    assert await content_of(alice, room_id, "m.room.name") == {"name": "In the end"}


async def test_power_levels_are_overridden_key_by_key(server: TestServer) -> None:
    alice = await server.user()
    room_id = await alice.create_room(power_level_content_override={"invite": 77, "events": {"a": 5}})
    levels = await content_of(alice, room_id, "m.room.power_levels")
    assert levels["invite"] == 77
    assert levels["events"] == {"a": 5}
    assert levels["ban"] == 50


@pytest.mark.parametrize(
    ("options", "status", "errcode"),
    [
        # The creator would not stand high enough to set the name.
        (
            {"room_version": "11", "name": "x", "power_level_content_override": {"users": {}}},
            400,
            "M_INVALID_ROOM_STATE",
        ),
        ({"initial_state": [{"type": "m.room.create", "content": {}}]}, 400, "M_BAD_JSON"),
        (
            {"room_version": "11", "initial_state": [{"type": "m.room.create", "content": {}}]},
            400,
            "M_INVALID_ROOM_STATE",
        ),
        ({"power_level_content_override": {"users": {"@user1:weft.test": 100}}}, 400, "M_BAD_JSON"),
        ({"power_level_content_override": {"ban": "50"}}, 400, "M_INVALID_ROOM_STATE"),
        ({"creation_content": {"additional_creators": ["nobody"]}}, 400, "M_INVALID_PARAM"),
        ({"creation_content": {"additional_creators": "nobody"}}, 400, "M_INVALID_PARAM"),
        ({"invite": ["nobody"]}, 400, "M_INVALID_PARAM"),
        ({"room_alias_name": "a b"}, 400, "M_INVALID_PARAM"),
        ({"room_alias_name": "a:b"}, 400, "M_INVALID_PARAM"),
        ({"room_alias_name": ""}, 400, "M_INVALID_PARAM"),
        ({"room_alias_name": "x" * 255}, 400, "M_INVALID_PARAM"),
        ({"preset": "nonsense"}, 400, "M_BAD_JSON"),
        ({"name": 5}, 400, "M_BAD_JSON"),
        ({"topic": "x" * 70_000}, 413, "M_TOO_LARGE"),
        ({"initial_state": [{"type": "t", "content": {}}] * 1001}, 413, "M_TOO_LARGE"),
        ({"initial_state": [{"type": "t" * 256, "content": {}}]}, 413, "M_TOO_LARGE"),
        (
            {"initial_state": [{"type": "m.room.canonical_alias", "content": {"alias": "#nowhere:weft.test"}}]},
            400,
            "M_BAD_ALIAS",
        ),
        (
            {"initial_state": [{"type": "m.room.server_acl", "content": {"allow": ["elsewhere.test"]}}]},
            400,
            "M_BAD_JSON",
        ),
        (
            {"room_version": "I.1", "initial_state": [{"type": "m.room.message", "content": {}}]},
            400,
            "M_BAD_JSON",
        ),
        (
            {
                "invite_3pid": [
                    {"id_server": "id.test", "id_access_token": "x", "medium": "email", "address": "a@b.test"}
                ]
            },
            400,
            "M_SERVER_NOT_TRUSTED",
        ),
    ],
)
async def test_what_can_not_be_made_leaves_nothing_behind(
    server: TestServer, options: dict[str, Any], status: int, errcode: str
) -> None:
    alice = await server.user()
    (await alice.post(CREATE, {"visibility": "public", **options})).refused(status, errcode)
    assert (await alice.get("/_matrix/client/v3/joined_rooms")).ok() == {"joined_rooms": []}
    assert (await alice.get("/_matrix/client/v3/publicRooms")).ok()["chunk"] == []


async def test_an_alias_is_given_once(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    answers = await asyncio.gather(*(who.post(CREATE, {"room_alias_name": "pub"}) for who in (alice, bob) * 3))
    made = [answer for answer in answers if answer.status == 200]
    assert len(made) == 1
    for answer in answers:
        if answer.status != 200:
            answer.refused(400, "M_ROOM_IN_USE")
    room_id = made[0].json["room_id"]
    found = (await alice.get("/_matrix/client/v3/directory/room/%23pub%3Aweft.test")).ok()
    assert found == {"room_id": room_id, "servers": ["weft.test"]}
    joined = [(await who.get("/_matrix/client/v3/joined_rooms")).ok()["joined_rooms"] for who in (alice, bob)]
    assert sorted(joined, key=len) == [[], [room_id]]


async def test_a_public_room_is_in_the_directory(server: TestServer) -> None:
    alice = await server.user()
    room_id = await alice.create_room(visibility="public", name="Everybody")
    chunk = (await alice.get("/_matrix/client/v3/publicRooms")).ok()["chunk"]
    assert [room["room_id"] for room in chunk] == [room_id]


@pytest.mark.parametrize("who", ["administrators", "nobody"])
async def test_publishing_can_be_kept_to_few(start_server: Start, who: str) -> None:
    server = await start_server({"rooms": {"publishing": who}})
    await server.user("admin")
    alice = await server.user("alice")
    (await alice.post(CREATE, {"visibility": "public"})).refused(403, "M_FORBIDDEN")


async def test_an_invite_inside_of_it_counts_as_one(start_server: Start) -> None:
    limits = {"enabled": True, "invite": {"per_second": 0.001, "burst": 2}}
    server = await start_server({"rate_limits": limits})
    alice = await server.user("alice")
    await alice.create_room(invite=["@a:weft.test", "@b:weft.test"])
    # Each process counts for itself, so that a second one has two more.
    answers = [await alice.post(CREATE, {"invite": ["@c:weft.test"]}) for _ in range(3)]
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    refused[0].refused(429, "M_LIMIT_EXCEEDED")


async def test_who_blocks_invites_is_not_invited(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    path = f"/_matrix/client/v3/user/{bob.user_id}/account_data/m.invite_permission_config"
    (await bob.put(path, {"default_action": "block"})).ok()
    (await alice.post(CREATE, {"invite": [bob.user_id]})).refused(403, "M_INVITE_BLOCKED")
    room_id = await alice.create_room()
    refused = await alice.post(f"/_matrix/client/v3/rooms/{room_id}/invite", {"user_id": bob.user_id})
    refused.refused(403, "M_INVITE_BLOCKED")
    member = f"/_matrix/client/v3/rooms/{room_id}/state/m.room.member/{bob.user_id}"
    (await alice.put(member, {"membership": "invite"})).refused(403, "M_INVITE_BLOCKED")
    (await bob.put(path, {})).ok()
    await alice.invite(room_id, bob.user_id)
