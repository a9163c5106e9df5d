"""What must not be possible with the OAuth 2.0 API, each tried.

https://www.rfc-editor.org/rfc/rfc9700#section-4
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.modules.browsing import PASSWORD, SETTINGS, VERIFIER, App, Browser, answered, challenge, refused
from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server(SETTINGS)


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


@pytest_asyncio.fixture
async def app(server: TestServer) -> App:
    app = App(server)
    await app.register()
    return app


async def is_logged_in(server: TestServer, token: str) -> bool:
    return (await server.client(token).get(f"{V3}/account/whoami")).status == 200


# --- Where people are sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.org/",
        "https://app.example.com/callback/../evil",
        "https://app.example.com/callback?next=https://evil.org/",
        "https://app.example.com@evil.org/callback",
        "//evil.org",
        "javascript:alert(1)",
        "",
    ],
)
async def test_no_open_redirect(server: TestServer, app: App, uri: str) -> None:
    browser = Browser(server)
    for changes in ({}, {"scope": "nonsense"}, {"code_challenge": None}, {"response_type": "token"}):
        answer = await browser.open(app.address(redirect_uri=uri, **changes))
        assert answer.status == 400
        assert "location" not in answer.headers
        assert answer.headers["content-type"].startswith("text/html")


async def test_a_client_that_is_not_known_sends_nobody_anywhere(server: TestServer, app: App) -> None:
    for client_id in ("unknown", "", None):
        answer = await Browser(server).open(app.address(client_id=client_id))
        assert answer.status in (400, 401)
        assert "location" not in answer.headers
    twice = app.address() + f"&client_id={app.client_id}"
    assert (await Browser(server).open(twice)).status == 400


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "https://evil.org/", "http://example.com/"])
async def test_clients_with_dangerous_addresses_are_not_registered(server: TestServer, uri: str) -> None:
    for kind in ("web", "native"):
        refused(await App(server, {"application_type": kind}, redirect_uri=uri).register(), "invalid_redirect_uri")
    for name in ("logo_uri", "tos_uri", "policy_uri"):
        refused(await App(server, {name: uri}).register(), "invalid_client_metadata")
    assert (await App(server, {"client_uri": uri}).register()).status == 400


async def test_registration_of_nonsense(server: TestServer) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 9000, b'{"client_uri": "\\ud800"}', b"null"):
        answer = await server.client().request("POST", "/_weft/oauth/register", body=body)
        refused(answer, "invalid_client_metadata")
    too_large = await App(server, {"client_name": "x" * 20_000}).register()
    too_large.refused(413, "M_TOO_LARGE")


# --- Codes -----------------------------------------------------------------------------------------------------------


async def test_a_code_used_twice_ends_the_session(server: TestServer, alice: Client, app: App) -> None:
    code = await app.code(Browser(server))
    tokens = (await app.redeem(code)).ok()
    new = (await app.refresh(tokens["refresh_token"])).ok()
    assert await is_logged_in(server, new["access_token"])
    refused(await app.redeem(code), "invalid_grant")
    assert not await is_logged_in(server, new["access_token"])
    refused(await app.refresh(new["refresh_token"]), "invalid_grant")
    assert await is_logged_in(server, alice.token or "")


async def test_a_code_used_twice_leaves_a_later_session_alone(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    first, second = await app.code(browser), await app.code(browser)
    (await app.redeem(first)).ok()
    # The same device, logged in anew.
    tokens = (await app.redeem(second)).ok()
    refused(await app.redeem(first), "invalid_grant")
    assert await is_logged_in(server, tokens["access_token"])


async def test_a_code_is_good_for_a_minute(server: TestServer, alice: Client, app: App) -> None:
    code = await app.code(Browser(server))
    server.clock.advance(61)
    refused(await app.redeem(code), "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": challenge(VERIFIER)},
        {"redirect_uri": "https://app.example.com/other"},
    ],
)
async def test_a_code_is_used_up_by_a_wrong_try(
    server: TestServer, alice: Client, app: App, changes: dict[str, str]
) -> None:
    code = await app.code(Browser(server))
    refused(await app.redeem(code, **changes), "invalid_grant")
    refused(await app.redeem(code), "invalid_grant")


async def test_what_is_missing_is_said_and_uses_nothing_up(server: TestServer, alice: Client, app: App) -> None:
    code = await app.code(Browser(server))
    for value in (None, ""):
        refused(await app.redeem(value), "invalid_request")
        for name in ("redirect_uri", "code_verifier"):
            refused(await app.redeem(code, **{name: value}), "invalid_request")
    refused(await app.redeem(code, grant_type=None), "invalid_request")
    refused(await app.redeem(code, grant_type="password"), "unsupported_grant_type")
    refused(await app.redeem(code, client_id=None), "invalid_client", 401)
    (await app.redeem(code)).ok()


async def test_another_clients_code(server: TestServer, alice: Client, app: App) -> None:
    other = App(server, {"client_name": "Evil", "redirect_uris": [app.redirect_uri]})
    await other.register()
    code = await app.code(Browser(server))
    refused(await other.redeem(code), "invalid_grant")
    refused(await other.redeem(code, client_id="unknown"), "invalid_client", 401)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge": ""},
    ],
)
async def test_no_code_without_a_proof(server: TestServer, alice: Client, app: App, changes: Any) -> None:
    answer = await Browser(server).open(app.address(**changes))
    told = answered(answer)
    assert told["error"] == "invalid_request"
    assert told["state"] == "its state"
    assert "code" not in told


async def test_every_answer_says_who_answers(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    issuer = (await server.client().get("/_matrix/client/v1/auth_metadata")).ok()["issuer"]
    await browser.open(app.address())
    await browser.sign_in()
    assert answered(await browser.submit("allow"))["iss"] == issuer
    await browser.open(app.address())
    assert answered(await browser.submit("deny"))["iss"] == issuer
    assert answered(await browser.open(app.address(scope="x")))["iss"] == issuer


async def test_a_form_that_says_things_twice_or_not_at_all(server: TestServer, app: App) -> None:
    for body in (b"\xff", b"a=%ff", b"grant_type=a&grant_type=b", b"&".join(b"a%d=1" % n for n in range(99))):
        for path in ("token", "revoke"):
            answer = await server.client().request("POST", f"/_weft/oauth/{path}", body=body)
            refused(answer, "invalid_request")


# --- Refresh tokens --------------------------------------------------------------------------------------------------


async def test_another_clients_refresh_token(server: TestServer, alice: Client, app: App) -> None:
    tokens = await app.log_in(Browser(server))
    other = App(server, {"client_name": "Evil"})
    await other.register()
    refused(await other.refresh(tokens["refresh_token"]), "invalid_grant")
    refused(await app.refresh(tokens["refresh_token"], client_id=None), "invalid_request")
    (await app.refresh(tokens["refresh_token"])).ok()


async def test_a_refresh_token_that_was_replaced_ends_the_session(server: TestServer, alice: Client, app: App) -> None:
    """Whoever of the two stole it, neither goes on with it."""
    tokens = await app.log_in(Browser(server))
    new = (await app.refresh(tokens["refresh_token"])).ok()
    assert await is_logged_in(server, new["access_token"])
    refused(await app.refresh(tokens["refresh_token"]), "invalid_grant")
    assert not await is_logged_in(server, new["access_token"])
    refused(await app.refresh(new["refresh_token"]), "invalid_grant")


async def test_a_guessed_refresh_token_ends_nothing(server: TestServer, alice: Client, app: App) -> None:
    tokens = await app.log_in(Browser(server))
    for guess in ("wefr_" + "x" * 24 + "_" + "y" * 40, "wefr_", "wefr__", "x", "wefr_" + "x" * 40):
        refused(await app.refresh(guess), "invalid_grant")
    assert await is_logged_in(server, tokens["access_token"])


# --- Forms and pages -------------------------------------------------------------------------------------------------


async def test_forms_of_other_sites_do_nothing(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    await browser.open(app.address())
    await browser.submit("sign_in", csrf="", user="alice", password=PASSWORD)
    assert browser.page.status == 403
    assert browser.title == "Sign in"
    other = Browser(server)
    await other.open(app.address())
    await browser.submit("sign_in", csrf=other.csrf, user="alice", password=PASSWORD)
    assert browser.page.status == 403
    await browser.submit("register", csrf="x", user="eve", password=PASSWORD)
    assert browser.page.status == 403
    await browser.sign_in()
    for step in ("allow", "deny", "sign_out"):
        answer = await browser.submit(step, csrf=other.csrf)
        assert answer.status == 403
        assert browser.title == "Sign in to Example?"
    assert answered(await browser.submit("allow"))["code"]


async def test_nobody_consents_without_having_signed_in(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    await browser.open(app.address())
    await browser.submit("allow")
    assert browser.title == "Sign in"


async def test_a_prepared_cookie_is_replaced_by_signing_in(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    await browser.open(app.address())
    before = dict(browser.cookies)
    await browser.sign_in()
    assert browser.cookies.keys() == before.keys()
    assert browser.cookies != before
    prepared = Browser(server)
    prepared.cookies = before
    await prepared.open(app.address())
    assert prepared.title == "Sign in"


async def test_a_cookie_is_worth_nothing_after_signing_out(server: TestServer, alice: Client, app: App) -> None:
    browser, thief = Browser(server), Browser(server)
    await browser.open(app.address())
    await browser.sign_in()
    thief.cookies = dict(browser.cookies)
    await browser.submit("sign_out")
    await thief.open(app.address())
    assert thief.title == "Sign in"


async def test_a_cookie_ends_with_time(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    await browser.open(app.address())
    await browser.sign_in()
    server.clock.advance(8 * 86_400)
    await browser.open(app.address())
    assert browser.title == "Sign in"


async def test_the_cookie(server: TestServer, alice: Client, app: App) -> None:
    browser = Browser(server)
    answer = await browser.open(app.address())
    assert list(browser.cookies) == ["__Host-weft"]
    attributes = {part.strip() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"}
    for cookie in ("__Host-weft=", "__Host-weft=x", "=;;=", "__Host-weft=" + "x" * 5000, "\x80", "a=b; a"):
        other = await server.client().get(app.address())
        assert other.status == 200
        other = await server.client().request("GET", app.address(), headers={"cookie": cookie})
        assert other.status == 200


def _is_shielded(answer: Answer) -> None:
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_can_not_be_framed_or_scripted(server: TestServer, alice: Client) -> None:
    evil = '"><script>alert(1)</script>'
    app = App(server, {"client_name": evil, "client_uri": "https://example.com/'\"><script>"})
    refused(await app.register(), "invalid_client_metadata")
    app.metadata["client_uri"] = "https://example.com/"
    assert (await app.register()).status == 201
    browser = Browser(server)
    pages = [
        await browser.open(app.address(login_hint=f"mxid:@{evil}")),
        await browser.submit("sign_in", user=evil, password="x"),
        await browser.open(app.address(prompt="create")),
        await browser.submit("register", user=evil, password=PASSWORD),
        await browser.open(app.address(client_id=evil)),
    ]
    await browser.open(app.address())
    pages.append(await browser.sign_in())
    assert "Sign in to" in browser.title
    for page in pages:
        _is_shielded(page)
        assert b"<script>" not in page.body
    assert "form-action 'self' https://app.example.com;" in pages[-1].headers["content-security-policy"]
    assert "form-action 'self';" in pages[0].headers["content-security-policy"]


async def test_the_way_back_leads_nowhere_else(server: TestServer, alice: Client, app: App) -> None:
    """After signing in the browser is sent to the same page: nothing in its address can change that."""
    for extra in ("&next=https://evil.org", "&https://evil.org", "&//evil.org", "&%0d%0aset-cookie:a=b"):
        browser = Browser(server)
        await browser.open(app.address() + extra)
        body = f"csrf={browser.csrf}&step=sign_in&user=alice&password=correct+horse".encode()
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        answer = await server.client().request("POST", app.address() + extra, body=body, headers={"cookie": cookie})
        assert answer.status == 303
        assert answer.headers["location"].startswith("?")
        assert urlsplit(answer.headers["location"]).netloc == ""


async def test_passwords_are_not_tried_without_end(start_server: Start) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.001, "burst": 3}}
    server = await start_server({**SETTINGS, "rate_limits": limits})
    await server.user("alice")
    app = App(server)
    await app.register()
    # Two processes count for themselves: of seven tries one of them has had four.
    browser = Browser(server, address="10.0.0.1")
    await browser.open(app.address())
    assert 429 in [(await browser.sign_in(password="guess")).status for _ in range(7)]
    # From many places neither: the account has a limit of its own.
    statuses = []
    for number in range(7):
        elsewhere = Browser(server, address=f"10.0.1.{number}")
        await elsewhere.open(app.address())
        statuses.append((await elsewhere.sign_in(password="guess")).status)
    assert 429 in statuses
