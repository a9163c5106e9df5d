"""E-mail addresses of accounts: confirmed, added, registered with, and good for a new password.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.modules.browsing import PASSWORD, App, Browser
from tests.modules.conftest import Start
from tests.modules.mailbox import Mailbox, body_of, link_of, mail_server, mail_settings
from weft.modules.third_party_ids import store
from weft.protocol.third_party_ids import canonical
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
PAGE = "/_matrix/client/unstable/email/submit_token"
SECRET = "a.client_secret=0"
ADDRESS = "alice@example.org"
ADD, REGISTER, RESET = (f"{V3}/{path}/email/requestToken" for path in ("account/3pid", "register", "account/password"))


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest_asyncio.fixture
async def mailing(start_server: Start, mailbox: Mailbox) -> TestServer:
    """A server that sends e-mails."""
    return await start_server(mail_settings(mailbox))


async def ask(client: Client, path: str, address: str = ADDRESS, *, attempt: int = 1, **more: Any) -> Answer:
    body = {"client_secret": SECRET, "email": address, "send_attempt": attempt, **more}
    return await client.post(path, body)


async def press(client: Client, link: dict[str, str]) -> Answer:
    """Presses the button on the page that a link leads to."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    return await client.request("POST", PAGE, body=urlencode(link).encode(), headers=form)


async def confirm(server: TestServer, box: Mailbox, path: str, address: str = ADDRESS) -> str:
    """Asks for a link and follows it; the session."""
    sid: str = (await ask(server.client(), path, address)).ok()["sid"]
    assert (await press(server.client(), link_of(box.take()))).status == 200
    return sid


