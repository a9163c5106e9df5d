"""The page on which people look after their account, and consent for apps that never see their password.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.modules.browsing import BASE, PASSWORD, SETTINGS, App, Browser
from tests.modules.conftest import Start
from tests.modules.encryption import Identity
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
ACTIONS = ["profile", "devices_list", "device_view", "device_delete", "account_deactivate", "cross_signing_reset"]


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server(SETTINGS)


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


@pytest_asyncio.fixture
async def browser(server: TestServer, alice: Client) -> Browser:
    """Alice's, signed in."""
    browser = Browser(server)
    await browser.open("/_weft/account")
    assert browser.title == "Sign in"
    await browser.sign_in()
    assert browser.title == "Your account"
    return browser


def address(action: str, **parameters: str) -> str:
    return "/_weft/account?" + urlencode({"action": action, **parameters})


# --- Views -----------------------------------------------------------------------------------------------------------


async def test_apps_know_where_to_link_to(server: TestServer) -> None:
    told = (await server.client().get("/_matrix/client/v1/auth_metadata")).ok()
    assert told["account_management_uri"] == f"{BASE}/_weft/account"
    assert told["account_management_actions_supported"] == [f"org.matrix.{action}" for action in ACTIONS]


async def test_every_view_asks_who_it_is(server: TestServer, alice: Client) -> None:
    for action in ("", *(f"org.matrix.{action}" for action in ACTIONS), "password", "nonsense"):
        stranger = Browser(server)
        await stranger.open(address(action, device_id=alice.device_id))
        assert stranger.title == "Sign in"
        await stranger.submit("do", name="x", password="battery staple", sure="yes")
        assert stranger.title == "Sign in"


async def test_a_name(server: TestServer, alice: Client, browser: Browser) -> None:
    room_id = await alice.create_room()
    await browser.open(address("org.matrix.profile"))
    assert 'value="alice"' in browser.text
    await browser.submit("do", name='Alice "A" <b>')
    assert browser.title == "Done"
    shown = (await alice.get(f"{V3}/profile/{alice.user_id}/displayname")).ok()
    assert shown == {"displayname": 'Alice "A" <b>'}
    member = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.member/{alice.user_id}")).ok()
    assert member["displayname"] == 'Alice "A" <b>'
    await browser.open(address("profile"))
    assert "&lt;b&gt;" in browser.text
    await browser.submit("do", name="x" * 300)
    assert "256" in browser.problem
    await browser.submit("do", name="")
    assert (await alice.get(f"{V3}/profile/{alice.user_id}")).ok() == {}


async def test_who_is_suspended_keeps_their_name(server: TestServer, alice: Client) -> None:
    await server.user("bob")
    await alice.put("/_matrix/client/v1/admin/suspend/@bob:weft.test", {"suspended": True})
    browser = Browser(server)
    await browser.open(address("org.matrix.profile"))
    await browser.sign_in("bob")
    await browser.submit("do", name="Robert")
    assert "suspended" in browser.problem


@pytest.mark.parametrize("prefix", ["org.matrix.session", "session"])
async def test_the_names_that_actions_had(server: TestServer, alice: Client, browser: Browser, prefix: str) -> None:
    for name, title in (("s_list", "Your devices"), ("_view", "Device"), ("_end", "Sign out a device?")):
        await browser.open(address(prefix + name, device_id=alice.device_id))
        assert browser.title == title


