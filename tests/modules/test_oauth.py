"""Logging in by the OAuth 2.0 API: clients, codes, tokens, and the pages on which people consent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.modules.browsing import BASE, PASSWORD, SETTINGS, App, Browser, answered, refused
from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
METADATA = "/_matrix/client/v1/auth_metadata"


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server(SETTINGS)


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


async def whoami(server: TestServer, token: str) -> Any:
    return (await server.client(token).get(f"{V3}/account/whoami")).json


# --- Discovery -------------------------------------------------------------------------------------------------------


async def test_the_server_says_where_it_is_asked(server: TestServer) -> None:
    told = (await server.client().get(METADATA)).ok()
    assert told["issuer"] == f"{BASE}/"
    for name in ("authorization", "token", "revocation", "registration"):
        assert told[f"{name}_endpoint"].startswith(f"{BASE}/_weft/oauth/")
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["prompt_values_supported"] == ["create"]
    assert told["authorization_response_iss_parameter_supported"] is True
    for path in ("/_matrix/client/unstable/org.matrix.msc2965/auth_metadata", "/.well-known/openid-configuration"):
        assert (await server.client().get(path)).ok() == told
    issuer = await server.client().get("/_matrix/client/unstable/org.matrix.msc2965/auth_issuer")
    assert issuer.ok() == {"issuer": f"{BASE}/"}


async def test_a_closed_server_makes_no_accounts(start_server: Start) -> None:
    server = await start_server({**SETTINGS, "registration": {"mode": "closed"}})
    assert "prompt_values_supported" not in (await server.client().get(METADATA)).ok()
    app = App(server)
    await app.register()
    browser = Browser(server)
    await browser.open(app.address(prompt="create"))
    assert browser.title == "Sign in"
    assert "Create an account" not in browser.text
    await browser.submit("register", user="eve", password=PASSWORD)
    assert "closed" in browser.problem


async def test_it_is_not_offered_without_an_address_or_where_it_is_switched_off(start_server: Start) -> None:
    settings: tuple[dict[str, Any], ...] = ({}, {**SETTINGS, "oauth": {"enabled": False}})
    for each in settings:
        client = (await start_server(each)).client()
        (await client.get(METADATA)).refused(404, "M_UNRECOGNIZED")
        (await client.get("/_weft/oauth/authorize")).refused(404, "M_UNRECOGNIZED")
        (await client.post("/_weft/oauth/register")).refused(404, "M_UNRECOGNIZED")
        (await client.post("/_weft/oauth/token")).refused(404, "M_UNRECOGNIZED")
        versions = (await client.get("/_matrix/client/versions")).ok()
        assert "org.matrix.msc2965" not in versions["unstable_features"]


async def test_both_ways_of_logging_in_are_there(server: TestServer, alice: Client) -> None:
    assert (await server.client().get(f"{V3}/login")).ok()["flows"] == [{"type": "m.login.password"}]
    versions = (await server.client().get("/_matrix/client/versions")).ok()
    assert versions["unstable_features"]["org.matrix.msc2965"] is True


# --- Clients ---------------------------------------------------------------------------------------------------------


async def test_a_client_registers_and_is_told_what_was_kept(server: TestServer) -> None:
    app = App(server)
    app.metadata = {"grant_types": ["authorization_code", "refresh_token", "implicit"], "client_name#fr": "Exemple"}
    answer = await app.register()
    assert answer.status == 201
    assert answer.json == {
        "client_id": app.client_id,
        "client_name": "Example",
        "client_uri": "https://example.com/",
        "redirect_uris": ["https://app.example.com/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
    }


async def test_copies_of_a_client_are_one(server: TestServer) -> None:
    first, second, other = App(server), App(server), App(server, {"client_name": "Other"})
    for app in (first, second, other):
        await app.register()
    assert first.client_id == second.client_id != other.client_id


async def test_a_client_with_a_session_is_never_forgotten(server: TestServer, alice: Client) -> None:
    kept, unused = App(server), App(server, {"client_name": "Other"})
    await kept.log_in(Browser(server))
    await unused.register()
    server.clock.advance(31 * 86_400)
    for module in server.server.modules:
        for task in module.tasks:
            if module.name == "oauth":
                await task.run()
    browser = Browser(server)
    assert (await browser.open(kept.address())).status == 200
    assert (await browser.open(unused.address())).status == 400


# --- The whole way ---------------------------------------------------------------------------------------------------


async def test_somebody_logs_in(server: TestServer, alice: Client) -> None:
    app, browser = App(server), Browser(server)
    await app.register()
    await browser.open(app.address())
    assert browser.title == "Sign in"
    assert "Example (example.com)" in browser.text
    await browser.sign_in(password="wrong horse")
    assert browser.page.status == 403
    assert browser.problem == "The user name or the password is wrong."
    await browser.sign_in()
    assert browser.title == "Sign in to Example?"
    for shown in ("@alice:weft.test", "example.com", "app.example.com", app.device_id):
        assert shown in browser.text
    answer = await browser.submit("allow")
    assert answer.headers["location"].startswith("https://app.example.com/callback#")
    told = answered(answer)
    assert told["state"] == "its state"
    assert told["iss"] == f"{BASE}/"
    tokens = (await app.redeem(told["code"])).ok()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == f"urn:matrix:client:api:* urn:matrix:client:device:{app.device_id}"
    who = await whoami(server, tokens["access_token"])
    assert (who["user_id"], who["device_id"]) == ("@alice:weft.test", app.device_id)
    devices = (await alice.get(f"{V3}/devices")).ok()["devices"]
    assert {"device_id": app.device_id, "display_name": "Example"}.items() <= devices[-1].items()


async def test_somebody_who_is_signed_in_only_consents(server: TestServer, alice: Client) -> None:
    browser = Browser(server)
    await App(server).log_in(browser)
    other = App(server, {"client_name": "Other"}, device_id="OTHER12345")
    await other.register()
    await browser.open(other.address())
    assert browser.title == "Sign in to Other?"
    await browser.submit("sign_out")
    assert browser.title == "Sign in"


async def test_somebody_who_does_not_agree(server: TestServer, alice: Client) -> None:
    app, browser = App(server), Browser(server)
    await app.register()
    await browser.open(app.address(response_mode="query"))
    await browser.sign_in()
    answer = await browser.submit("deny")
    assert answer.headers["location"].startswith("https://app.example.com/callback?")
    assert answered(answer)["error"] == "access_denied"
    assert answered(answer)["state"] == "its state"


async def test_somebody_without_an_account_makes_one(server: TestServer) -> None:
    app, browser = App(server), Browser(server)
    await app.register()
    await browser.open(app.address(prompt="create"))
    assert browser.title == "Create your account"
    await browser.submit("register", user="Bob", password="short")
    assert "characters" in browser.problem
    await browser.submit("register", user="Bob", password=PASSWORD)
    assert browser.title == "Sign in to Example?"
    tokens = (await app.redeem(answered(await browser.submit("allow"))["code"])).ok()
    assert (await whoami(server, tokens["access_token"]))["user_id"] == "@bob:weft.test"


async def test_registering_asks_for_a_token_and_for_consent_to_the_terms(start_server: Start, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("invited\n")
    terms = [
        {"id": "privacy", "version": "1", "language": language, "name": language, "url": "https://weft.test/privacy"}
        for language in ("en", "de")
    ]
    registration = {"mode": "token", "token_file": str(tmp_path / "tokens"), "terms": terms}
    server = await start_server({**SETTINGS, "registration": registration})
    app, browser = App(server), Browser(server)
    await app.register()
    await browser.open(app.address(prompt="create"))
    assert browser.text.count('name="accepted"') == 1
    await browser.submit("register", user="bob", password=PASSWORD, token="guessed", accepted="privacy")
    assert browser.problem == "This registration token is not known, or was used up."
    await browser.submit("register", user="bob", password=PASSWORD, token="invited")
    assert browser.problem == "Please accept each of the documents."
    await browser.submit("register", user="bob", password=PASSWORD, token="invited", accepted="privacy")
    assert browser.title == "Sign in to Example?"


async def test_a_native_client_is_answered_on_the_device(server: TestServer, alice: Client) -> None:
    browser = Browser(server)
    for uri, used in (
        ("com.example.app:/callback", "com.example.app:/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:4711/callback"),
        ("http://[::1]/callback", "http://[::1]:4711/callback"),
    ):
        app = App(server, {"application_type": "native"}, redirect_uri=uri)
        await app.register()
        app.redirect_uri = used
        answer = await _consent(browser, app, response_mode="query")
        assert answer.headers["location"].startswith(f"{used}?code=")
        (await app.redeem(answered(answer)["code"])).ok()


async def _consent(browser: Browser, app: App, **parameters: str) -> Any:
    await browser.open(app.address(**parameters))
    if browser.title == "Sign in":
        await browser.sign_in()
    return await browser.submit("allow")


async def test_the_scopes_from_before_the_specification(server: TestServer, alice: Client) -> None:
    app, browser = App(server), Browser(server)
    await app.register()
    scope = (
        "openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:OLD1234567 email"
    )
    tokens = (await app.redeem(await app.code(browser, scope=scope, nonce="its nonce"))).ok()
    assert tokens["scope"] == scope.removesuffix(" email")
    assert (await whoami(server, tokens["access_token"]))["device_id"] == "OLD1234567"
    header, claims, _ = (json.loads(_decoded(part)) if i < 2 else part for i, part in enumerate(_jwt(tokens)))
    assert claims["sub"] == "@alice:weft.test"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (f"{BASE}/", app.client_id, "its nonce")
    keys = (await server.client().get("/_weft/oauth/keys")).ok()["keys"]
    assert [key["kid"] for key in keys] == [header["kid"]]
    assert "d" not in keys[0]


def _jwt(tokens: dict[str, Any]) -> list[str]:
    return str(tokens["id_token"]).split(".")


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_device_that_is_there_is_taken_over(server: TestServer, alice: Client) -> None:
    app, browser = App(server, device_id=alice.device_id), Browser(server)
    await app.register()
    await browser.open(app.address())
    await browser.sign_in()
    assert "take the place of a device" in browser.text
    (await app.redeem(answered(await browser.submit("allow"))["code"])).ok()
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


# --- Tokens ----------------------------------------------------------------------------------------------------------


async def test_tokens_expire_and_are_refreshed(server: TestServer, alice: Client) -> None:
    app = App(server)
    tokens = await app.log_in(Browser(server))
    server.clock.advance(3601)
    expired = await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")
    assert expired.refused(401, "M_UNKNOWN_TOKEN")["soft_logout"] is True
    new = (await app.refresh(tokens["refresh_token"])).ok()
    assert new.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    # Until one of the new tokens is used the request may be repeated: its answer may have been lost.
    again = (await app.refresh(tokens["refresh_token"])).ok()
    assert (await whoami(server, again["access_token"]))["device_id"] == app.device_id
    third = (await app.refresh(again["refresh_token"])).ok()
    assert (await whoami(server, third["access_token"]))["device_id"] == app.device_id


async def test_logging_out(server: TestServer, alice: Client) -> None:
    for kind in ("access_token", "refresh_token"):
        app = App(server)
        tokens = await app.log_in(Browser(server))
        assert (await app.revoke(tokens[kind], client_id=app.client_id)).status == 200
        (await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
        refused(await app.refresh(tokens["refresh_token"]), "invalid_grant")
        assert [each["device_id"] for each in (await alice.get(f"{V3}/devices")).ok()["devices"]] == [alice.device_id]
        # Once more, and without saying whose it is: it is as it should be.
        assert (await app.revoke(tokens[kind])).status == 200
    refused(await App(server).token(), "invalid_request")


async def test_a_leaked_token_is_revoked_for_whoever_found_it(server: TestServer, alice: Client) -> None:
    tokens = await App(server).log_in(Browser(server))
    assert (await App(server).revoke(tokens["access_token"], client_id="somebody else's")).status == 200
    (await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


async def test_the_legacy_api_is_apart(server: TestServer, alice: Client) -> None:
    app = App(server)
    tokens = await app.log_in(Browser(server))
    body = {"refresh_token": tokens["refresh_token"]}
    (await server.client().post(f"{V3}/refresh", body)).refused(401, "M_UNKNOWN_TOKEN")
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": PASSWORD,
        "refresh_token": True,
    }
    legacy = (await server.client().post(f"{V3}/login", login)).ok()
    refused(await app.refresh(legacy["refresh_token"]), "invalid_grant")
    (await server.client().post(f"{V3}/refresh", {"refresh_token": legacy["refresh_token"]})).ok()
    # It was not an attack: the session goes on.
    assert (await app.refresh(tokens["refresh_token"])).status == 200


async def test_a_session_ends_by_the_ordinary_endpoint_too(server: TestServer, alice: Client) -> None:
    app = App(server)
    tokens = await app.log_in(Browser(server))
    (await server.client(tokens["access_token"]).post(f"{V3}/logout")).ok()
    refused(await app.refresh(tokens["refresh_token"]), "invalid_grant")


async def test_who_is_locked_or_has_left_gets_no_tokens(server: TestServer, alice: Client) -> None:
    bob = await server.user("bob")
    app, browser, other = App(server), Browser(server), Browser(server)
    tokens = await app.log_in(browser, "bob")
    code = await app.code(other, "bob")
    admin = alice  # the first account of a server
    (await admin.put(f"/_matrix/client/v1/admin/lock/{bob.user_id}", {"locked": True})).ok()
    refused(await app.refresh(tokens["refresh_token"]), "invalid_grant")
    await browser.open(app.address())
    assert browser.title == "Sign in"
    await browser.sign_in("bob")
    assert "locked" in browser.problem
    (await admin.put(f"/_matrix/client/v1/admin/lock/{bob.user_id}", {"locked": False})).ok()
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}, "password": PASSWORD}
    (await bob.post(f"{V3}/account/deactivate", {"auth": auth})).ok()
    refused(await app.redeem(code), "invalid_grant")
    await browser.sign_in("bob")
    assert "deactivated" in browser.problem


async def test_another_password_signs_browsers_out(server: TestServer, alice: Client) -> None:
    app, browser = App(server), Browser(server)
    await app.log_in(browser)
    code = await app.code(browser)
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": PASSWORD}
    (await alice.post(f"{V3}/account/password", {"new_password": "battery staple", "auth": auth})).ok()
    await browser.open(app.address())
    assert browser.title == "Sign in"
    refused(await app.redeem(code), "invalid_grant")


# --- Consent in stages -----------------------------------------------------------------------------------------------


async def test_an_app_that_never_sees_the_password_is_not_asked_for_it(server: TestServer, alice: Client) -> None:
    app = App(server)
    session = server.client((await app.log_in(Browser(server)))["access_token"])
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": PASSWORD}
    for body in ({}, {"auth": auth}):
        (await session.delete(f"{V3}/devices/{alice.device_id}", body)).refused(403, "M_FORBIDDEN")
        (await session.post(f"{V3}/delete_devices", {"devices": [], **body})).refused(403, "M_FORBIDDEN")
        (await session.post(f"{V3}/account/deactivate", body)).refused(403, "M_FORBIDDEN")
        change = {"new_password": "battery staple", **body}
        (await session.post(f"{V3}/account/password", change)).refused(403, "M_FORBIDDEN")
    assert (await whoami(server, alice.token or ""))["user_id"] == alice.user_id