def password_auth(client: Client, **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": client.user_id}
    return {"type": "m.login.password", "identifier": identifier, "password": "correct horse", **more}


async def give(server: TestServer, box: Mailbox, client: Client, address: str = ADDRESS) -> None:
    """Has an account get an address."""
    sid = await confirm(server, box, ADD, address)
    body = {"sid": sid, "client_secret": SECRET, "auth": password_auth(client)}
    (await client.post(f"{V3}/account/3pid/add", body)).ok()


async def addresses(client: Client) -> list[str]:
    return [each["address"] for each in (await client.get(f"{V3}/account/3pid")).ok()["threepids"]]


# --- An address of an account ----------------------------------------------------------------------------------------


async def test_an_address_is_confirmed_and_added(mailing: TestServer, mailbox: Mailbox) -> None:
    alice = await mailing.user("alice")
    assert (await alice.get(f"{V3}/capabilities")).ok()["capabilities"]["m.3pid_changes"] == {"enabled": True}
    sid = (await ask(mailing.client(), ADD, " Alice@Example.ORG ")).ok()["sid"]
    message = mailbox.take()
    assert message["To"] == ADDRESS
    assert message["From"] == "Weft <noreply@weft.test>"
    assert message["Subject"] == "[weft.test] Confirm your e-mail address"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == int(mailing.clock.seconds)
    link, body = link_of(message), {"sid": sid, "client_secret": SECRET}
    assert SECRET not in body_of(message)

    (await alice.post(f"{V3}/account/3pid/add", body)).refused(400, "M_THREEPID_AUTH_FAILED")
    shown = await mailing.client().get(PAGE, **link)
    assert shown.status == 200
    assert b"<button" in shown.body
    # Whoever looks, a scanner of mail say, has confirmed nothing.
    (await alice.post(f"{V3}/account/3pid/add", body)).refused(400, "M_THREEPID_AUTH_FAILED")
    assert (await press(mailing.client(), link)).status == 200
    assert b"<button" not in (await mailing.client().get(PAGE, **link)).body

    challenge = await alice.post(f"{V3}/account/3pid/add", body)
    assert challenge.status == 401
    auth = password_auth(alice, session=challenge.json["session"])
    assert (await alice.post(f"{V3}/account/3pid/add", {**body, "auth": auth})).ok() == {}
    (owned,) = (await alice.get(f"{V3}/account/3pid")).ok()["threepids"]
    assert (owned["medium"], owned["address"]) == ("email", ADDRESS)
    assert mailing.clock() - 1000 < owned["validated_at"] <= owned["added_at"] < mailing.clock()


async def test_the_older_way_of_adding(mailing: TestServer, mailbox: Mailbox) -> None:
    alice = await mailing.user("alice")
    given = {"sid": await confirm(mailing, mailbox, ADD), "client_secret": SECRET}
    (await alice.post(f"{V3}/account/3pid", {"three_pid_creds": given})).ok()
    assert await addresses(alice) == [ADDRESS]


async def test_a_session_is_good_for_its_client_and_purpose_once(mailing: TestServer, mailbox: Mailbox) -> None:
    alice, bob = await mailing.user("alice"), await mailing.user("bob")
    sid = await confirm(mailing, mailbox, ADD)
    for given in ({"sid": sid, "client_secret": "other"}, {"sid": "other", "client_secret": SECRET}):
        (await bob.post(f"{V3}/account/3pid", {"three_pid_creds": given})).refused(400, "M_THREEPID_AUTH_FAILED")
    registering = {"sid": await confirm(mailing, mailbox, REGISTER, "new@example.org"), "client_secret": SECRET}
    (await bob.post(f"{V3}/account/3pid", {"three_pid_creds": registering})).refused(400, "M_THREEPID_AUTH_FAILED")
    given = {"sid": sid, "client_secret": SECRET}
    (await alice.post(f"{V3}/account/3pid", {"three_pid_creds": given})).ok()
    (await bob.post(f"{V3}/account/3pid", {"three_pid_creds": given})).refused(400, "M_THREEPID_AUTH_FAILED")


async def test_an_address_is_one_accounts(mailing: TestServer, mailbox: Mailbox) -> None:
    """Two may confirm it before either adds it; the second is too late."""
    alice, bob = await mailing.user("alice"), await mailing.user("bob")
    sid = await confirm(mailing, mailbox, ADD)
    (await ask(mailing.client(), ADD, client_secret="bobs")).ok()
    link = link_of(mailbox.take())
    await press(mailing.client(), link)
    (await alice.post(f"{V3}/account/3pid", {"three_pid_creds": {"sid": sid, "client_secret": SECRET}})).ok()
    bobs = {"sid": link["sid"], "client_secret": "bobs"}
    (await bob.post(f"{V3}/account/3pid", {"three_pid_creds": bobs})).refused(400, "M_THREEPID_IN_USE")
    assert await addresses(bob) == []


async def test_an_address_is_removed(mailing: TestServer, mailbox: Mailbox) -> None:
    alice, bob = await mailing.user("alice"), await mailing.user("bob")
    await give(mailing, mailbox, alice)
    body = {"medium": "email", "address": "ALICE@example.org"}
    assert (await bob.post(f"{V3}/account/3pid/delete", body)).ok() == {"id_server_unbind_result": "no-support"}
    assert await addresses(alice) == [ADDRESS]
    assert (await alice.post(f"{V3}/account/3pid/delete", body)).ok() == {"id_server_unbind_result": "no-support"}
    assert await addresses(alice) == []
    (await alice.post(f"{V3}/account/3pid/delete", {"medium": "email", "address": "x"})).refused(400, "M_INVALID_PARAM")


async def test_addresses_go_with_the_account(mailing: TestServer, mailbox: Mailbox) -> None:
    alice, bob = await mailing.user("alice"), await mailing.user("bob")
    await give(mailing, mailbox, alice)
    answer = await alice.post(f"{V3}/account/deactivate", {"auth": password_auth(alice)})
    assert answer.ok() == {"id_server_unbind_result": "success"}
    await give(mailing, mailbox, bob)
    assert await addresses(bob) == [ADDRESS]


async def test_where_people_may_not_change_their_addresses(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "third_party_ids": {"changes": False}})
    alice = await server.user("alice")
    assert (await alice.get(f"{V3}/capabilities")).ok()["capabilities"]["m.3pid_changes"] == {"enabled": False}
    session = {"sid": "x", "client_secret": SECRET}
    bound = {**session, "id_server": "id.test", "id_access_token": "x"}
    gone = {"medium": "email", "address": ADDRESS}
    (await ask(server.client(), ADD)).refused(403, "M_FORBIDDEN")
    (await alice.post(f"{V3}/account/3pid", {"three_pid_creds": session})).refused(403, "M_FORBIDDEN")
    for path, body in (("add", session), ("bind", bound), ("delete", gone), ("unbind", gone)):
        (await alice.post(f"{V3}/account/3pid/{path}", body)).refused(403, "M_FORBIDDEN")