async def test_devices(server: TestServer, alice: Client, browser: Browser) -> None:
    app = App(server)
    tokens = await app.log_in(browser)
    await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")
    await browser.open(address("org.matrix.devices_list"))
    assert "Example" in browser.text
    assert browser.text.count("org.matrix.device_view") == 2
    await browser.open(address("org.matrix.device_view", device_id=app.device_id))
    for shown in ("Example", app.device_id, "from 127.0.0.1", "weft-testing", "14 November 2023"):
        assert shown in browser.text
    await browser.submit("do", name="Kitchen")
    assert browser.title == "Your devices"
    assert "Kitchen" in browser.text
    await browser.open(address("org.matrix.device_delete", device_id=app.device_id))
    assert browser.title == "Sign out a device?"
    await browser.submit("do")
    assert browser.title == "Done"
    (await server.client(tokens["access_token"]).get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    assert (await alice.get(f"{V3}/account/whoami")).status == 200


@pytest.mark.parametrize("device_id", ["", "nobody's", "<script>", "x" * 5000])
async def test_a_device_that_is_not_there(browser: Browser, device_id: str) -> None:
    for action in ("org.matrix.device_view", "org.matrix.device_delete"):
        await browser.open(address(action, device_id=device_id))
        assert browser.page.status == 404
        assert browser.title == "Your devices"


async def test_another_users_device(server: TestServer, browser: Browser) -> None:
    bob = await server.user("bob")
    await browser.open(address("org.matrix.device_delete", device_id=bob.device_id))
    assert browser.page.status == 404
    await browser.submit("do", csrf=await _csrf(browser))
    assert (await bob.get(f"{V3}/account/whoami")).status == 200


async def _csrf(browser: Browser) -> str:
    """What the browser's forms carry, taken from a page that has one."""
    here = browser.url
    await browser.open("/_weft/account")
    found = browser.csrf
    await browser.open(here)
    return found


# --- Proof -----------------------------------------------------------------------------------------------------------


async def test_what_can_not_be_taken_back_asks_for_proof(server: TestServer, alice: Client, browser: Browser) -> None:
    server.clock.advance(11 * 60)
    await browser.open("/_weft/account")
    assert browser.title == "Your account"
    for action in ("org.matrix.device_delete", "org.matrix.account_deactivate", "password"):
        await browser.open(address(action, device_id=alice.device_id))
        assert browser.title == "Confirm that it is you"
        await browser.submit("do", sure="yes", password="battery staple")
        assert browser.title == "Confirm that it is you"
    assert (await alice.get(f"{V3}/account/whoami")).status == 200
    await browser.submit("sign_in", user=alice.user_id, password="wrong")
    assert browser.page.status == 403
    await browser.submit("sign_in", user=alice.user_id, password=PASSWORD)
    assert browser.title == "Change your password"


async def test_forms_of_other_sites_do_nothing(server: TestServer, alice: Client, browser: Browser) -> None:
    other = Browser(server)
    await other.open("/_weft/account")
    deeds: dict[str, dict[str, str]] = {
        "org.matrix.profile": {"name": "Eve"},
        "org.matrix.device_view": {"name": "Eve"},
        "org.matrix.device_delete": {},
        "org.matrix.account_deactivate": {"sure": "yes"},
        "password": {"password": "battery staple"},
        "": {"step": "sign_out"},
    }
    for action, fields in deeds.items():
        for csrf in ("", other.csrf):
            await browser.open(address(action, device_id=alice.device_id))
            await browser.submit(**{"step": "do", **fields}, csrf=csrf)
            assert browser.page.status == 403
            assert "frame-ancestors 'none'" in browser.page.headers["content-security-policy"]
    assert (await alice.get(f"{V3}/devices")).ok()["devices"][0].get("display_name") != "Eve"
    assert (await alice.get(f"{V3}/profile/{alice.user_id}")).ok() == {"displayname": "alice"}
    await browser.open("/_weft/account")
    assert browser.title == "Your account"


async def test_a_link_alone_does_nothing(alice: Client, browser: Browser) -> None:
    for action in ("org.matrix.device_delete", "org.matrix.account_deactivate"):
        await browser.open(address(action, device_id=alice.device_id, step="do", sure="yes"))
    assert (await alice.get(f"{V3}/account/whoami")).status == 200


async def test_signing_out(server: TestServer, browser: Browser) -> None:
    await browser.submit("sign_out")
    assert browser.title == "Sign in"


async def test_another_password(server: TestServer, alice: Client, browser: Browser) -> None:
    other = Browser(server)
    await other.open("/_weft/account")
    await other.sign_in()
    await browser.open(address("password"))
    await browser.submit("do", password="short")
    assert "characters" in browser.problem
    await browser.submit("do", password="battery staple")
    assert browser.title == "Done"
    await browser.open("/_weft/account")
    assert browser.title == "Your account"
    await other.open("/_weft/account")
    assert other.title == "Sign in"
    await other.sign_in(password="battery staple")
    assert other.title == "Your account"
    assert (await alice.get(f"{V3}/account/whoami")).status == 200
    await browser.open(address("password"))
    await browser.submit("do", password="correct battery", end="yes")
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")


async def test_deactivating(server: TestServer, alice: Client, browser: Browser) -> None:
    await browser.open(address("org.matrix.account_deactivate"))
    await browser.submit("do")
    assert browser.problem == "Please tick the box if you are sure."
    await browser.submit("do", sure="yes")
    assert browser.title == "Your account is deactivated"
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    await browser.open("/_weft/account")
    assert browser.title == "Sign in"


# --- Consent for apps ------------------------------------------------------------------------------------------------


async def _reset(server: TestServer, app: App, browser: Browser) -> tuple[Client, dict[str, Any], dict[str, Any]]:
    """An app of Alice's that has cross-signing keys and wants to replace them: it, what it sends, what it is told."""
    token = (await app.log_in(browser))["access_token"]
    client = server.client(token, user_id="@alice:weft.test", device_id=app.device_id)
    upload = f"{V3}/keys/device_signing/upload"
    (await client.post(upload, Identity("@alice:weft.test", "1").body("master"))).ok()
    new = Identity("@alice:weft.test", "2").body("master")
    answer = await client.post(upload, new)
    assert answer.status == 401
    return client, new, dict(answer.json)


async def test_an_app_resets_the_identity(server: TestServer, alice: Client, browser: Browser) -> None:
    client, new, told = await _reset(server, App(server), browser)
    assert told["flows"] == [{"stages": ["m.oauth"]}, {"stages": ["org.matrix.cross_signing_reset"]}]
    url = told["params"]["m.oauth"]["url"]
    assert url.startswith(f"{BASE}/_weft/account?action=org.matrix.cross_signing_reset&session=")
    assert told["params"]["org.matrix.cross_signing_reset"] == {"url": url}
    auth = {"auth": {"session": told["session"]}}
    upload = f"{V3}/keys/device_signing/upload"
    # Before the user has consented nothing does it: not the password, not the name of the stage.
    password = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": PASSWORD}
    for more in ({}, {"type": "m.oauth"}, {"type": "org.matrix.cross_signing_reset"}, password):
        assert (await client.post(upload, {**new, "auth": {**auth["auth"], **more}})).status == 401
    fallback = f"{V3}/auth/m.oauth/fallback/web?session={told['session']}"
    assert (await server.client().get(fallback)).headers["location"] == url
    await browser.open(url)
    assert browser.title == "Reset your digital identity?"
    await browser.submit("do")
    assert browser.title == "Done"
    (await client.post(upload, {**new, **auth})).ok()
    keys = (await client.post(f"{V3}/keys/query", {"device_keys": {alice.user_id: []}})).ok()
    assert keys["master_keys"][alice.user_id]["keys"] == new["master_key"]["keys"]
    # Once.
    another = Identity(alice.user_id, "3").body("master")
    assert (await client.post(upload, {**another, **auth})).status in (400, 401)


async def test_only_its_user_consents_to_a_reset(server: TestServer, alice: Client, browser: Browser) -> None:
    client, new, told = await _reset(server, App(server), browser)
    await server.user("bob")
    bob = Browser(server)
    await bob.open(told["params"]["m.oauth"]["url"])
    await bob.sign_in("bob")
    assert "begins in an app" in bob.text
    await bob.submit("do", csrf=await _csrf(bob))
    assert bob.page.status == 404
    await browser.open(told["params"]["m.oauth"]["url"])
    await browser.submit("do", csrf="")
    assert browser.page.status == 403
    auth = {"auth": {"session": told["session"]}}
    assert (await client.post(f"{V3}/keys/device_signing/upload", {**new, **auth})).status == 401


async def test_a_reset_that_no_app_asks_for(server: TestServer, alice: Client, browser: Browser) -> None:
    legacy = await alice.post(f"{V3}/delete_devices", {"devices": [alice.device_id]})
    for session in ("", "unknown", legacy.json["session"]):
        await browser.open(address("org.matrix.cross_signing_reset", session=session))
        assert "begins in an app" in browser.text
        await browser.submit("do", csrf=await _csrf(browser))
        assert browser.page.status == 404
