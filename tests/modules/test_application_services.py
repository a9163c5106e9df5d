"""Application services: acting for users, hearing rooms, being asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio

from tests.modules.bridge import V3, Bridge
from tests.modules.conftest import Start
from weft.server.config import SettingsError
from weft.testing import TestServer

IRC = {
    "user_fields": ["network", "nickname"],
    "location_fields": ["network", "channel"],
    "icon": "mxc://example.org/irc",
    "field_types": {"network": {"regexp": ".+", "placeholder": "irc.example.org"}},
    "instances": [{"network_id": "libera", "desc": "Libera", "fields": {"network": "libera"}}],
}


@pytest_asyncio.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge()
    await bridge.start()
    yield bridge
    await bridge.stop()


@pytest_asyncio.fixture
async def server(start_server: Start, bridge: Bridge, tmp_path: Path) -> TestServer:
    return await start_server(bridge.settings(tmp_path, receive_ephemeral=True, protocols=["irc"]))


# -- acting for users


async def test_its_own_user_is_there(server: TestServer, bridge: Bridge) -> None:
    own = bridge.client(server)
    assert (await own.get(f"{V3}/account/whoami")).ok() == {"user_id": own.user_id}
    (await server.client("as-token-of-nobody").get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


async def test_its_own_user_is_not_the_administrator_for_being_first(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    (await alice.get(f"/_matrix/client/v3/admin/whois/{quote(alice.user_id)}")).ok()
    own = bridge.client(server)
    (await own.get(f"/_matrix/client/v3/admin/whois/{quote(alice.user_id)}")).refused(403, "M_FORBIDDEN")


async def test_it_registers_users_and_acts_for_them(server: TestServer, bridge: Bridge) -> None:
    user_id = await bridge.register(server, "_bridge_ann")
    own = bridge.client(server)
    assert (await own.get(f"{V3}/account/whoami", user_id=user_id)).ok()["user_id"] == user_id
    body = {"type": "m.login.application_service", "username": "_bridge_ann"}
    (await own.post(f"{V3}/register", body)).refused(400, "M_USER_IN_USE")
    path = f"{V3}/createRoom"
    room_id = (await own.post(path, {"preset": "public_chat"}, user_id=user_id)).ok()["room_id"]
    members = (await own.get(f"{V3}/rooms/{room_id}/joined_members", user_id=user_id)).ok()["joined"]
    assert list(members) == [user_id]


async def test_whom_it_can_not_act_for(server: TestServer, bridge: Bridge) -> None:
    alice, own = await server.user("alice"), bridge.client(server)
    (await own.get(f"{V3}/account/whoami", user_id=alice.user_id)).refused(403, "M_FORBIDDEN")
    (await own.get(f"{V3}/account/whoami", user_id=f"@_bridge_nobody:{server.name}")).refused(403, "M_FORBIDDEN")
    (await own.get(f"{V3}/account/whoami", user_id="@_bridge_ann:elsewhere.test")).refused(403, "M_FORBIDDEN")
    # The parameter means nothing with anybody else's token.
    assert (await alice.get(f"{V3}/account/whoami", user_id=own.user_id)).ok()["user_id"] == alice.user_id


async def test_names_that_are_its_alone(server: TestServer, bridge: Bridge) -> None:
    body = {"username": "_bridge_ann", "password": "correct horse", "auth": {"type": "m.login.dummy"}}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_EXCLUSIVE")
    available = await server.client().get(f"{V3}/register/available", username="_bridge_ann")
    available.refused(400, "M_EXCLUSIVE")
    theirs = {"type": "m.login.application_service", "username": "alice"}
    (await bridge.client(server).post(f"{V3}/register", theirs)).refused(400, "M_EXCLUSIVE")
    (await server.client().post(f"{V3}/register", theirs)).refused(401, "M_MISSING_TOKEN")
    alice = await server.user("alice")
    (await alice.post(f"{V3}/register", theirs)).refused(401, "M_UNKNOWN_TOKEN")


async def test_it_logs_users_in(server: TestServer, bridge: Bridge) -> None:
    user_id = await bridge.register(server, "_bridge_ann")
    flows = (await server.client().get(f"{V3}/login")).ok()["flows"]
    assert {"type": "m.login.application_service"} in flows
    body: dict[str, Any] = {
        "type": "m.login.application_service",
        "identifier": {"type": "m.id.user", "user": "_bridge_ann"},
        "device_id": "BRIDGE",
    }
    made = (await bridge.client(server).post(f"{V3}/login", body)).ok()
    assert (made["user_id"], made["device_id"]) == (user_id, "BRIDGE")
    who = (await server.client(made["access_token"]).get(f"{V3}/account/whoami")).ok()
    assert who["device_id"] == "BRIDGE"
    (await server.client().post(f"{V3}/login", body)).refused(401, "M_MISSING_TOKEN")
    await server.user("alice")
    body["identifier"]["user"] = "alice"
    (await bridge.client(server).post(f"{V3}/login", body)).refused(400, "M_EXCLUSIVE")
    body["identifier"]["user"] = "_bridge_nobody"
    (await bridge.client(server).post(f"{V3}/login", body)).refused(403, "M_FORBIDDEN")


async def test_it_manages_devices_without_logging_in(server: TestServer, bridge: Bridge) -> None:
    user_id = await bridge.register(server, "_bridge_ann")
    own, path = bridge.client(server), f"{V3}/devices/PUPPET"
    (await own.get(f"{V3}/account/whoami", user_id=user_id, device_id="PUPPET")).refused(400, "M_UNKNOWN_DEVICE")
    assert (await own.put(path, {"display_name": "Puppet"}, user_id=user_id)).status == 201
    assert (await own.put(path, {"display_name": "Doll"}, user_id=user_id)).status == 200
    assert (await own.get(path, user_id=user_id)).ok()["display_name"] == "Doll"
    who = (await own.get(f"{V3}/account/whoami", user_id=user_id, device_id="PUPPET")).ok()
    assert who == {"user_id": user_id, "device_id": "PUPPET"}
    (await own.delete(path, {}, user_id=user_id)).ok()
    (await own.get(f"{V3}/account/whoami", user_id=user_id, device_id="PUPPET")).refused(400, "M_UNKNOWN_DEVICE")


async def test_it_uploads_keys_for_a_device_that_it_names(server: TestServer, bridge: Bridge) -> None:
    user_id = await bridge.register(server, "_bridge_ann")
    own = bridge.client(server)
    await own.put(f"{V3}/devices/PUPPET", {}, user_id=user_id)
    keys = {
        "user_id": user_id,
        "device_id": "PUPPET",
        "algorithms": ["m.megolm.v1.aes-sha2"],
        "keys": {"ed25519:PUPPET": "A" * 43, "curve25519:PUPPET": "B" * 43},
        "signatures": {user_id: {"ed25519:PUPPET": "C" * 86}},
    }
    upload = await own.post(f"{V3}/keys/upload", {"device_keys": keys}, user_id=user_id, device_id="PUPPET")
    upload.ok()
    alice = await server.user("alice")
    found = (await alice.post(f"{V3}/keys/query", {"device_keys": {user_id: []}})).ok()["device_keys"]
    assert found[user_id]["PUPPET"]["keys"] == keys["keys"]
    without = await own.post(f"{V3}/keys/upload", {"device_keys": keys}, user_id=user_id)
    assert without.status == 400


async def test_it_says_when_something_happened(server: TestServer, bridge: Bridge) -> None:
    own = bridge.client(server)
    room_id = await own.create_room()
    sent = await own.put(
        f"{V3}/rooms/{quote(room_id)}/send/m.room.message/t", {"msgtype": "m.text", "body": "then"}, ts=1_000_000
    )
    event = (await own.get(f"{V3}/rooms/{quote(room_id)}/event/{quote(sent.ok()['event_id'])}")).ok()
    assert event["origin_server_ts"] == 1_000_000


async def test_its_users_are_limited_and_its_own_is_not(start_server: Start, bridge: Bridge, tmp_path: Path) -> None:
    limits = {"enabled": True, "message": {"per_second": 0.001, "burst": 1}}
    server = await start_server({**bridge.settings(tmp_path), "rate_limits": limits})
    user_id = await bridge.register(server, "_bridge_ann")
    own = bridge.client(server)
    room_id = await own.create_room(preset="public_chat")
    await own.send(room_id)
    await own.send(room_id)
    (await own.post(f"{V3}/join/{quote(room_id)}", user_id=user_id)).ok()
    path = f"{V3}/rooms/{quote(room_id)}/send/m.room.message"
    codes = [(await own.put(f"{path}/{n}", {"body": "hi"}, user_id=user_id)).status for n in range(4)]
    assert 429 in codes


# -- hearing rooms


async def test_it_hears_the_rooms_that_its_users_are_in(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    user_id = await bridge.register(server, "_bridge_ann")
    room_id = await alice.create_room()
    unheard = await alice.send(room_id, "before")
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/invite", {"user_id": user_id})).ok()
    (await bridge.client(server).post(f"{V3}/join/{quote(room_id)}", user_id=user_id)).ok()
    heard = await bridge.hears(await alice.send(room_id, "after"))
    assert heard["content"] == {"msgtype": "m.text", "body": "after"}
    assert (heard["room_id"], heard["sender"]) == (room_id, alice.user_id)
    told = [event["event_id"] for event in bridge.events]
    assert unheard not in told
    assert len(told) == len(set(told))
    memberships = [event["content"]["membership"] for event in bridge.events if event.get("state_key") == user_id]
    assert memberships == ["invite", "join"]
    # Once its user has left it hears of that, and nothing after.
    (await bridge.client(server).post(f"{V3}/rooms/{quote(room_id)}/leave", user_id=user_id)).ok()
    await bridge.until(lambda: bridge.events[-1]["content"].get("membership") == "leave")
    gone = await alice.send(room_id, "gone")
    other = await bridge.client(server).create_room()
    await bridge.hears(await bridge.client(server).send(other))
    assert gone not in [event["event_id"] for event in bridge.events]


async def test_it_hears_rooms_by_their_alias_and_id(start_server: Start, bridge: Bridge, tmp_path: Path) -> None:
    namespaces = {"aliases": [{"regex": "#wanted.*", "exclusive": False}], "users": [], "rooms": []}
    server = await start_server(bridge.settings(tmp_path, namespaces=namespaces))
    alice = await server.user("alice")
    room_id = await alice.create_room()
    unheard = await alice.send(room_id)
    (await alice.put(f"{V3}/directory/room/%23wanted:{server.name}", {"room_id": room_id})).ok()
    await bridge.hears(await alice.send(room_id))
    assert unheard not in [event["event_id"] for event in bridge.events]


async def test_what_it_did_not_take_is_sent_again_as_it_was(server: TestServer, bridge: Bridge) -> None:
    own = bridge.client(server)
    room_id = await own.create_room()
    await bridge.hears(await own.send(room_id))
    bridge.answers["/_matrix/app/v1/transactions"] = 500, {"errcode": "M_UNKNOWN"}
    first = await own.send(room_id, "first")
    await bridge.until(lambda: len([one for one in bridge.asked if "/transactions/" in one]) > len(bridge.transactions))
    second = await own.send(room_id, "second")
    bridge.answers.clear()
    await bridge.hears(second)
    told = [event["event_id"] for event in bridge.events]
    assert told.index(first) < told.index(second)
    assert len(told) == len(set(told))
    # The id under which it was refused is the one under which it was taken.
    names = [one.rpartition("/")[2] for one in bridge.asked if "/transactions/" in one]
    refused = [name for name in names if names.count(name) > 1]
    assert refused
    assert {name for name, _ in bridge.transactions} >= set(refused)


async def test_an_outage_over_a_restart_loses_nothing(server: TestServer, bridge: Bridge) -> None:
    own = bridge.client(server)
    room_id = await own.create_room()
    await bridge.hears(await own.send(room_id))
    await bridge.stop()
    sent = [await own.send(room_id, f"message {number}") for number in range(5)]
    await server.restart()
    sent.append(await own.send(room_id, "after the restart"))
    await bridge.start()
    (await own.post("/_matrix/client/v1/appservice/bridge/ping", {})).ok()
    await bridge.hears(sent[-1])
    told = [event["event_id"] for event in bridge.events]
    assert [event_id for event_id in told if event_id in sent] == sent


async def test_a_room_that_was_deleted_meanwhile_holds_up_nothing(server: TestServer, bridge: Bridge) -> None:
    alice, own = await server.user("alice"), bridge.client(server)
    gone = await own.create_room(preset="public_chat")
    (await alice.post(f"{V3}/join/{quote(gone)}")).ok()
    await bridge.hears(await own.send(gone))
    await bridge.stop()
    event_id = await own.send(gone, "not taken yet")
    (await alice.put(f"{V3}/rooms/{quote(gone)}/typing/{alice.user_id}", {"typing": True, "timeout": 30000})).ok()
    (await alice.post(f"{V3}/rooms/{quote(gone)}/receipt/m.read/{quote(event_id)}")).ok()
    (await alice.delete(f"/_synapse/admin/v1/rooms/{quote(gone)}", {"purge": True})).ok()
    room_id = await own.create_room()
    sent = await own.send(room_id, "still heard")
    await server.restart()
    await bridge.start()
    (await own.post("/_matrix/client/v1/appservice/bridge/ping", {})).ok()
    await bridge.hears(sent)


async def test_it_hears_typing_receipts_and_presence(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")
    room_id = await own.create_room(preset="public_chat")
    (await alice.post(f"{V3}/join/{quote(room_id)}")).ok()
    event_id = await own.send(room_id)
    (await alice.put(f"{V3}/rooms/{quote(room_id)}/typing/{alice.user_id}", {"typing": True, "timeout": 30000})).ok()
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/receipt/m.read/{quote(event_id)}")).ok()
    (await alice.put(f"{V3}/presence/{alice.user_id}/status", {"presence": "unavailable"})).ok()

    def of(kind: str) -> list[dict[str, Any]]:
        return [event for event in bridge.ephemeral if event["type"] == kind]

    await bridge.until(lambda: of("m.typing") and of("m.receipt") and of("m.presence"))
    assert of("m.typing")[0] == {
        "type": "m.typing",
        "room_id": room_id,
        "content": {"user_ids": [alice.user_id]},
    }
    receipt = of("m.receipt")[0]
    assert receipt["room_id"] == room_id
    assert list(receipt["content"][event_id]["m.read"]) == [alice.user_id]
    assert any(event["sender"] == alice.user_id for event in of("m.presence"))


async def test_private_receipts_are_its_own_users_only(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")
    room_id = await own.create_room(preset="public_chat")
    (await alice.post(f"{V3}/join/{quote(room_id)}")).ok()
    event_id = await own.send(room_id)
    path = f"{V3}/rooms/{quote(room_id)}/receipt/m.read.private/{quote(event_id)}"
    (await alice.post(path)).ok()
    (await own.post(path)).ok()
    await bridge.until(lambda: any(event["type"] == "m.receipt" for event in bridge.ephemeral))
    readers = [
        user_id
        for event in bridge.ephemeral
        if event["type"] == "m.receipt"
        for user_id in event["content"][event_id].get("m.read.private", {})
    ]
    assert readers == [own.user_id]


async def test_without_wish_it_hears_events_only(start_server: Start, bridge: Bridge, tmp_path: Path) -> None:
    server = await start_server(bridge.settings(tmp_path))
    own = bridge.client(server)
    room_id = await own.create_room()
    (await own.put(f"{V3}/rooms/{quote(room_id)}/typing/{own.user_id}", {"typing": True, "timeout": 30000})).ok()
    await bridge.hears(await own.send(room_id))
    assert not bridge.ephemeral


# -- being asked


async def test_it_makes_the_room_of_an_alias_when_somebody_wants_it(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")

    async def make(alias: str) -> None:
        if alias.startswith("#_bridge_there"):
            await own.create_room(room_alias_name="_bridge_there", preset="public_chat")

    bridge.on_query = make
    (await alice.post(f"{V3}/join/%23_bridge_there:{server.name}")).ok()
    bridge.answers["/_matrix/app/v1/rooms/"] = 404, {"errcode": "COM.EXAMPLE.NOT_FOUND"}
    (await alice.get(f"{V3}/directory/room/%23_bridge_gone:{server.name}")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/directory/room/%23other:{server.name}")).refused(404, "M_NOT_FOUND")
    assert not [one for one in bridge.asked if "other" in one]


async def test_a_service_that_is_away_is_a_timeout(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    await bridge.stop()
    answer = await alice.get(f"{V3}/directory/room/%23_bridge_there:{server.name}")
    assert answer.status == 408


async def test_it_makes_a_user_who_is_invited(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    wanted = f"@_bridge_ben:{server.name}"

    async def make(user_id: str) -> None:
        await bridge.register(server, user_id[1:].partition(":")[0])

    bridge.on_query = make
    room_id = await alice.create_room()
    (await alice.post(f"{V3}/rooms/{quote(room_id)}/invite", {"user_id": wanted})).ok()
    await bridge.until(lambda: any(event.get("state_key") == wanted for event in bridge.events))
    assert f"GET /_matrix/app/v1/users/{wanted}" in map(unquote, bridge.asked)
    (await bridge.client(server).post(f"{V3}/join/{quote(room_id)}", user_id=wanted)).ok()


async def test_aliases_that_are_its_alone(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")
    room_id = await alice.create_room()
    path = f"{V3}/directory/room/%23_bridge_a:{server.name}"
    (await alice.put(path, {"room_id": room_id})).refused(400, "M_EXCLUSIVE")
    (await own.put(f"{V3}/directory/room/%23free:{server.name}", {"room_id": room_id})).refused(400, "M_EXCLUSIVE")
    theirs = await own.create_room(preset="public_chat")
    (await own.put(path, {"room_id": theirs})).ok()
    bob = await server.user("bob")
    (await bob.delete(path)).refused(400, "M_EXCLUSIVE")
    user_id = await bridge.register(server, "_bridge_ann")
    (await own.delete(path, user_id=user_id)).ok()


async def test_old_services_are_asked_by_the_old_paths(server: TestServer, bridge: Bridge) -> None:
    bridge.answers["/_matrix/app/v1"] = 404, {"errcode": "M_UNRECOGNIZED"}
    own = bridge.client(server)
    room_id = await own.create_room()
    event_id = await own.send(room_id)
    await bridge.hears(event_id)
    old = [one for one in bridge.asked if one.startswith("PUT /transactions/")]
    assert old
    assert all("access_token=" in one for one in old)


async def test_ping(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")
    path = "/_matrix/client/v1/appservice/bridge/ping"
    assert (await own.post(path, {"transaction_id": "t1"})).ok()["duration_ms"] >= 0
    assert "POST /_matrix/app/v1/ping" in bridge.asked
    (await alice.post(path, {})).refused(403, "M_FORBIDDEN")
    (await own.post("/_matrix/client/v1/appservice/other/ping", {})).refused(403, "M_FORBIDDEN")
    bridge.answers["/_matrix/app/v1/ping"] = 403, {"errcode": "M_FORBIDDEN"}
    said = (await own.post(path, {})).refused(502, "M_BAD_STATUS")
    assert said["status"] == 403
    assert "M_FORBIDDEN" in said["body"]
    await bridge.stop()
    (await own.post(path, {})).refused(502, "M_CONNECTION_FAILED")


async def test_ping_without_a_url(start_server: Start, bridge: Bridge, tmp_path: Path) -> None:
    server = await start_server(bridge.settings(tmp_path, url=None))
    (await bridge.client(server).post("/_matrix/client/v1/appservice/bridge/ping", {})).refused(400, "M_URL_NOT_SET")


# -- third-party networks


async def test_protocols(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    bridge.answers["/_matrix/app/v1/thirdparty/protocol/irc"] = 200, IRC
    told = {**IRC, "instances": [{**IRC["instances"][0], "instance_id": "bridge|libera"}]}  # type: ignore[dict-item, index]
    assert (await alice.get(f"{V3}/thirdparty/protocols")).ok() == {"irc": told}
    assert (await alice.get(f"{V3}/thirdparty/protocol/irc")).ok() == told
    (await alice.get(f"{V3}/thirdparty/protocol/smoke")).refused(404, "M_NOT_FOUND")


async def test_a_protocol_of_which_nothing_good_is_said(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    bridge.answers["/_matrix/app/v1/thirdparty/protocol/irc"] = 200, {"user_fields": 5}
    assert (await alice.get(f"{V3}/thirdparty/protocols")).ok() == {}
    (await alice.get(f"{V3}/thirdparty/protocol/irc")).refused(404, "M_NOT_FOUND")


async def test_places_and_people(server: TestServer, bridge: Bridge) -> None:
    alice = await server.user("alice")
    place = {"alias": f"#_bridge_x:{server.name}", "protocol": "irc", "fields": {"channel": "#x"}}
    person = {"userid": f"@_bridge_ann:{server.name}", "protocol": "irc", "fields": {"nickname": "ann"}}
    bridge.answers["/_matrix/app/v1/thirdparty/location"] = 200, [place]
    bridge.answers["/_matrix/app/v1/thirdparty/user"] = 200, [person]
    found = await alice.get(f"{V3}/thirdparty/location/irc", channel="#x", access_token="not told")
    assert found.ok() == [place]
    assert bridge.asked[-1] == "GET /_matrix/app/v1/thirdparty/location/irc?channel=%23x"
    assert (await alice.get(f"{V3}/thirdparty/user/irc", nickname="ann")).ok() == [person]
    assert (await alice.get(f"{V3}/thirdparty/location", alias=place["alias"])).ok() == [place]
    assert (await alice.get(f"{V3}/thirdparty/user", userid=person["userid"])).ok() == [person]
    (await alice.get(f"{V3}/thirdparty/user", userid=alice.user_id)).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/thirdparty/location", alias=f"#other:{server.name}")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/thirdparty/location/smoke")).refused(404, "M_NOT_FOUND")


async def test_the_directory_of_a_network(server: TestServer, bridge: Bridge) -> None:
    own, alice = bridge.client(server), await server.user("alice")
    room_id = await own.create_room(preset="public_chat", name="A channel")
    main = await alice.create_room(preset="public_chat", visibility="public", name="Main")
    path = f"{V3}/directory/list/appservice/libera/{quote(room_id)}"
    (await own.put(path, {"visibility": "public"})).ok()
    (await alice.put(path, {"visibility": "public"})).refused(403, "M_FORBIDDEN")

    async def listed(**asked: Any) -> set[str]:
        return {room["room_id"] for room in (await alice.post(f"{V3}/publicRooms", asked)).ok()["chunk"]}

    assert await listed() == {main}
    assert await listed(third_party_instance_id="bridge|libera") == {room_id}
    assert await listed(third_party_instance_id="bridge|other") == set()
    assert await listed(include_all_networks=True) == {main, room_id}
    assert (await alice.get(f"{V3}/directory/list/room/{quote(room_id)}")).ok()["visibility"] == "private"
    shown = (await alice.get("/_synapse/admin/v1/rooms", public_rooms="true")).ok()["rooms"]
    assert [room["room_id"] for room in shown] == [main]
    (await own.put(path, {"visibility": "private"})).ok()
    assert await listed(include_all_networks=True) == {main}


# -- registrations that are none


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"as_token": ""}, "as_token"),
        ({"hs_token": "short"}, "too short"),
        ({"url": "ftp://somewhere"}, "http"),
        ({"sender_localpart": "Capital Letters"}, "sender_localpart"),
        ({"namespaces": {"users": [{"regex": "(", "exclusive": True}]}}, "regex"),
        ({"namespaces": {"users": "all"}}, "list"),
        ({"protocols": "irc"}, "protocols"),
        ({"rate_limited": "no"}, "rate_limited"),
    ],
)
async def test_a_wrong_registration_is_told(
    start_server: Start, bridge: Bridge, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        await start_server(bridge.settings(tmp_path, **change))


async def test_two_services_with_one_token_are_refused(start_server: Start, bridge: Bridge, tmp_path: Path) -> None:
    other = Bridge("other")
    first = bridge.settings(tmp_path)["application_services"]["registration_files"]
    second = other.settings(tmp_path, as_token=bridge.as_token)["application_services"]["registration_files"]
    with pytest.raises(SettingsError, match="as_token"):
        await start_server({"application_services": {"registration_files": [*first, *second]}})