# --- Asking for a token ----------------------------------------------------------------------------------------------


async def test_one_attempt_is_one_message(mailing: TestServer, mailbox: Mailbox) -> None:
    client = mailing.client()
    sid = (await ask(client, ADD, attempt=2)).ok()["sid"]
    first = link_of(mailbox.take())
    for attempt in (1, 2):
        assert (await ask(client, ADD, attempt=attempt)).ok()["sid"] == sid
    assert not mailbox.messages
    assert (await ask(client, ADD, attempt=3)).ok()["sid"] == sid
    second = link_of(mailbox.take())
    assert first != second
    # Another client, another address, another purpose: another session.
    others = [
        await ask(client, ADD, client_secret="other"),
        await ask(client, ADD, "bob@example.org"),
        await ask(client, REGISTER),
    ]
    assert len({sid, *(answer.ok()["sid"] for answer in others)}) == 4
    # What came late is still good.
    assert (await press(client, first)).status == 200


async def test_links_expire(mailing: TestServer, mailbox: Mailbox) -> None:
    (await ask(mailing.client(), ADD)).ok()
    link = link_of(mailbox.take())
    mailing.clock.advance(3601)
    assert (await mailing.client().get(PAGE, **link)).status == 404
    assert (await press(mailing.client(), link)).status == 404


async def test_a_confirmed_session_expires(mailing: TestServer, mailbox: Mailbox) -> None:
    alice = await mailing.user("alice")
    sid = await confirm(mailing, mailbox, ADD)
    mailing.clock.advance(24 * 3600 + 1)
    given = {"sid": sid, "client_secret": SECRET}
    (await alice.post(f"{V3}/account/3pid", {"three_pid_creds": given})).refused(400, "M_THREEPID_AUTH_FAILED")


@pytest.mark.parametrize("link", [{}, {"sid": "x", "token": "y"}, {"sid": '"><script>', "token": '"><script>'}])
async def test_links_that_were_not_sent(mailing: TestServer, link: dict[str, str]) -> None:
    for answer in (await mailing.client().get(PAGE, **link), await press(mailing.client(), link)):
        assert answer.status == 404
        assert b"<script>" not in answer.body


async def test_where_the_browser_goes_from_there(mailing: TestServer, mailbox: Mailbox) -> None:
    (await ask(mailing.client(), ADD, next_link="https://app.example.org/#/go?x=1")).ok()
    link = link_of(mailbox.take())
    policy = (await mailing.client().get(PAGE, **link)).headers["content-security-policy"]
    assert "form-action 'self' https://app.example.org;" in policy
    answer = await press(mailing.client(), link)
    assert (answer.status, answer.headers["location"]) == (303, "https://app.example.org/#/go?x=1")


@pytest.mark.parametrize(
    "next_link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org/",
        "https://",
        "https://example.org/\r\nX: y",
        "https://example.org;script-src/*",
        "https://user@example.org/",
        "https://exa mple.org/",
        'https://example.org/"x',
        "http://[::1",
    ],
)
async def test_where_no_browser_is_sent(mailing: TestServer, mailbox: Mailbox, next_link: str) -> None:
    (await ask(mailing.client(), ADD, next_link=next_link)).refused(400, "M_INVALID_PARAM")
    assert not mailbox.messages


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"email": "nobody"}, "M_INVALID_PARAM"),
        ({"email": "a@example.org\r\nBcc: b@example.org"}, "M_INVALID_PARAM"),
        ({"client_secret": ""}, "M_INVALID_PARAM"),
        ({"client_secret": "a secret"}, "M_INVALID_PARAM"),
        ({"client_secret": "x" * 256}, "M_BAD_JSON"),
        ({"send_attempt": -1}, "M_BAD_JSON"),
        ({"send_attempt": 1 << 60}, "M_BAD_JSON"),
        ({"next_link": "https://example.org/" + "x" * 3000}, "M_BAD_JSON"),
    ],
)
async def test_misshapen_requests(mailing: TestServer, mailbox: Mailbox, body: dict[str, Any], errcode: str) -> None:
    whole = {"client_secret": SECRET, "email": ADDRESS, "send_attempt": 1, **body}
    (await mailing.client().post(ADD, whole)).refused(400, errcode)
    assert not mailbox.messages


