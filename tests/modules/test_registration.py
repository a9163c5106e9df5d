"""New accounts: who may make one, what they are called, what they are asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import Start
from weft.modules.accounts import AccountsService
from weft.modules.devices import DevicesService
from weft.modules.ui_auth import UiAuthService
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
DUMMY = {"type": "m.login.dummy"}


async def register(client: Client, username: str | None = None, **more: Any) -> Answer:
    body = {"username": username, "password": "correct horse", "auth": DUMMY, **more}
    return await client.post(f"{V3}/register", {key: value for key, value in body.items() if value is not None})


# --- Open ------------------------------------------------------------------------------------------------------------


async def test_in_two_steps(server: TestServer) -> None:
    nobody = server.client()
    body = {"username": "alice", "password": "correct horse"}
    challenge = await nobody.post(f"{V3}/register", body)
    assert challenge.status == 401
    assert challenge.json["flows"] == [{"stages": ["m.login.dummy"]}]
    assert "errcode" not in challenge.json
    auth = DUMMY | {"session": challenge.json["session"]}
    made = (await nobody.post(f"{V3}/register", body | {"auth": auth})).ok()
    assert made["user_id"] == "@alice:weft.test"
    assert made["home_server"] == "weft.test"
    (await nobody.post(f"{V3}/register", body | {"username": "bob", "auth": auth})).refused(400, "M_UNKNOWN")


async def test_the_request_is_remembered(server: TestServer) -> None:
    nobody = server.client()
    body = {"username": "alice", "password": "correct horse", "device_id": "PHONE"}
    session = (await nobody.post(f"{V3}/register", body)).json["session"]
    made = (await nobody.post(f"{V3}/register", {"auth": DUMMY | {"session": session}})).ok()
    assert (made["user_id"], made["device_id"]) == ("@alice:weft.test", "PHONE")


async def test_details_may_be_added_between_the_steps(server: TestServer) -> None:
    session = (await server.client().post(f"{V3}/register")).json["session"]
    made = (await register(server.client(), "alice", auth=DUMMY | {"session": session})).ok()
    assert made["user_id"] == "@alice:weft.test"


@pytest.mark.parametrize(
    ("username", "user_id"),
    [
        ("alice", "@alice:weft.test"),
        ("ALICE", "@alice:weft.test"),
        ("a.b_c=d-e/f+1", "@a.b_c=d-e/f+1:weft.test"),
        ("@alice:weft.test", "@alice:weft.test"),
        ("@alice:second.test", "@alice:second.test"),
    ],
)
async def test_names(start_server: Start, username: str, user_id: str) -> None:
    server = await start_server({"server": {"names": ["weft.test", "second.test"]}})
    (await server.client().get(f"{V3}/register/available", username=username)).ok()
    assert (await register(server.client(), username)).ok()["user_id"] == user_id
    (await register(server.client(), username)).refused(400, "M_USER_IN_USE")
    (await server.client().get(f"{V3}/register/available", username=username)).refused(400, "M_USER_IN_USE")
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user_id}}
    made = (await server.client().post(f"{V3}/login", login | {"password": "correct horse"})).ok()
    assert made["user_id"] == user_id


@pytest.mark.parametrize("username", ["", "a b", "älice", "a:b", "@alice", "@alice:else.test", "x" * 250, "ＡＬＩＣＥ"])
async def test_names_that_are_refused(server: TestServer, username: str) -> None:
    if username:
        answer = await server.client().get(f"{V3}/register/available", username=username)
        answer.refused(400, "M_INVALID_USERNAME")
    body = {"username": username, "password": "correct horse"}
    (await server.client().post(f"{V3}/register", body)).refused(400, "M_INVALID_USERNAME")


async def test_without_a_name_one_is_given(server: TestServer) -> None:
    first, second = [(await register(server.client())).ok()["user_id"] for _ in range(2)]
    assert first != second


async def test_without_a_password(server: TestServer) -> None:
    (await register(server.client(), "alice", password=None)).refused(400, "M_MISSING_PARAM")


async def test_without_a_login(server: TestServer) -> None:
    made = (await register(server.client(), "alice", inhibit_login=True)).ok()
    assert made == {"user_id": "@alice:weft.test", "home_server": "weft.test"}
    alice = await server.login("alice")
    assert len((await alice.get(f"{V3}/devices")).ok()["devices"]) == 1


async def test_with_a_device_and_a_refresh_token(server: TestServer) -> None:
    made = (
        await register(
            server.client(),
            "alice",
            device_id="PHONE",
            initial_device_display_name="Phone",
            refresh_token=True,
        )
    ).ok()
    assert made["device_id"] == "PHONE"
    assert made["expires_in_ms"] > 0
    (await server.client().post(f"{V3}/refresh", {"refresh_token": made["refresh_token"]})).ok()


async def test_a_name_is_given_once_however_many_want_it(server: TestServer) -> None:
    answers = await asyncio.gather(*(register(server.client(), "alice") for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]
    assert {answer.json["errcode"] for answer in answers if answer.status == 400} == {"M_USER_IN_USE"}


async def test_just_the_first_account_is_an_administrator(server: TestServer) -> None:
    (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()
    names = [f"user{number}" for number in range(6)]
    await asyncio.gather(*(register(server.client(), name) for name in names))
    accounts = [await server.server.accounts.find(f"@{name}:weft.test") for name in names]
    assert sum(account is not None and account.is_admin for account in accounts) == 1


async def test_who_is_made_an_administrator_counts_as_the_first(server: TestServer) -> None:
    accounts: AccountsService = server.server.accounts
    assert await accounts.create("@robot:weft.test", None, admin=False) == "@robot:weft.test"
    await accounts.create("@root:weft.test", "correct horse", admin=True)
    await accounts.create("@alice:weft.test", "correct horse")
    found = [await accounts.find(f"@{name}:weft.test") for name in ("robot", "root", "alice")]
    assert [account and account.is_admin for account in found] == [False, True, False]


async def test_application_services_are_refused(server: TestServer) -> None:
    body = {"type": "m.login.application_service", "username": "bot"}
    (await server.client().post(f"{V3}/register", body)).refused(401, "M_MISSING_TOKEN")


async def test_names_of_application_services_are_theirs(server: TestServer) -> None:
    engine, settings = server.server.engine, server.server.settings
    accounts = AccountsService(
        engine,
        settings,
        devices=DevicesService(engine.database, engine.outside.now_ms),
        ui_auth=UiAuthService(engine),
        is_reserved=lambda user_id: user_id.startswith("@irc_"),
    )
    accounts.check_name("@alice:weft.test")
    with pytest.raises(Exception, match="reserved") as refused:
        accounts.check_name("@irc_alice:weft.test")
    assert getattr(refused.value, "errcode", "") == "M_EXCLUSIVE"


# --- Closed, or with a token -----------------------------------------------------------------------------------------


async def test_closed(start_server: Start) -> None:
    server = await start_server({"registration": {"mode": "closed", "guests": False}})
    nobody = server.client()
    (await register(nobody, "alice")).refused(403, "M_FORBIDDEN")
    (await nobody.post(f"{V3}/register", {}, kind="guest")).refused(403, "M_FORBIDDEN")
    (await nobody.get(f"{V3}/register/available", username="alice")).refused(403, "M_FORBIDDEN")
    path = "/_matrix/client/v1/register/m.login.registration_token/validity"
    (await nobody.get(path, token="x")).refused(403, "M_FORBIDDEN")


async def with_tokens(start_server: Start, folder: Path, **more: Any) -> TestServer:
    file = folder / "tokens"
    file.write_text("# for friends\nopen-sesame\n\nswordfish\n")
    return await start_server({"registration": {"mode": "token", "token_file": str(file), **more}})


async def test_registration_tokens(start_server: Start, tmp_path: Path) -> None:
    server = await with_tokens(start_server, tmp_path)
    nobody = server.client()
    path = "/_matrix/client/v1/register/m.login.registration_token/validity"
    for token, valid in {"swordfish": True, "guess": False, "": False, "# for friends": False}.items():
        assert (await nobody.get(path, token=token)).ok() == {"valid": valid}
    challenge = (await register(nobody, "alice", auth=None)).json
    assert challenge["flows"] == [{"stages": ["m.login.registration_token"]}]
    auth = {"type": "m.login.registration_token", "session": challenge["session"]}
    wrong = await register(nobody, "alice", auth=auth | {"token": "guess"})
    assert wrong.refused(401, "M_FORBIDDEN")["session"] == challenge["session"]
    (await register(nobody, "alice", auth=auth)).refused(400, "M_MISSING_PARAM")
    (await register(nobody, "alice", auth=DUMMY | {"session": challenge["session"]})).refused(401, "M_FORBIDDEN")
    (await register(nobody, "alice", auth=auth | {"token": "swordfish"})).ok()


async def test_a_removed_token_is_good_no_longer(start_server: Start, tmp_path: Path) -> None:
    server = await with_tokens(start_server, tmp_path)
    auth = {"type": "m.login.registration_token", "token": "swordfish"}
    (await register(server.client(), "alice", auth=auth)).ok()
    (tmp_path / "tokens").write_text("open-sesame\n")
    (await register(server.client(), "bob", auth=auth)).refused(401, "M_FORBIDDEN")


# --- Terms -----------------------------------------------------------------------------------------------------------

TERMS = [
    {"id": "privacy", "version": "1.2", "language": "en", "name": "Privacy", "url": "https://weft.test/privacy"},
    {"id": "privacy", "version": "1.2", "language": "fr", "name": "Vie privée", "url": "https://weft.test/vie"},
    {"id": "rules", "version": "3", "language": "en", "name": "Rules", "url": "https://weft.test/rules"},
]


async def test_terms_are_accepted_and_written_down(start_server: Start) -> None:
    server = await start_server({"registration": {"terms": TERMS}})
    challenge = (await register(server.client(), "alice", auth=None)).json
    assert challenge["flows"] == [{"stages": ["m.login.terms"]}]
    policies = challenge["params"]["m.login.terms"]["policies"]
    assert policies["rules"] == {"version": "3", "en": {"name": "Rules", "url": "https://weft.test/rules"}}
    assert set(policies["privacy"]) == {"version", "en", "fr"}
    auth = {"type": "m.login.terms", "session": challenge["session"]}
    (await register(server.client(), "alice", auth=auth)).ok()
    rows = await server.server.engine.database.read(
        lambda tx: tx.all("SELECT user_id, document, version FROM accepted_terms ORDER BY document")
    )
    assert rows == [("@alice:weft.test", "privacy", "1.2"), ("@alice:weft.test", "rules", "3")]


async def test_a_token_and_terms_in_their_order(start_server: Start, tmp_path: Path) -> None:
    server = await with_tokens(start_server, tmp_path, terms=TERMS)
    nobody = server.client()
    challenge = (await register(nobody, "alice", auth=None)).json
    assert challenge["flows"] == [{"stages": ["m.login.registration_token", "m.login.terms"]}]
    session = {"session": challenge["session"]}
    (await register(nobody, "alice", auth={"type": "m.login.terms"} | session)).refused(401, "M_FORBIDDEN")
    half = await register(nobody, "alice", auth={"type": "m.login.registration_token", "token": "swordfish"} | session)
    assert half.status == 401
    assert half.json["completed"] == ["m.login.registration_token"]
    (await register(nobody, "alice", auth={"type": "m.login.terms"} | session)).ok()


# --- Guests ----------------------------------------------------------------------------------------------------------


async def guest(server: TestServer, **body: Any) -> Client:
    made = (await server.client().post(f"{V3}/register", body, kind="guest")).ok()
    return server.client(made["access_token"], user_id=made["user_id"], device_id=made["device_id"])


async def test_a_guest_has_a_session_and_little_more(server: TestServer) -> None:
    visitor = await guest(server, device_id="MINE", username="mine", initial_device_display_name="Browser")
    assert visitor.user_id != "@mine:weft.test"
    assert visitor.device_id != "MINE"
    assert (await visitor.get(f"{V3}/account/whoami")).ok()["is_guest"] is True
    assert (await visitor.get(f"{V3}/devices")).ok()["devices"][0]["display_name"] == "Browser"
    (await visitor.get(f"{V3}/capabilities")).refused(403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_a_guest_gets_a_full_account(server: TestServer) -> None:
    visitor = await guest(server)
    name = visitor.user_id[1:].partition(":")[0]
    (await register(server.client(), "other", guest_access_token=visitor.token)).refused(400, "M_INVALID_USERNAME")
    (await register(server.client(), None, guest_access_token=visitor.token)).refused(400, "M_MISSING_PARAM")
    made = (await register(server.client(), name, guest_access_token=visitor.token)).ok()
    assert made["user_id"] == visitor.user_id
    full = server.client(made["access_token"])
    assert "is_guest" not in (await full.get(f"{V3}/account/whoami")).ok()
    (await visitor.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    (await register(server.client(), name, guest_access_token=full.token)).refused(403, "M_FORBIDDEN")
    await server.login(name)
