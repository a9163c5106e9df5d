"""Administrators: looking, suspending, locking, making accounts with the shared secret."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V3, V1 = "/_matrix/client/v3", "/_matrix/client/v1"


async def whois(client: Client, user_id: str) -> Answer:
    return await client.get(f"{V3}/admin/whois/{user_id}")


async def test_whois(server: TestServer) -> None:
    admin = await server.user("admin")
    alice = await server.user("alice", device_id="PHONE")
    (await server.client(alice.token, address="10.0.0.7").get(f"{V3}/account/whoami")).ok()
    for asker in (server.client(alice.token, address="10.0.0.7"), admin):
        told = (await whois(asker, alice.user_id)).ok()
        assert told["user_id"] == alice.user_id
        assert list(told["devices"]) == ["PHONE"]
    (connection,) = (await whois(alice, alice.user_id)).ok()["devices"]["PHONE"]["sessions"][0]["connections"]
    assert connection["user_agent"] == "weft-testing"
    assert connection["last_seen"] > 0
    (await whois(alice, admin.user_id)).refused(403, "M_FORBIDDEN")
    (await whois(alice, "@nobody:weft.test")).refused(403, "M_FORBIDDEN")
    (await whois(admin, "@nobody:weft.test")).refused(404, "M_NOT_FOUND")
    (await whois(admin, "@alice:else.test")).refused(400, "M_INVALID_PARAM")


@pytest.mark.parametrize("what", ["suspend", "lock"])
async def test_who_may_be_suspended_or_locked_by_whom(server: TestServer, what: str) -> None:
    field = {"suspend": "suspended", "lock": "locked"}[what]
    admin, alice = await server.user("admin"), await server.user("alice")
    await server.server.accounts.create("@other:weft.test", "correct horse", admin=True)
    await server.server.accounts.create("@gone:weft.test", "correct horse")
    await server.server.accounts.deactivate("@gone:weft.test", erase=False)
    for target, read, written in [
        (alice.user_id, None, None),
        (admin.user_id, None, (403, "M_FORBIDDEN")),
        ("@other:weft.test", (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
        ("@gone:weft.test", (404, "M_NOT_FOUND"), (404, "M_NOT_FOUND")),
        ("@nobody:weft.test", (404, "M_NOT_FOUND"), (404, "M_NOT_FOUND")),
        ("@alice:else.test", (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
        ("alice", (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
    ]:
        path = f"{V1}/admin/{what}/{target}"
        (await alice.get(path)).refused(403, "M_FORBIDDEN")
        (await alice.put(path, {field: True})).refused(403, "M_FORBIDDEN")
        looked, set_ = await admin.get(path), await admin.put(path, {field: False})
        assert looked.refused(*read) if read else looked.ok() == {field: False}
        assert set_.refused(*written) if written else set_.ok() == {field: False}
    path = f"/_matrix/client/unstable/uk.timedout.msc4323/admin/{what}/{alice.user_id}"
    assert (await admin.put(path, {field: True})).ok() == {field: True}
    assert (await admin.get(path)).ok() == {field: True}


async def test_a_suspended_account_looks_on(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    path = f"{V1}/admin/suspend/{alice.user_id}"
    (await admin.put(path, {"suspended": True})).ok()
    (await alice.get(f"{V3}/account/whoami")).ok()
    (await alice.post(f"{V3}/user/{alice.user_id}/openid/request_token")).refused(403, "M_USER_SUSPENDED")
    again = await server.login("alice")
    (await again.post(f"{V3}/user/{alice.user_id}/openid/request_token")).refused(403, "M_USER_SUSPENDED")
    (await again.post(f"{V3}/logout")).ok()
    assert (await alice.post(f"{V3}/account/deactivate")).json["flows"]
    (await admin.put(path, {"suspended": False})).ok()
    (await alice.post(f"{V3}/user/{alice.user_id}/openid/request_token")).ok()


async def test_a_locked_account_can_do_nothing_but_log_out(start_server: Start) -> None:
    server = await start_server()
    admin, alice = await server.user("admin"), await server.user("alice", refresh_token=True)
    other = await server.login("alice")
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "correct horse",
    }
    session = (await server.client().post(f"{V3}/login", login | {"refresh_token": True})).ok()
    path = f"{V1}/admin/lock/{alice.user_id}"
    (await admin.put(path, {"locked": True})).ok()
    for answer in (
        await alice.get(f"{V3}/account/whoami"),
        await alice.put(f"{V3}/devices/{alice.device_id}", {}),
        await server.client().post(f"{V3}/login", login),
        await server.client().post(f"{V3}/refresh", {"refresh_token": session["refresh_token"]}),
    ):
        assert answer.refused(401, "M_USER_LOCKED")["soft_logout"] is True
    wrong = login | {"password": "guess"}
    (await server.client().post(f"{V3}/login", wrong)).refused(403, "M_FORBIDDEN")
    (await other.post(f"{V3}/logout")).ok()
    (await admin.put(path, {"locked": False})).ok()
    (await alice.get(f"{V3}/account/whoami")).ok()
    (await other.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


# --- The shared secret -----------------------------------------------------------------------------------------------

REGISTER = "/_synapse/admin/v1/register"


def proven(nonce: str, *, secret: str = "tell nobody", **body: Any) -> dict[str, Any]:
    body = {"username": "bot", "password": "correct horse", "admin": False, **body}
    parts = [nonce, body["username"], body["password"], "admin" if body["admin"] else "notadmin"]
    parts += [body["user_type"]] if "user_type" in body else []
    mac = hmac.new(secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
    return {"nonce": nonce, "mac": mac, **body}


async def with_secret(start_server: Start, folder: Path) -> TestServer:
    (folder / "secret").write_text("tell nobody\n")
    file = str(folder / "secret")
    return await start_server({"registration": {"mode": "closed", "shared_secret_file": file}})


async def nonce(server: TestServer) -> str:
    made: str = (await server.client().get(REGISTER)).ok()["nonce"]
    return made


async def test_tools_make_accounts(start_server: Start, tmp_path: Path) -> None:
    server = await with_secret(start_server, tmp_path)
    nobody = server.client()
    root = (await nobody.post(REGISTER, proven(await nonce(server), username="root", admin=True))).ok()
    assert root["user_id"] == "@root:weft.test"
    assert root["home_server"] == "weft.test"
    admin = server.client(root["access_token"])
    (await admin.get("/_weft/admin/v1/reports")).ok()
    quiet = proven(await nonce(server), inhibit_login=True, user_type="bot", displayname="Bot")
    assert (await nobody.post(REGISTER, quiet)).ok() == {"user_id": "@bot:weft.test", "home_server": "weft.test"}
    bot = await server.login("bot")
    (await bot.get("/_weft/admin/v1/reports")).refused(403, "M_FORBIDDEN")
    (await nobody.post(REGISTER, proven(await nonce(server)))).refused(400, "M_USER_IN_USE")


async def test_tools_that_do_not_know_the_secret(start_server: Start, tmp_path: Path) -> None:
    server = await with_secret(start_server, tmp_path)
    nobody = server.client()
    used = await nonce(server)
    (await nobody.post(REGISTER, proven(used, secret="guess"))).refused(403, "M_FORBIDDEN")
    (await nobody.post(REGISTER, proven(used))).refused(400, "M_INVALID_PARAM")
    (await nobody.post(REGISTER, proven("made up"))).refused(400, "M_INVALID_PARAM")
    forged = proven(await nonce(server)) | {"admin": True}
    (await nobody.post(REGISTER, forged)).refused(403, "M_FORBIDDEN")
    late = await nonce(server)
    server.clock.advance(61)
    (await nobody.post(REGISTER, proven(late))).refused(400, "M_INVALID_PARAM")
    assert await server.server.accounts.find("@bot:weft.test") is None


async def test_without_a_secret_that_door_is_shut(server: TestServer) -> None:
    (await server.client().get(REGISTER)).refused(400, "M_UNKNOWN")
    (await server.client().post(REGISTER, proven("x"))).refused(400, "M_UNKNOWN")