async def test_nobody_learns_who_has_an_account(mailing: TestServer, mailbox: Mailbox) -> None:
    """The message says it to whoever has the address."""
    alice = await mailing.user("alice")
    await give(mailing, mailbox, alice)
    client = mailing.client()
    for path, address, said in (
        (ADD, ADDRESS, "has it already"),
        (REGISTER, ADDRESS, "has it already"),
        (RESET, "bob@example.org", "no account there has it"),
    ):
        sid = (await ask(client, path, address, client_secret="stranger")).ok()["sid"]
        assert (await ask(client, path, address, client_secret="stranger")).ok()["sid"] == sid
        text = body_of(mailbox.take())
        assert said in text
        assert "http" not in text


async def test_where_it_may_be_known_who_has_an_account(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "third_party_ids": {"reveal": True}})
    alice = await server.user("alice")
    await give(server, mailbox, alice)
    for path in (ADD, REGISTER):
        (await ask(server.client(), path)).refused(400, "M_THREEPID_IN_USE")
    (await ask(server.client(), RESET, "bob@example.org")).refused(400, "M_THREEPID_NOT_FOUND")
    assert not mailbox.messages


async def test_addresses_that_are_allowed(start_server: Start, mailbox: Mailbox) -> None:
    allowed = {"allowed_emails": ["*@example.org", "*@*.Example.org"]}
    server = await start_server({**mail_settings(mailbox), "third_party_ids": allowed})
    for address in ("a@example.org", "a@b.example.org"):
        (await ask(server.client(), REGISTER, address)).ok()
    for address in ("a@example.com", "a@example.org.evil.test"):
        for path in (ADD, REGISTER):
            (await ask(server.client(), path, address)).refused(403, "M_THREEPID_DENIED")


async def test_a_mailbox_is_not_flooded(start_server: Start, mailbox: Mailbox) -> None:
    """Whoever asks, from wherever."""
    limits = {"rate_limits": {"enabled": True, "validation": {"per_second": 0.01, "burst": 2}}}
    server = await start_server({**mail_settings(mailbox), **limits})
    for number in range(40):
        client = server.client(address=f"203.0.113.{number}")
        answer = await ask(client, ADD, client_secret=f"s{number}")
        if answer.status != 200:
            break
    answer.refused(429, "M_LIMIT_EXCEEDED")
    # Each of two processes counts for itself.
    assert 2 <= len(mailbox.messages) <= 4


async def test_somebody_asks_too_often(start_server: Start, mailbox: Mailbox) -> None:
    limits = {"rate_limits": {"enabled": True, "validation": {"per_second": 0.01, "burst": 2}}}
    server = await start_server({**mail_settings(mailbox), **limits})
    answers = [await ask(server.client(), ADD, f"a{number}@example.org") for number in range(5)]
    answers[-1].refused(429, "M_LIMIT_EXCEEDED")
    assert len(mailbox.messages) < 5


async def test_without_a_mail_server_there_are_no_addresses(server: TestServer) -> None:
    alice = await server.user("alice")
    for path in (ADD, REGISTER, RESET):
        (await ask(server.client(), path)).refused(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
    assert (await alice.get(f"{V3}/account/3pid")).ok() == {"threepids": []}
    assert (await alice.get(f"{V3}/capabilities")).ok()["capabilities"]["m.3pid_changes"] == {"enabled": False}


# --- Registering -----------------------------------------------------------------------------------------------------


def registration(sid: str, session: str | None = None, **more: Any) -> dict[str, Any]:
    auth = {"type": "m.login.email.identity", "threepid_creds": {"sid": sid, "client_secret": SECRET}}
    if session is not None:
        auth["session"] = session
    return {"username": "alice", "password": "correct horse", "auth": auth, **more}


async def test_registering_with_an_address(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "registration": {"email": "required"}})
    client = server.client()
    challenge = (await client.post(f"{V3}/register", {"username": "alice", "password": "correct horse"})).json
    assert challenge["flows"] == [{"stages": ["m.login.email.identity"]}]
    sid = (await ask(client, REGISTER)).ok()["sid"]
    waiting = await client.post(f"{V3}/register", registration(sid, challenge["session"]))
    assert (waiting.status, waiting.json["errcode"]) == (401, "M_UNAUTHORIZED")
    await press(client, link_of(mailbox.take()))
    made = (await client.post(f"{V3}/register", registration(sid, challenge["session"]))).ok()
    alice = server.client(made["access_token"], user_id=made["user_id"])
    assert await addresses(alice) == [ADDRESS]
    # Once.
    again = await client.post(f"{V3}/register", registration(sid) | {"username": "bob"})
    assert again.status == 401


