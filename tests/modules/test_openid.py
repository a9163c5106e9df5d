"""Tokens by which users prove to others who they are."""

from __future__ import annotations

import pytest

from tests.modules.conftest import Start
from weft.modules.accounts import AccountsService
from weft.modules.devices import DevicesService
from weft.modules.openid import OpenIdService
from weft.modules.ui_auth import UiAuthService
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


@pytest.fixture
def openid(server: TestServer) -> OpenIdService:
    """The service as the federation side asks it, beside the server's own."""
    engine = server.server.engine
    devices = DevicesService(engine.database, engine.outside.now_ms)
    accounts = AccountsService(engine, server.settings, devices=devices, ui_auth=UiAuthService(engine))
    return OpenIdService(engine, accounts)


async def token(client: Client) -> str:
    made = (await client.post(f"{V3}/user/{client.user_id}/openid/request_token")).ok()
    assert (made["token_type"], made["matrix_server_name"], made["expires_in"]) == ("Bearer", "weft.test", 3600)
    access_token: str = made["access_token"]
    return access_token


async def test_a_token_tells_whose_it_is_for_an_hour(server: TestServer, openid: OpenIdService) -> None:
    alice = await server.user("alice")
    proof = await token(alice)
    assert await openid.user_of(proof) == alice.user_id
    assert await openid.user_of("guess") is None
    server.clock.advance(3601)
    assert await openid.user_of(proof) is None
    await openid.prune()


async def test_a_token_is_good_for_nothing_else(server: TestServer) -> None:
    proof = await token(await server.user("alice"))
    (await server.client(proof).get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


async def test_nobody_proves_to_be_somebody_else(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    (await alice.post(f"{V3}/user/{bob.user_id}/openid/request_token")).refused(403, "M_FORBIDDEN")


async def test_a_token_ends_with_the_account(start_server: Start, server: TestServer, openid: OpenIdService) -> None:
    alice = await server.user("alice")
    proof = await token(alice)
    await server.server.accounts.deactivate(alice.user_id, erase=False)
    assert await openid.user_of(proof) is None
