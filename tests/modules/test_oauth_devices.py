"""The device authorisation grant: a code on one device, typed in on another.

https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-flow
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.modules.browsing import BASE, FORM, SETTINGS, App, Browser, refused
from tests.modules.conftest import Start
from weft.protocol.oauth import clients, user_codes
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
SCOPE = "urn:matrix:client:api:* urn:matrix:client:device:TV12345678"


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server(SETTINGS)


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


class Tv(App):
    """A client that shows a code."""

    async def ask(self, scope: str = SCOPE) -> Answer:
        body = urlencode({"client_id": self.client_id, "scope": scope}).encode()
        return await self.http.request("POST", "/_weft/oauth/device", body=body, headers=FORM)

    async def poll(self, device_code: str, **parameters: str | None) -> Answer:
        return await self.token(grant_type=clients.DEVICE_GRANT, device_code=device_code, **parameters)


@pytest_asyncio.fixture
async def tv(server: TestServer) -> Tv:
    tv = Tv(server, {"client_name": "TV", "grant_types": [clients.DEVICE_GRANT, "refresh_token"], "redirect_uris": []})
    assert (await tv.register()).status == 201
    return tv


async def asked(tv: Tv) -> dict[str, Any]:
    return dict((await tv.ask()).ok())


# --- The whole way ---------------------------------------------------------------------------------------------------


async def test_somebody_signs_in_on_a_television(server: TestServer, alice: Client, tv: Tv) -> None:
    metadata = (await server.client().get("/_matrix/client/v1/auth_metadata")).ok()
    assert metadata["device_authorization_endpoint"] == f"{BASE}/_weft/oauth/device"
    assert clients.DEVICE_GRANT in metadata["grant_types_supported"]
    told = await asked(tv)
    assert told["verification_uri"] == f"{BASE}/_weft/link"
    assert told["verification_uri_complete"] == f"{BASE}/_weft/link?user_code={told['user_code']}"
    assert (told["expires_in"], told["interval"]) == (900, 5)
    refused(await tv.poll(told["device_code"]), "authorization_pending")
    browser = Browser(server)
    await browser.open("/_weft/link")
    assert browser.title == "Sign in"
    await browser.sign_in()
    assert browser.title == "Sign in on another device"
    await browser.open("/_weft/link?user_code=" + told["user_code"].lower().replace("-", "+"))
    assert browser.title == "Sign in to TV?"
    assert told["user_code"] in browser.text
    await browser.submit("allow")
    assert browser.title == "Done"
    server.clock.advance(5)
    tokens = (await tv.poll(told["device_code"])).ok()
    assert tokens["scope"] == SCOPE
    who = (await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")).ok()
    assert (who["user_id"], who["device_id"]) == (alice.user_id, "TV12345678")
    (await tv.refresh(tokens["refresh_token"])).ok()
    refused(await tv.poll(told["device_code"]), "invalid_grant")


async def test_a_link_with_the_code_in_it(server: TestServer, alice: Client, tv: Tv) -> None:
    told = await asked(tv)
    browser = Browser(server)
    await browser.open(told["verification_uri_complete"])
    await browser.sign_in()
    assert browser.title == "Sign in to TV?"
    await browser.submit("deny")
    assert "gets nothing" in browser.text
    refused(await tv.poll(told["device_code"]), "access_denied")
    await browser.open(told["verification_uri_complete"])
    assert browser.page.status == 404


async def test_who_asks_too_often_has_to_wait_longer(server: TestServer, alice: Client, tv: Tv) -> None:
    code = (await asked(tv))["device_code"]
    refused(await tv.poll(code), "authorization_pending")
    refused(await tv.poll(code), "slow_down")
    server.clock.advance(6)
    refused(await tv.poll(code), "slow_down")
    server.clock.advance(16)
    refused(await tv.poll(code), "authorization_pending")


async def test_a_code_expires(server: TestServer, alice: Client, tv: Tv) -> None:
    told = await asked(tv)
    browser = Browser(server)
    await browser.open(told["verification_uri_complete"])
    await browser.sign_in()
    server.clock.advance(901)
    await browser.submit("allow")
    assert browser.problem.startswith("This code is not known")
    refused(await tv.poll(told["device_code"]), "expired_token")


# --- What must not be possible ---------------------------------------------------------------------------------------


async def test_clients_that_may_not(server: TestServer, alice: Client, tv: Tv) -> None:
    app = Tv(server)
    await app.register()
    refused(await app.ask(), "unauthorized_client")
    told = await asked(tv)
    refused(await app.poll(told["device_code"]), "unauthorized_client")
    other = Tv(server, {**tv.metadata, "client_name": "Evil"})
    await other.register()
    refused(await other.poll(told["device_code"]), "invalid_grant")
    refused(await tv.poll(told["device_code"], client_id=None), "invalid_client", 401)
    refused(await tv.poll("guessed"), "invalid_grant")
    refused(await tv.poll(""), "invalid_request")
    refused(await tv.poll(told["user_code"]), "invalid_grant")
    for scope in ("", "openid", "urn:matrix:client:api:*"):
        refused(await tv.ask(scope), "invalid_scope")


async def test_nobody_decides_who_was_not_asked(server: TestServer, alice: Client, tv: Tv) -> None:
    told = await asked(tv)
    stranger, browser = Browser(server), Browser(server)
    await stranger.open(told["verification_uri_complete"])
    await stranger.submit("allow")
    assert stranger.title == "Sign in"
    assert "TV" not in stranger.text
    await browser.open(told["verification_uri_complete"])
    await browser.sign_in()
    await browser.submit("allow", csrf=stranger.csrf)
    assert browser.page.status == 403
    assert "form-action 'self';" in browser.page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in browser.page.headers["content-security-policy"]
    refused(await tv.poll(told["device_code"]), "authorization_pending")
    # Who has decided first has decided.
    await server.user("bob")
    bob = Browser(server)
    await bob.open(told["verification_uri_complete"])
    await bob.sign_in("bob")
    await browser.submit("allow")
    await bob.submit("deny")
    assert bob.page.status == 404
    server.clock.advance(5)
    assert (await tv.poll(told["device_code"])).status == 200


async def test_what_somebody_allowed_ends_with_their_password(server: TestServer, alice: Client, tv: Tv) -> None:
    told = await asked(tv)
    browser = Browser(server)
    await browser.open(told["verification_uri_complete"])
    await browser.sign_in()
    await browser.submit("allow")
    await browser.open("/_weft/account?action=password")
    await browser.submit("do", password="battery staple")
    assert browser.title == "Done"
    refused(await tv.poll(told["device_code"]), "invalid_grant")


async def test_codes_are_not_guessed(start_server: Start) -> None:
    limits = {"enabled": True, "user_code": {"per_second": 0.001, "burst": 3}}
    server = await start_server({**SETTINGS, "rate_limits": limits})
    await server.user("alice")
    browser = Browser(server)
    await browser.open("/_weft/link")
    await browser.sign_in()
    # Two processes count for themselves: of seven tries one of them has had four.
    statuses = [(await browser.open("/_weft/link?user_code=BCDF-GHJK")).status for _ in range(7)]
    assert 429 in statuses
    assert 404 in statuses


@pytest.mark.parametrize("text", ["", "x", "AAAA-AAAA", "BCDF-GHJ", "BCDF-GHJKL", "ßßßßßßßß", "B" * 1000, "٣" * 8])
def test_what_is_no_code(text: str) -> None:
    assert user_codes.read(text) is None


def test_codes_are_read_as_people_write_them() -> None:
    code = user_codes.made_of(bytes(range(16)))
    assert user_codes.read(user_codes.shown(code)) == code
    assert user_codes.read(f" {code[:3].lower()} {code[3:]}.") == code
    assert len({user_codes.made_of(bytes([n] * 16)) for n in range(256)}) == 256