async def test_registering_without_an_address_where_one_may(mailing: TestServer, mailbox: Mailbox) -> None:
    client = mailing.client()
    challenge = (await client.post(f"{V3}/register", {"username": "alice", "password": "correct horse"})).json
    assert challenge["flows"] == [{"stages": ["m.login.dummy"]}, {"stages": ["m.login.email.identity"]}]
    assert await addresses(await mailing.user("bob")) == []
    sid = await confirm(mailing, mailbox, REGISTER)
    made = (await client.post(f"{V3}/register", registration(sid))).ok()
    assert await addresses(mailing.client(made["access_token"])) == [ADDRESS]


async def test_where_nobody_is_asked_for_an_address(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "registration": {"email": "off"}})
    (await ask(server.client(), REGISTER)).refused(403, "M_THREEPID_DENIED")
    challenge = (await server.client().post(f"{V3}/register", {"username": "a", "password": "correct horse"})).json
    assert challenge["flows"] == [{"stages": ["m.login.dummy"]}]
    closed = await start_server({**mail_settings(mailbox), "registration": {"mode": "closed"}})
    (await ask(closed.client(), REGISTER)).refused(403, "M_FORBIDDEN")


async def test_an_address_that_became_anothers_meanwhile(mailing: TestServer, mailbox: Mailbox) -> None:
    sid = await confirm(mailing, mailbox, REGISTER)
    await give(mailing, mailbox, await mailing.user("bob"))
    refused = await mailing.client().post(f"{V3}/register", registration(sid))
    assert (refused.status, refused.json["errcode"]) == (401, "M_THREEPID_IN_USE")


async def test_an_address_is_confirmed_on_a_page(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "registration": {"email": "required"}})
    browser, path = server.client(), f"{V3}/auth/m.login.email.identity/fallback/web"
    body = {"username": "alice", "password": "correct horse"}
    session = (await browser.post(f"{V3}/register", body)).json["session"]

    async def submit(**fields: str) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode({"session": session, **fields}).encode()
        return await browser.request("POST", path, body=body, headers=form)

    assert b'name="address"' in (await browser.get(path, session=session)).body
    assert (await submit(address="nobody")).status == 400
    sent = await submit(address=ADDRESS)
    assert sent.status == 200
    hidden = {name: _value(sent.body.decode(), name) for name in ("sid", "client_secret")}
    assert (await submit(**hidden)).status == 401
    await press(browser, link_of(mailbox.take()))
    done = await submit(**hidden)
    assert done.status == 200
    assert b"onAuthDone" in done.body
    (await browser.post(f"{V3}/register", {"auth": {"session": session}})).ok()


async def test_no_page_makes_accounts_without_an_address(start_server: Start, mailbox: Mailbox) -> None:
    server = await start_server({**mail_settings(mailbox), "registration": {"email": "required"}})
    metadata = (await server.client().get(f"{V3.replace('v3', 'v1')}/auth_metadata")).ok()
    assert "prompt_values_supported" not in metadata
    app, browser = App(server), Browser(server)
    await app.register()
    await browser.open(app.address(prompt="create"))
    assert browser.title == "Sign in"
    await browser.submit("register", user="eve", password=PASSWORD)
    assert "confirm an address" in browser.problem
    (await server.client().get(f"{V3}/register/available", username="eve")).ok()


