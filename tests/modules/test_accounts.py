"""Sessions, tokens, passwords, the end of an account."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
SOFT_LOGOUT = {"sessions": {"access_token_lifetime": "5m"}}


def by_password(user: str, password: str = "correct horse") -> dict[str, Any]:
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    }


async def whoami(client: Client) -> Any:
    return (await client.get(f"{V3}/account/whoami")).ok()


async def is_out(client: Client) -> bool:
    answer = await client.get(f"{V3}/account/whoami")
    return answer.status == 401 and answer.refused(401, "M_UNKNOWN_TOKEN")["soft_logout"] is False


# --- Logging in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["alice", "@alice:weft.test", "Alice", "@ALICE:weft.test"])
async def test_login_by_any_spelling_of_the_name(server: TestServer, user: str) -> None:
    await server.user("alice")
    made = (await server.client().post(f"{V3}/login", by_password(user))).ok()
    assert made["user_id"] == "@alice:weft.test"
    assert "refresh_token" not in made
    assert "expires_in_ms" not in made
    client = server.client(made["access_token"])
    assert await whoami(client) == {"user_id": "@alice:weft.test", "device_id": made["device_id"]}


async def test_login_as_old_clients_do(server: TestServer) -> None:
    await server.user("alice")
    body = {"type": "m.login.password", "user": "alice", "password": "correct horse"}
    assert (await server.client().post("/_matrix/client/r0/login", body)).ok()["user_id"] == "@alice:weft.test"


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        (by_password("alice", "wrong"), 403, "M_FORBIDDEN"),
        (by_password("nobody"), 403, "M_FORBIDDEN"),
        (by_password("@alice:elsewhere.test"), 403, "M_FORBIDDEN"),
        (by_password("@alice"), 403, "M_FORBIDDEN"),
        (by_password(""), 403, "M_FORBIDDEN"),
        ({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}}, 400, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "password": "correct horse"}, 400, "M_MISSING_PARAM"),
        (
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@b.c"},
                "password": "correct horse",
            },
            403,
            "M_FORBIDDEN",
        ),
        ({"type": "m.login.password", "identifier": {"type": "m.id.odd"}, "password": "x"}, 400, "M_INVALID_PARAM"),
        ({"type": "m.login.application_service", "user": "alice"}, 401, "M_MISSING_TOKEN"),
        ({"type": "m.login.token", "token": "guess"}, 400, "M_UNKNOWN"),
        (by_password("alice") | {"device_id": "\n"}, 400, "M_INVALID_PARAM"),
        (by_password("alice") | {"device_id": "x" * 300}, 400, "M_INVALID_PARAM"),
        (by_password("alice\0"), 403, "M_FORBIDDEN"),
        ({"type": "m.login.odd"}, 400, "M_UNKNOWN"),
        ({}, 400, "M_MISSING_PARAM"),
    ],
)
async def test_login_refused(server: TestServer, body: dict[str, Any], status: int, errcode: str) -> None:
    await server.user("alice")
    (await server.client().post(f"{V3}/login", body)).refused(status, errcode)


async def test_a_device_is_used_again_and_its_old_token_ends(server: TestServer) -> None:
    first = await server.user("alice", device_id="PHONE", initial_device_display_name="Phone")
    again = await server.login("alice", device_id="PHONE", initial_device_display_name="Another name")
    assert await is_out(first)
    assert (await again.get(f"{V3}/devices")).ok()["devices"][0]["display_name"] == "Phone"


async def test_login_tells_where_the_server_is(start_server: Start) -> None:
    server = await start_server({"server": {"public_url": "https://matrix.weft.test"}})
    await server.user("alice")
    made = (await server.client().post(f"{V3}/login", by_password("alice"))).ok()
    assert made["well_known"] == {"m.homeserver": {"base_url": "https://matrix.weft.test"}}


async def test_tries_of_a_password_are_limited_for_each_account(start_server: Start) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.1, "burst": 3}, "registration": {"per_second": 9, "burst": 9}}
    server = await start_server({"rate_limits": limits})
    await server.user("alice")
    for address in range(3):
        guesser = server.client(address=f"10.0.0.{address}")
        (await guesser.post(f"{V3}/login", by_password("alice", "guess"))).refused(403, "M_FORBIDDEN")
    # Where two processes share a database, each counts for itself.
    answers = [
        await server.client(address=f"10.0.0.{address}").post(f"{V3}/login", by_password("alice", "guess"))
        for address in range(3, 8)
    ]
    limited = [answer for answer in answers if answer.status == 429]
    assert limited[0].refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"] > 0
    (await server.client(address="10.0.0.9").post(f"{V3}/login", by_password("bob"))).refused(403, "M_FORBIDDEN")
    server.clock.advance(60)
    (await server.client(address="10.0.0.8").post(f"{V3}/login", by_password("alice"))).ok()


async def test_nothing_stored_reveals_a_token_or_a_password(server: TestServer) -> None:
    alice = await server.user("alice")
    rows = await server.server.engine.database.read(
        lambda tx: [*tx.all("SELECT hash FROM access_tokens"), *tx.all("SELECT password FROM users")]
    )
    assert alice.token is not None
    assert bytes(rows[0][0]) == hashlib.sha256(alice.token.encode()).digest()
    assert rows[1][0].startswith("$argon2id$")


async def test_the_hash_keeps_up_with_its_cost(start_server: Start) -> None:
    server = await start_server()
    alice = await server.user("alice")
    accounts = server.server.accounts
    account = await accounts.find(alice.user_id)
    assert account is not None
    assert account.password is not None
    dearer = account.password.replace("t=1", "t=2")
    await server.server.engine.database.write(
        lambda tx: tx.run("UPDATE users SET password = :p WHERE user_id = :u", p=dearer, u=alice.user_id)
    )
    await accounts.refresh_hash(account._replace(password=dearer), "correct horse")
    await server.login("alice")


# --- Refreshing ------------------------------------------------------------------------------------------------------


async def refresh(server: TestServer, token: str) -> Any:
    return (await server.client().post(f"{V3}/refresh", {"refresh_token": token})).ok()


async def test_an_access_token_expires_softly_and_is_refreshed(start_server: Start) -> None:
    server = await start_server(SOFT_LOGOUT)
    await server.user("alice")
    made = (await server.client().post(f"{V3}/login", by_password("alice") | {"refresh_token": True})).ok()
    assert made["expires_in_ms"] == 300_000
    client = server.client(made["access_token"])
    await whoami(client)
    await whoami(client)
    server.clock.advance(301)
    for _ in range(2):
        assert (await client.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")["soft_logout"] is True
    new = await refresh(server, made["refresh_token"])
    assert new["expires_in_ms"] == 300_000
    assert (await whoami(server.client(new["access_token"])))["device_id"] == made["device_id"]


async def test_the_old_refresh_token_lasts_until_a_new_token_is_used(start_server: Start) -> None:
    server = await start_server(SOFT_LOGOUT)
    made = (await server.user("alice", refresh_token=True)).token
    assert made is not None
    session = (await server.client().post(f"{V3}/login", by_password("alice") | {"refresh_token": True})).ok()
    lost = await refresh(server, session["refresh_token"])
    new = await refresh(server, session["refresh_token"])
    await whoami(server.client(session["access_token"]))
    await whoami(server.client(new["access_token"]))
    await whoami(server.client(new["access_token"]))
    # From here on there is only the pair that was used.
    for old in (session["refresh_token"], lost["refresh_token"]):
        (await server.client().post(f"{V3}/refresh", {"refresh_token": old})).refused(401, "M_UNKNOWN_TOKEN")
    assert await is_out(server.client(session["access_token"]))
    assert await is_out(server.client(lost["access_token"]))
    await whoami(server.client(made))


async def test_using_the_new_refresh_token_ends_the_old_pair_too(start_server: Start) -> None:
    server = await start_server(SOFT_LOGOUT)
    await server.user("alice")
    first = (await server.client().post(f"{V3}/login", by_password("alice") | {"refresh_token": True})).ok()
    second = await refresh(server, first["refresh_token"])
    third = await refresh(server, second["refresh_token"])
    (await server.client().post(f"{V3}/refresh", {"refresh_token": first["refresh_token"]})).refused(
        401, "M_UNKNOWN_TOKEN"
    )
    await whoami(server.client(second["access_token"]))
    await whoami(server.client(third["access_token"]))
    assert await is_out(server.client(second["access_token"]))


async def test_pairs_that_nobody_uses_do_not_pile_up(start_server: Start) -> None:
    server = await start_server(SOFT_LOGOUT)
    await server.user("alice")
    session = (await server.client().post(f"{V3}/login", by_password("alice") | {"refresh_token": True})).ok()
    for _ in range(5):
        await refresh(server, session["refresh_token"])
    count = await server.server.engine.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM refresh_tokens"))
    assert count == 2


async def test_refreshing_with_what_is_no_refresh_token(server: TestServer) -> None:
    alice = await server.user("alice")
    for token in ("guess", alice.token):
        (await server.client().post(f"{V3}/refresh", {"refresh_token": token})).refused(401, "M_UNKNOWN_TOKEN")
    (await server.client().post(f"{V3}/refresh", {})).refused(400, "M_MISSING_PARAM")


# --- Logging out -----------------------------------------------------------------------------------------------------


async def test_logout_ends_one_device(server: TestServer) -> None:
    first = await server.user("alice")
    second = await server.login("alice")
    (await first.post(f"{V3}/logout")).ok()
    assert await is_out(first)
    devices = (await second.get(f"{V3}/devices")).ok()["devices"]
    assert [device["device_id"] for device in devices] == [second.device_id]
    (await first.post(f"{V3}/logout")).refused(401, "M_UNKNOWN_TOKEN")


async def test_logout_all_ends_every_device_and_refresh_token(server: TestServer) -> None:
    await server.user("alice")
    bob = await server.user("bob")
    session = (await server.client().post(f"{V3}/login", by_password("alice") | {"refresh_token": True})).ok()
    second = await server.login("alice")
    (await second.post(f"{V3}/logout/all")).ok()
    assert await is_out(second)
    assert await is_out(server.client(session["access_token"]))
    (await server.client().post(f"{V3}/refresh", {"refresh_token": session["refresh_token"]})).refused(
        401, "M_UNKNOWN_TOKEN"
    )
    await whoami(bob)


async def test_a_session_lasts_over_a_restart(server: TestServer) -> None:
    alice = await server.user("alice")
    await server.restart()
    assert (await whoami(alice))["device_id"] == alice.device_id


# --- Login tokens ----------------------------------------------------------------------------------------------------

LOGIN_TOKENS = {"sessions": {"login_tokens": True}}


async def login_token(alice: Client) -> str:
    path = "/_matrix/client/v1/login/get_token"
    session = (await alice.post(path)).json["session"]
    made = (await alice.post(path, {"auth": by_password("alice") | {"session": session}})).ok()
    assert made["expires_in_ms"] == 120_000
    token: str = made["login_token"]
    return token


async def test_a_login_token_logs_in_once(start_server: Start) -> None:
    server = await start_server(LOGIN_TOKENS)
    alice = await server.user("alice")
    flows = (await server.client().get(f"{V3}/login")).ok()["flows"]
    assert {"type": "m.login.token", "get_login_token": True} in flows
    token = await login_token(alice)
    made = (await server.client().post(f"{V3}/login", {"type": "m.login.token", "token": token})).ok()
    assert made["user_id"] == alice.user_id
    assert made["device_id"] != alice.device_id
    again = await server.client().post(f"{V3}/login", {"type": "m.login.token", "token": token})
    again.refused(403, "M_FORBIDDEN")


async def test_a_login_token_expires(start_server: Start) -> None:
    server = await start_server(LOGIN_TOKENS)
    token = await login_token(await server.user("alice"))
    server.clock.advance(121)
    answer = await server.client().post(f"{V3}/login", {"type": "m.login.token", "token": token})
    answer.refused(403, "M_FORBIDDEN")
    await server.server.accounts.sessions.prune()


async def test_login_tokens_are_off_unless_set(server: TestServer) -> None:
    alice = await server.user("alice")
    assert (await alice.get(f"{V3}/login")).ok() == {"flows": [{"type": "m.login.password"}]}
    (await alice.post("/_matrix/client/v1/login/get_token")).refused(404, "M_UNRECOGNIZED")


# --- Passwords -------------------------------------------------------------------------------------------------------


async def change_password(client: Client, new: str, *, old: str = "correct horse", **more: Any) -> Any:
    body = {"new_password": new, **more}
    session = (await client.post(f"{V3}/account/password", body)).json["session"]
    return await client.post(
        f"{V3}/account/password", {**body, "auth": by_password("alice", old) | {"session": session}}
    )


async def test_a_new_password_ends_the_other_sessions(server: TestServer) -> None:
    alice = await server.user("alice")
    other = await server.login("alice")
    (await change_password(alice, "battery staple")).ok()
    await whoami(alice)
    assert await is_out(other)
    (await server.client().post(f"{V3}/login", by_password("alice"))).refused(403, "M_FORBIDDEN")
    await server.login("alice", password="battery staple")


async def test_a_new_password_can_leave_the_other_sessions(server: TestServer) -> None:
    alice = await server.user("alice")
    other = await server.login("alice")
    (await change_password(alice, "battery staple", logout_devices=False)).ok()
    await whoami(other)


async def test_a_forgotten_session_changes_the_password_by_the_password_alone(server: TestServer) -> None:
    alice = await server.user("alice")
    (await change_password(server.client(), "battery staple")).ok()
    assert await is_out(alice)
    await server.login("alice", password="battery staple")


async def test_a_password_is_not_changed_without_the_old_one(server: TestServer) -> None:
    alice = await server.user("alice")
    (await change_password(alice, "battery staple", old="guess")).refused(401, "M_FORBIDDEN")
    await server.login("alice")


async def test_nobody_changes_the_password_of_somebody_else(server: TestServer) -> None:
    await server.user("alice")
    bob = await server.user("bob", password="another one")
    (await change_password(bob, "battery staple")).refused(401, "M_FORBIDDEN")
    await server.login("bob", password="another one")


async def test_weak_passwords_are_refused(server: TestServer) -> None:
    alice = await server.user("alice")
    (await alice.post(f"{V3}/account/password", {"new_password": "short"})).refused(400, "M_WEAK_PASSWORD")
    body = {"username": "bob", "password": "short"}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_WEAK_PASSWORD")


# --- The end ---------------------------------------------------------------------------------------------------------


async def deactivate(client: Client, user: str, **more: Any) -> Any:
    session = (await client.post(f"{V3}/account/deactivate", more)).json["session"]
    body = {**more, "auth": by_password(user) | {"session": session}}
    return (await client.post(f"{V3}/account/deactivate", body)).ok()


async def test_a_deactivated_account_is_over(server: TestServer) -> None:
    alice = await server.user("alice")
    other = await server.login("alice")
    assert await deactivate(alice, "alice") == {"id_server_unbind_result": "success"}
    assert await is_out(alice)
    assert await is_out(other)
    (await server.client().post(f"{V3}/login", by_password("alice"))).refused(403, "M_USER_DEACTIVATED")
    body = {"username": "alice", "password": "correct horse", "auth": {"type": "m.login.dummy"}}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_USER_IN_USE")
    assert alice.user_id not in server.server.accounts.erased


async def texts(client: Client, room_id: str) -> set[str]:
    """What somebody reads in a room, by its history and by a first sync."""
    chunk = (await client.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=50)).ok()["chunk"]
    timeline = (await client.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    found = [event["content"].get("body", "") for event in (*chunk, *timeline) if event["type"] == "m.room.message"]
    assert found
    return set(found)


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_erased_account_leaves_nothing_to_newcomers(server: TestServer, restarted: bool) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    root = await bob.send(room_id, "from bob")
    thread = {"rel_type": "m.thread", "event_id": root}
    reply = {"msgtype": "m.text", "body": "in a thread", "m.relates_to": thread}
    (await alice.put(f"{V3}/rooms/{room_id}/send/m.room.message/reply", reply)).ok()
    await alice.send(room_id, "from alice")
    await deactivate(alice, "alice", erase=True)
    if restarted:
        await server.restart()
    await carol.join(room_id)
    assert await texts(bob, room_id) == {"from alice", "from bob", "in a thread"}
    assert await texts(carol, room_id) == {"", "from bob"}
    everything = (await carol.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=50)).body
    assert b"in a thread" not in everything
    assert b"from alice" not in everything


async def test_other_modules_hear_of_beginnings_and_ends(start_server: Start) -> None:
    server = await start_server()
    heard: list[object] = []

    async def leave_rooms(user_id: str) -> None:
        heard.append(f"{user_id} leaves")

    hooks = server.server.accounts.hooks
    hooks.created.append(lambda tx, account: heard.append((account.user_id, account.is_guest)))
    hooks.deactivated.append(lambda tx, ended: heard.append((ended.user_id, ended.erase)))
    hooks.after_deactivation.append(leave_rooms)
    await server.server.accounts.create("@carol:weft.test", "correct horse", admin=False)
    await server.server.accounts.deactivate("@carol:weft.test", erase=True)
    await server.server.engine.followed("accounts that ended")
    heard_here = [each for each in heard if each != "@carol:weft.test leaves"]
    assert heard_here == [("@carol:weft.test", False), ("@carol:weft.test", True)]


async def test_no_session_begins_for_an_account_that_ends(server: TestServer) -> None:
    alice = await server.user("alice")
    accounts = server.server.accounts
    planned = accounts.sessions.plan(alice.user_id)
    await deactivate(alice, "alice")
    with pytest.raises(Exception, match="deactivated"):
        await accounts.sessions.begin(planned, display_name=None)


async def test_an_administrator_resets_a_password(server: TestServer) -> None:
    alice = await server.user("alice")
    await server.server.accounts.reset_password(alice.user_id, "battery staple")
    assert await is_out(alice)
    await server.login("alice", password="battery staple")
    with pytest.raises(Exception, match="no such user"):
        await server.server.accounts.reset_password("@nobody:weft.test", "battery staple")
