"""Administrators look after accounts. https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import TWINS, Start
from weft.protocol.api import synapse_admin
from weft.protocol.api.endpoint import Auth
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
ADMIN = "/_synapse/admin"


def names(page: dict[str, Any]) -> list[str]:
    return [user["name"].partition(":")[0][1:] for user in page["users"]]


async def people(server: TestServer) -> tuple[Client, Client, Client]:
    return await server.user("admin"), await server.user("alice"), await server.user("bob")


async def test_every_endpoint_is_for_administrators_alone(server: TestServer) -> None:
    _, alice, _ = await people(server)
    stranger = server.client()
    for endpoint in synapse_admin.ENDPOINTS:
        if endpoint.auth is Auth.NONE:
            continue
        path = "/".join("x" if part.startswith("{") else part for part in endpoint.path.split("/"))
        (await alice.request(endpoint.method, path, json={})).refused(403, "M_FORBIDDEN")
        (await stranger.request(endpoint.method, path, json={})).refused(401, "M_MISSING_TOKEN")


# -- looking


async def test_accounts_are_listed_in_pages(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    (await bob.put(f"{V3}/profile/{bob.user_id}/displayname", {"displayname": "Alicia's friend"})).ok()
    path = f"{ADMIN}/v2/users"
    page = (await admin.get(path, limit=2)).ok()
    assert names(page) == ["admin", "alice"]
    assert (page["total"], page["next_token"]) == (3, "2")
    rest = (await admin.get(path, **{"from": page["next_token"]})).ok()
    assert names(rest) == ["bob"]
    assert "next_token" not in rest
    assert names((await admin.get(path, name="ALIC")).ok()) == ["alice", "bob"]
    assert names((await admin.get(path, name="weft")).ok()) == [], "it looks in localparts only"
    assert names((await admin.get(path, name="%")).ok()) == []
    assert names((await admin.get(path, user_id="@bob:weft")).ok()) == ["bob"]
    assert names((await admin.get(path, dir="b")).ok()) == ["bob", "alice", "admin"]
    assert names((await admin.get(path, order_by="admin", dir="b")).ok()) == ["admin", "alice", "bob"]
    assert names((await admin.get(path, order_by="displayname")).ok()) == ["bob", "admin", "alice"]
    assert names((await admin.get(path, admins="true")).ok()) == ["admin"]
    assert names((await admin.get(path, admins="false")).ok()) == ["alice", "bob"]
    for order in ("is_guest", "user_type", "deactivated", "shadow_banned", "avatar_url", "creation_ts", "last_seen_ts"):
        assert set(names((await admin.get(path, order_by=order)).ok())) == {"admin", "alice", "bob"}
    (await admin.get(path, order_by="password")).refused(400, "M_INVALID_PARAM")
    (await admin.get(path, limit="-1")).refused(400, "M_INVALID_PARAM")
    (await admin.get(path, **{"from": 2**70})).refused(400, "M_INVALID_PARAM")
    assert alice.user_id


async def test_which_accounts_are_listed(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()
    assert (await admin.put(f"{ADMIN}/v2/users/@robot:weft.test", {"user_type": "bot"})).status == 201
    (await admin.post(f"{ADMIN}/v1/deactivate/{alice.user_id}", {"erase": False})).ok()
    (await admin.put(f"{ADMIN}/v2/users/{bob.user_id}", {"locked": True})).ok()
    v2, v3 = f"{ADMIN}/v2/users", f"{ADMIN}/v3/users"
    assert names((await admin.get(v2, guests="false")).ok()) == ["admin", "robot"]
    assert len(names((await admin.get(v2)).ok())) == 3, "with the guest"
    assert names((await admin.get(v2, guests="false", deactivated="true")).ok()) == ["admin", "alice", "robot"]
    assert names((await admin.get(v2, guests="false", locked="true")).ok()) == ["admin", "bob", "robot"]
    assert names((await admin.get(v2, guests="false", not_user_type=["bot"])).ok()) == ["admin"]
    assert names((await admin.get(v2, guests="false", not_user_type=[""])).ok()) == ["robot"]
    assert names((await admin.get(v3, guests="false")).ok()) == ["admin", "alice", "robot"]
    assert names((await admin.get(v3, guests="false", deactivated="true")).ok()) == ["alice"]
    assert names((await admin.get(v3, guests="false", deactivated="false")).ok()) == ["admin", "robot"]
    (listed,) = (await admin.get(v3, deactivated="true")).ok()["users"]
    assert (listed["displayname"], listed["deactivated"], listed["erased"]) == ("alice", True, False)


async def test_details_of_an_account(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    (await server.client(alice.token, address="10.0.0.7").get(f"{V3}/account/whoami")).ok()
    details = (await admin.get(f"{ADMIN}/v2/users/{alice.user_id}")).ok()
    assert details["name"] == alice.user_id
    assert details["displayname"] == "alice"
    if not TWINS:  # the other process may not have written it down yet
        assert 0 < server.clock() - details["last_seen_ts"] < 1_000
    assert details["creation_ts"] > 0
    assert details["avatar_url"] is None
    for flag in ("admin", "is_guest", "deactivated", "erased", "locked", "suspended", "shadow_banned"):
        assert details[flag] is False
    assert (details["threepids"], details["external_ids"], details["appservice_id"]) == ([], [], None)
    (await admin.get(f"{ADMIN}/v2/users/@nobody:weft.test")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{ADMIN}/v2/users/@alice:else.test")).refused(400, "M_INVALID_PARAM")
    (await admin.get(f"{ADMIN}/v2/users/alice")).refused(400, "M_INVALID_PARAM")
    told = (await admin.get(f"{ADMIN}/v1/whois/{alice.user_id}")).ok()
    assert set(told["devices"]) == {alice.device_id}


async def test_rooms_and_data_of_an_account(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    joined, left, invited = [await bob.create_room(preset="public_chat") for _ in range(3)]
    for room_id in (joined, left):
        await alice.join(room_id)
    await alice.leave(left)
    await bob.invite(invited, alice.user_id)
    path = f"{ADMIN}/v1/users/{alice.user_id}"
    assert (await admin.get(f"{path}/joined_rooms")).ok() == {"joined_rooms": [joined], "total": 1}
    memberships = (await admin.get(f"{path}/memberships")).ok()["memberships"]
    assert memberships == {joined: "join", left: "leave", invited: "invite"}
    assert (await admin.get(f"{ADMIN}/v1/users/@nobody:weft.test/joined_rooms")).ok()["total"] == 0
    (await admin.get(f"{ADMIN}/v1/users/nobody/joined_rooms")).refused(400, "M_INVALID_PARAM")
    (await admin.get(f"{ADMIN}/v1/users/nobody/memberships")).refused(400, "M_INVALID_PARAM")

    (await alice.put(f"{V3}/user/{alice.user_id}/account_data/m.direct", {"@bob:weft.test": [joined]})).ok()
    (await alice.put(f"{V3}/user/{alice.user_id}/rooms/{joined}/tags/m.favourite", {"order": 0.5})).ok()
    kept = (await admin.get(f"{path}/accountdata")).ok()["account_data"]
    assert kept["global"]["m.direct"] == {"@bob:weft.test": [joined]}
    assert kept["rooms"] == {joined: {"m.tag": {"tags": {"m.favourite": {"order": 0.5}}}}}
    (await admin.get(f"{ADMIN}/v1/users/@nobody:weft.test/accountdata")).refused(404, "M_NOT_FOUND")

    counted = f"{ADMIN}/v1/users/{bob.user_id}"
    assert (await admin.get(f"{counted}/sent_invite_count", from_ts=0)).ok() == {"invite_count": 1}
    later = server.clock() + 1
    assert (await admin.get(f"{counted}/sent_invite_count", from_ts=later)).ok() == {"invite_count": 0}
    count = (await admin.get(f"{path}/cumulative_joined_room_count", from_ts=0)).ok()
    assert count == {"cumulative_joined_room_count": 2}
    (await admin.get(f"{counted}/sent_invite_count")).refused(400, "M_MISSING_PARAM")


async def test_whether_a_name_is_free(server: TestServer) -> None:
    admin, _, _ = await people(server)
    path = f"{ADMIN}/v1/username_available"
    assert (await admin.get(path, username="carol")).ok() == {"available": True}
    (await admin.get(path, username="alice")).refused(400, "M_USER_IN_USE")
    (await admin.get(path, username="no good")).refused(400, "M_INVALID_USERNAME")
    (await admin.get(path)).refused(400, "M_MISSING_PARAM")


# -- changing


async def test_an_account_is_made_and_changed(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    path = f"{ADMIN}/v2/users/@carol:weft.test"
    made = await admin.put(
        path, {"password": "correct horse", "displayname": "Carol", "avatar_url": "mxc://weft.test/a"}
    )
    assert made.status == 201
    assert (made.json["displayname"], made.json["avatar_url"]) == ("Carol", "mxc://weft.test/a")
    carol = await server.login("carol")
    room_id = await alice.create_room(preset="public_chat")
    await carol.join(room_id)
    changed = (await admin.put(path, {"displayname": "Caroline", "avatar_url": "", "user_type": "support"})).ok()
    assert (changed["displayname"], changed["avatar_url"], changed["user_type"]) == ("Caroline", None, "support")
    member = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.member/{carol.user_id}")).ok()
    assert member["displayname"] == "Caroline"
    assert (await admin.put(path, {"user_type": None})).ok()["user_type"] is None
    assert (await admin.put(path, {})).ok()["displayname"] == "Caroline"
    (await admin.put(path, {"password": "battery staple", "logout_devices": False})).ok()
    (await carol.get(f"{V3}/account/whoami")).ok()
    (await admin.put(path, {"password": "staple battery"})).ok()
    (await carol.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    await server.login("carol", password="staple battery")
    assert (await admin.put(path, {"admin": True})).ok()["admin"] is True
    assert (await admin.put(path, {"locked": True, "suspended": True})).ok()["locked"] is True
    assert (await admin.get(path)).ok()["suspended"] is True
    plain = await admin.put(f"{ADMIN}/v2/users/@dave:weft.test", {})
    assert (plain.status, plain.json["displayname"], plain.json["admin"]) == (201, "dave", False)


@pytest.mark.parametrize(
    ("user_id", "body", "status", "errcode"),
    [
        ("@carol:weft.test", {"password": "short"}, 400, "M_WEAK_PASSWORD"),
        ("@Carol:weft.test", {}, 400, "M_INVALID_USERNAME"),
        ("@notices:weft.test", {}, 400, "M_EXCLUSIVE"),
        ("@carol:else.test", {}, 400, "M_INVALID_PARAM"),
        ("carol", {}, 400, "M_INVALID_PARAM"),
        ("@alice:weft.test", {"avatar_url": "https://weft.test/a"}, 400, "M_INVALID_PARAM"),
        ("@alice:weft.test", {"external_ids": [{"auth_provider": "x"}]}, 400, "M_BAD_JSON"),
        ("@alice:weft.test", {"admin": "yes"}, 400, "M_BAD_JSON"),
        ("@admin:weft.test", {"admin": False}, 400, "M_UNKNOWN"),
        ("@admin:weft.test", {"deactivated": True}, 400, "M_UNKNOWN"),
        ("@admin:weft.test", {"locked": True}, 400, "M_UNKNOWN"),
    ],
)
async def test_what_is_refused_changes_nothing(
    server: TestServer, user_id: str, body: dict[str, Any], status: int, errcode: str
) -> None:
    admin, alice, _ = await people(server)
    before = (await admin.get(f"{ADMIN}/v2/users/{alice.user_id}")).ok()
    (await admin.put(f"{ADMIN}/v2/users/{user_id}", {"displayname": "New", **body})).refused(status, errcode)
    after = (await admin.get(f"{ADMIN}/v2/users/{alice.user_id}")).ok()
    assert after["displayname"] == before["displayname"]
    assert (await admin.get(f"{ADMIN}/v2/users")).ok()["total"] == 3


async def test_an_account_ends_and_begins_again(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await bob.create_room(preset="public_chat")
    await alice.join(room_id)
    path = f"{ADMIN}/v2/users/{alice.user_id}"
    done = (await admin.post(f"{ADMIN}/v1/deactivate/{alice.user_id}", {"erase": True})).ok()
    assert done == {"id_server_unbind_result": "success"}
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    await server.server.engine.followed("accounts that ended")
    details = (await admin.get(path)).ok()
    assert (details["deactivated"], details["erased"], details["displayname"]) == (True, True, None)
    assert (await admin.get(f"{ADMIN}/v1/users/{alice.user_id}/joined_rooms")).ok()["total"] == 0
    (await admin.put(path, {"password": "correct horse"})).refused(400, "M_UNKNOWN")
    again = (await admin.put(path, {"deactivated": False, "password": "correct horse", "displayname": "Alice"})).ok()
    assert (again["deactivated"], again["erased"], again["displayname"]) == (False, False, "Alice")
    alice = await server.login("alice")
    await alice.join(room_id)
    found = (await bob.post(f"{V3}/user_directory/search", {"search_term": "alice"})).ok()["results"]
    assert [one["user_id"] for one in found] == [alice.user_id]
    (await admin.post(f"{ADMIN}/v1/deactivate/@nobody:weft.test")).refused(404, "M_NOT_FOUND")
    (await admin.put(path, {"deactivated": True})).ok()
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


async def test_a_password_is_set(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    path = f"{ADMIN}/v1/reset_password/{alice.user_id}"
    (await admin.post(path, {"new_password": "battery staple", "logout_devices": False})).ok()
    (await alice.get(f"{V3}/account/whoami")).ok()
    (await admin.post(path, {"new_password": "staple battery"})).ok()
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    await server.login("alice", password="staple battery")
    (await admin.post(path, {"new_password": "short"})).refused(400, "M_WEAK_PASSWORD")
    (await admin.post(path, {})).refused(400, "M_MISSING_PARAM")
    (await admin.post(f"{ADMIN}/v1/reset_password/@nobody:weft.test", {"new_password": "correct horse"})).refused(
        404, "M_NOT_FOUND"
    )


async def test_administrators_are_made(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    path = f"{ADMIN}/v1/users/{alice.user_id}/admin"
    assert (await admin.get(path)).ok() == {"admin": False}
    (await admin.put(path, {"admin": True})).ok()
    assert (await alice.get(path)).ok() == {"admin": True}
    token = (await alice.post(f"{ADMIN}/v1/users/{bob.user_id}/login")).ok()["access_token"]
    (await alice.put(path, {"admin": False})).refused(400, "M_UNKNOWN")
    (await admin.put(path, {"admin": False})).ok()
    (await alice.get(path)).refused(403, "M_FORBIDDEN")
    (await server.client(token).get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    (await admin.put(f"{ADMIN}/v1/users/@nobody:weft.test/admin", {"admin": True})).refused(404, "M_NOT_FOUND")


async def test_a_user_is_suspended(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    path = f"{ADMIN}/v1/suspend/{alice.user_id}"
    assert (await admin.put(path, {"suspend": True})).ok() == {f"user_{alice.user_id}_suspended": True}
    (await alice.post(f"{V3}/createRoom")).refused(403, "M_USER_SUSPENDED")
    (await admin.put(path, {"suspend": False})).ok()
    (await alice.post(f"{V3}/createRoom")).ok()
    (await admin.put(f"{ADMIN}/v1/suspend/{admin.user_id}", {"suspend": True})).refused(400, "M_UNKNOWN")
    (await admin.put(f"{ADMIN}/v1/suspend/@nobody:weft.test", {"suspend": True})).refused(404, "M_NOT_FOUND")


# -- acting as users


async def test_acting_as_a_user(start_server: Start) -> None:
    server = await start_server()
    admin, alice, bob = await people(server)
    path = f"{ADMIN}/v1/users/{alice.user_id}/login"
    token = (await admin.post(path)).ok()["access_token"]
    acting = server.client(token)
    assert (await acting.get(f"{V3}/account/whoami")).ok() == {"user_id": alice.user_id}
    room_id = await acting.create_room(preset="public_chat")
    await acting.send(room_id, "in her name")
    assert room_id in (await acting.sync())["rooms"]["join"]
    devices = (await alice.get(f"{V3}/devices")).ok()["devices"]
    assert [one["device_id"] for one in devices] == [alice.device_id]
    (await alice.post(f"{V3}/logout/all")).ok()
    (await acting.get(f"{V3}/account/whoami")).ok()
    (await acting.post(f"{V3}/logout")).ok()
    (await acting.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")

    until = server.clock() + 60_000
    short = server.client((await admin.post(path, {"valid_until_ms": until})).ok()["access_token"])
    (await short.get(f"{V3}/account/whoami")).ok()
    server.clock.advance(61)
    (await short.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    await server.server.accounts.sessions.prune()
    (await admin.post(path, {"valid_until_ms": 5})).refused(400, "M_INVALID_PARAM")

    third = server.client((await admin.post(path)).ok()["access_token"])
    (await admin.post(f"{ADMIN}/v1/users/{admin.user_id}/login")).refused(400, "M_UNKNOWN")
    (await admin.post(f"{ADMIN}/v1/users/@nobody:weft.test/login")).refused(404, "M_NOT_FOUND")
    (await bob.post(path)).refused(403, "M_FORBIDDEN")
    (await admin.post(f"{V3}/logout/all")).ok()
    (await third.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


# -- devices


async def test_devices_of_a_user(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    phone = await server.login("alice", device_id="PHONE")
    path = f"{ADMIN}/v2/users/{alice.user_id}/devices"
    listed = (await admin.get(path)).ok()
    assert listed["total"] == 2
    assert {one["device_id"] for one in listed["devices"]} == {alice.device_id, "PHONE"}
    (await admin.put(f"{path}/PHONE", {"display_name": "Alice's phone"})).ok()
    (await admin.put(f"{path}/PHONE", {})).ok()
    shown = (await admin.get(f"{path}/PHONE")).ok()
    assert (shown["display_name"], shown["user_id"], shown["dehydrated"]) == ("Alice's phone", alice.user_id, False)
    (await admin.post(path, {"device_id": "NEW"})).ok()
    (await admin.post(path, {"device_id": "NEW"})).ok()
    assert (await admin.get(path)).ok()["total"] == 3
    (await admin.delete(f"{path}/PHONE")).ok()
    (await phone.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    delete = f"{ADMIN}/v2/users/{alice.user_id}/delete_devices"
    (await admin.post(delete, {"devices": ["NEW", alice.device_id, "UNKNOWN"]})).ok()
    assert (await admin.get(path)).ok() == {"devices": [], "total": 0}
    (await admin.get(f"{path}/PHONE")).refused(404, "M_NOT_FOUND")
    (await admin.put(f"{path}/PHONE", {"display_name": "x"})).refused(404, "M_NOT_FOUND")
    (await admin.post(path, {"device_id": "a\nb"})).refused(400, "M_INVALID_PARAM")
    (await admin.get(f"{ADMIN}/v2/users/@nobody:weft.test/devices")).refused(404, "M_NOT_FOUND")


# -- rates


async def test_a_rate_of_ones_own(start_server: Start) -> None:
    server = await start_server({"rate_limits": {"enabled": True, "message": {"per_second": 0.01, "burst": 1}}})
    admin, alice, _ = await people(server)
    room_id = await alice.create_room()
    path = f"{ADMIN}/v1/users/{alice.user_id}/override_ratelimit"
    assert (await admin.get(path)).ok() == {}

    async def sent(count: int) -> int:
        """How many of so many messages are let through."""
        path = f"{V3}/rooms/{room_id}/send/m.room.message"
        statuses = [(await alice.put(f"{path}/{n}", {"body": "x"})).status for n in range(count)]
        return statuses.count(200)

    assert await sent(3) < 3
    assert (await admin.post(path)).ok() == {"messages_per_second": 0, "burst_count": 0}
    assert (await admin.get(path)).ok() == {"messages_per_second": 0, "burst_count": 0}
    assert await sent(30) == 30
    (await admin.post(path, {"messages_per_second": 1, "burst_count": 500})).ok()
    assert await sent(20) == 20
    await server.restart()
    assert await sent(20) == 20
    (await admin.delete(path)).ok()
    assert (await admin.get(path)).ok() == {}
    assert await sent(5) < 5
    (await admin.post(path, {"messages_per_second": -1})).refused(400, "M_BAD_JSON")
    (await admin.post(f"{ADMIN}/v1/users/@nobody:weft.test/override_ratelimit")).refused(404, "M_NOT_FOUND")


async def test_the_version_of_the_server(server: TestServer) -> None:
    admin, _, _ = await people(server)
    assert (await admin.get(f"{ADMIN}/v1/server_version")).ok()["server_version"].startswith("Weft ")


async def test_addresses_of_an_account(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    path = f"{ADMIN}/v2/users/{alice.user_id}"
    email, phone = {"medium": "email", "address": "Alice@Example.org"}, {"medium": "msisdn", "address": "+447700900001"}
    put = (await admin.put(path, {"threepids": [email, phone]})).ok()
    assert [each["address"] for each in put["threepids"]] == ["alice@example.org", "447700900001"]
    kept = (await admin.get(path)).ok()["threepids"]
    assert kept == put["threepids"]
    assert 0 < kept[0]["added_at"] == kept[0]["validated_at"]
    assert len((await alice.get(f"{V3}/account/3pid")).ok()["threepids"]) == 2
    found = await admin.get(f"{ADMIN}/v1/threepid/email/users/ALICE%40example.org")
    assert found.ok() == {"user_id": alice.user_id}
    (await admin.get(f"{ADMIN}/v1/threepid/email/users/nobody%40example.org")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{ADMIN}/v1/threepid/fax/users/1")).refused(400, "M_INVALID_PARAM")

    for refused, errcode in ((email, "M_THREEPID_IN_USE"), ({**email, "address": "x"}, "M_INVALID_PARAM")):
        body = {"threepids": [refused], "displayname": "Robert"}
        (await admin.put(f"{ADMIN}/v2/users/{bob.user_id}", body)).refused(400, errcode)
        (await admin.put(f"{ADMIN}/v2/users/@new:weft.test", body)).refused(400, errcode)
    (await admin.get(f"{ADMIN}/v2/users/@new:weft.test")).refused(404, "M_NOT_FOUND")
    assert (await admin.get(f"{ADMIN}/v2/users/{bob.user_id}")).ok()["displayname"] == "bob"
    (await bob.get(f"{ADMIN}/v1/threepid/email/users/alice%40example.org")).refused(403, "M_FORBIDDEN")

    (await admin.put(path, {"admin": False})).ok()
    assert len((await admin.get(path)).ok()["threepids"]) == 2
    (await admin.put(path, {"deactivated": True})).ok()
    assert (await admin.get(path)).ok()["threepids"] == []
    (await admin.put(path, {"threepids": [email]})).refused(400, "M_UNKNOWN")
    made = (await admin.put(f"{ADMIN}/v2/users/@new:weft.test", {"threepids": [email]})).json
    assert made["threepids"][0]["address"] == "alice@example.org"


async def test_who_they_are_elsewhere(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    here, there = {"auth_provider": "there", "external_id": "a/1"}, {"auth_provider": "here", "external_id": "é"}
    details = (await admin.put(f"{ADMIN}/v2/users/{alice.user_id}", {"external_ids": [here, there, here]})).ok()
    assert details["external_ids"] == [there, here]
    path = f"{ADMIN}/v1/auth_providers/there/users/{quote('a/1', safe='')}"
    assert (await admin.get(path)).ok() == {"user_id": alice.user_id}
    taken = await admin.put(f"{ADMIN}/v2/users/{bob.user_id}", {"external_ids": [here], "displayname": "B"})
    taken.refused(409, "M_UNKNOWN")
    assert (await admin.get(f"{ADMIN}/v2/users/{bob.user_id}")).ok()["displayname"] == "bob"
    (await admin.put(f"{ADMIN}/v2/users/{alice.user_id}", {"displayname": "A"})).ok()
    details = (await admin.put(f"{ADMIN}/v2/users/{alice.user_id}", {"external_ids": [there]})).ok()
    assert details["external_ids"] == [there]
    (await admin.get(path)).refused(404, "M_NOT_FOUND")
    (await alice.get(path)).refused(403, "M_FORBIDDEN")
    (await admin.put(f"{ADMIN}/v2/users/{bob.user_id}", {"external_ids": [here]})).ok()
    assert (await admin.get(path)).ok() == {"user_id": bob.user_id}


async def test_where_their_notifications_go(server: TestServer) -> None:
    admin, alice, _ = await people(server)
    pusher = {
        "pushkey": "key",
        "kind": "http",
        "app_id": "app",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": "https://push.test/_matrix/push/v1/notify"},
    }
    (await alice.post(f"{V3}/pushers/set", pusher)).ok()
    path = f"{ADMIN}/v1/users/{alice.user_id}/pushers"
    told = (await admin.get(path)).ok()
    assert told == {"pushers": (await alice.get(f"{V3}/pushers")).ok()["pushers"], "total": 1}
    assert told["pushers"][0]["pushkey"] == "key"
    (await alice.get(path)).refused(403, "M_FORBIDDEN")
    (await admin.get(f"{ADMIN}/v1/users/@nobody:weft.test/pushers")).refused(404, "M_NOT_FOUND")