def _value(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


async def test_signing_in_on_a_page_by_an_address(mailing: TestServer) -> None:
    app, browser = App(mailing), Browser(mailing)
    await give_by_administrator(mailing, await mailing.user("alice"))
    await app.register()
    await browser.open(app.address())
    await browser.submit("sign_in", user="nobody@example.org", password=PASSWORD)
    assert browser.problem
    await browser.submit("sign_in", user=ADDRESS, password=PASSWORD)
    assert browser.title.startswith("Sign in to")


# --- Logging in, and a password that is lost -------------------------------------------------------------------------


def login(password: str = "correct horse", **identifier: Any) -> dict[str, Any]:
    return {"type": "m.login.password", "identifier": identifier, "password": password}


async def test_logging_in_by_an_address(mailing: TestServer, mailbox: Mailbox) -> None:
    alice = await mailing.user("alice")
    await give(mailing, mailbox, alice)
    client = mailing.client()
    by = {"type": "m.id.thirdparty", "medium": "email", "address": "Alice@EXAMPLE.org"}
    assert (await client.post(f"{V3}/login", login(**by))).ok()["user_id"] == alice.user_id
    old = {"type": "m.login.password", "medium": "email", "address": ADDRESS, "password": "correct horse"}
    assert (await client.post(f"{V3}/login", old)).ok()["user_id"] == alice.user_id
    (await client.post(f"{V3}/login", login("wrong", **by))).refused(403, "M_FORBIDDEN")
    for address in ("bob@example.org", "nobody"):
        (await client.post(f"{V3}/login", login(**{**by, "address": address}))).refused(403, "M_FORBIDDEN")
    # As consent, too.
    auth = {"type": "m.login.password", "identifier": by, "password": "correct horse"}
    (await alice.delete(f"{V3}/devices/X", {"auth": auth})).ok()
    bob = await mailing.user("bob")
    assert (await bob.delete(f"{V3}/devices/X", {"auth": auth})).status == 401


async def test_a_new_password(mailing: TestServer, mailbox: Mailbox) -> None:
    alice = await mailing.user("alice")
    await give(mailing, mailbox, alice)
    client = mailing.client()
    body: dict[str, Any] = {"new_password": "battery staple"}
    flows = (await client.post(f"{V3}/account/password", body)).json["flows"]
    assert flows == [{"stages": ["m.login.password"]}, {"stages": ["m.login.email.identity"]}]
    sid = (await ask(client, RESET)).ok()["sid"]
    creds = {"sid": sid, "client_secret": SECRET}
    body["auth"] = {"type": "m.login.email.identity", "threepid_creds": creds}
    message = mailbox.take()
    assert "new password" in body_of(message)
    page = (await client.get(PAGE, **link_of(message))).body.decode()
    assert "new password" in page
    assert (await client.post(f"{V3}/account/password", body)).status == 401
    await press(client, link_of(message))
    assert (await client.post(f"{V3}/account/password", body)).ok() == {}
    (await client.post(f"{V3}/login", login(type="m.id.user", user="alice"))).refused(403, "M_FORBIDDEN")
    (await client.post(f"{V3}/login", login("battery staple", type="m.id.user", user="alice"))).ok()
    (await alice.get(f"{V3}/account/whoami")).refused(401, "M_UNKNOWN_TOKEN")
    # The link was good for one new password.
    assert (await client.post(f"{V3}/account/password", body)).status == 401


@pytest.mark.parametrize("path", [ADD, REGISTER])
async def test_other_links_give_no_new_password(mailing: TestServer, mailbox: Mailbox, path: str) -> None:
    sid = await confirm(mailing, mailbox, path)
    await give_by_administrator(mailing, await mailing.user("alice"))
    creds = {"sid": sid, "client_secret": SECRET}
    auth = {"type": "m.login.email.identity", "threepid_creds": creds}
    answer = await mailing.client().post(f"{V3}/account/password", {"new_password": "battery staple", "auth": auth})
    assert answer.status == 401


async def test_an_address_deactivates_no_account(mailing: TestServer, mailbox: Mailbox) -> None:
    await give(mailing, mailbox, await mailing.user("alice"))
    sid = await confirm(mailing, mailbox, RESET)
    auth = {"type": "m.login.email.identity", "threepid_creds": {"sid": sid, "client_secret": SECRET}}
    assert (await mailing.client().post(f"{V3}/account/deactivate", {"auth": auth})).status == 401
    (await mailing.login("alice"))


async def give_by_administrator(server: TestServer, client: Client) -> None:
    ids = [canonical("email", ADDRESS)]
    await server.server.engine.database.write(store.set_for, client.user_id, ids, server.clock())
