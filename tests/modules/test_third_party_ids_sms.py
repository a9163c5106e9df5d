"""Phone numbers of accounts, confirmed by codes in text messages. The gateway is a web server on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from tests.modules.conftest import Start
from tests.modules.mailbox import PUBLIC, Gateway, sms_gateway
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
SUBMIT = "/_matrix/client/unstable/msisdn/submit_token"
SECRET = "secret"
NUMBER = {"country": "GB", "phone_number": "07700 900001"}
ADD, REGISTER, RESET = (f"{V3}/{path}/msisdn/requestToken" for path in ("account/3pid", "register", "account/password"))


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with sms_gateway() as there:
        yield there


def texting_settings(gateway: Gateway, **more: Any) -> dict[str, Any]:
    server = {"names": ["weft.test"], "public_url": PUBLIC}
    return {"sms": {"url": gateway.url, **more}, "server": server, "registration": {"phone": "optional"}}


@pytest_asyncio.fixture
async def texting(start_server: Start, gateway: Gateway) -> TestServer:
    """A server that sends text messages."""
    return await start_server(texting_settings(gateway))


async def ask(client: Client, path: str = ADD, **more: Any) -> Answer:
    return await client.post(path, {"client_secret": SECRET, "send_attempt": 1, **NUMBER, **more})


async def submit(client: Client, sid: str, code: str, secret: str = SECRET) -> Answer:
    return await client.post(SUBMIT, {"sid": sid, "client_secret": secret, "token": code})


async def give(server: TestServer, gateway: Gateway, client: Client) -> None:
    """Has an account get the number."""
    sid = (await ask(server.client())).ok()["sid"]
    (await submit(server.client(), sid, gateway.code())).ok()
    (await client.post(f"{V3}/account/3pid", {"three_pid_creds": {"sid": sid, "client_secret": SECRET}})).ok()


async def test_a_number_is_confirmed_and_added(texting: TestServer, gateway: Gateway) -> None:
    alice = await texting.user("alice")
    answer = (await ask(texting.client())).ok()
    assert answer["submit_url"] == f"{PUBLIC}{SUBMIT}"
    assert gateway.posted == [
        {"to": "+447700900001", "text": f"{gateway.code()} is your code to add this number to an account on weft.test."}
    ]
    assert gateway.tokens == [None]
    body = {"three_pid_creds": {"sid": answer["sid"], "client_secret": SECRET}}
    (await alice.post(f"{V3}/account/3pid", body)).refused(400, "M_THREEPID_AUTH_FAILED")
    submitted = await texting.client().post(
        urlsplit(answer["submit_url"]).path, {"sid": answer["sid"], "client_secret": SECRET, "token": gateway.code()}
    )
    assert submitted.ok() == {"success": True}
    (await alice.post(f"{V3}/account/3pid", body)).ok()
    (owned,) = (await alice.get(f"{V3}/account/3pid")).ok()["threepids"]
    assert (owned["medium"], owned["address"]) == ("msisdn", "447700900001")


async def test_codes_are_not_guessed(texting: TestServer, gateway: Gateway) -> None:
    client = texting.client()
    sid = (await ask(client)).ok()["sid"]
    wrong = f"{(int(gateway.code()) + 1) % 1_000_000:06}"
    (await submit(client, sid, gateway.code(), secret="another")).refused(400, "M_SESSION_EXPIRED")
    (await submit(client, "nowhere", gateway.code())).refused(400, "M_SESSION_EXPIRED")
    for _ in range(5):
        (await submit(client, sid, wrong)).refused(400, "M_TOKEN_INCORRECT")
    (await submit(client, sid, gateway.code())).refused(400, "M_SESSION_EXPIRED")
    # Another message gives no further tries.
    assert (await ask(client, send_attempt=2)).ok()["sid"] == sid
    (await submit(client, sid, gateway.code())).refused(400, "M_SESSION_EXPIRED")


async def test_codes_expire(texting: TestServer, gateway: Gateway) -> None:
    sid = (await ask(texting.client())).ok()["sid"]
    texting.clock.advance(3601)
    (await submit(texting.client(), sid, gateway.code())).refused(400, "M_SESSION_EXPIRED")


@pytest.mark.parametrize(
    "number",
    [
        {"country": "XX", "phone_number": "07700900001"},
        {"country": "", "phone_number": "07700900001"},
        {"country": "GB", "phone_number": ""},
        {"country": "GB", "phone_number": "alice"},
        {"country": "GB", "phone_number": "12"},
        {"country": "GB", "phone_number": "07700900001 ext. 5"},
        {"country": "GB", "phone_number": "0" * 300},
    ],
)
async def test_what_is_no_number(texting: TestServer, gateway: Gateway, number: dict[str, str]) -> None:
    (await ask(texting.client(), **number)).refused(400, "M_INVALID_PARAM")
    assert not gateway.posted


async def test_registering_and_logging_in_by_a_number(texting: TestServer, gateway: Gateway) -> None:
    client = texting.client()
    sid = (await ask(client, REGISTER)).ok()["sid"]
    (await submit(client, sid, gateway.code())).ok()
    auth = {"type": "m.login.msisdn", "threepid_creds": {"sid": sid, "client_secret": SECRET}}
    body = {"username": "alice", "password": "correct horse", "auth": auth}
    (await client.post(f"{V3}/register", body)).ok()
    for identifier in (
        {"type": "m.id.phone", "country": "GB", "phone": "07700900001"},
        {"type": "m.id.phone", "country": "DE", "phone": "+44 7700 900001"},
        {"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900001"},
    ):
        login = {"type": "m.login.password", "identifier": identifier, "password": "correct horse"}
        assert (await client.post(f"{V3}/login", login)).ok()["user_id"] == "@alice:weft.test"
    nobodys = {"type": "m.id.phone", "country": "??", "phone": "07700900001"}
    login = {"type": "m.login.password", "identifier": nobodys, "password": "correct horse"}
    (await client.post(f"{V3}/login", login)).refused(403, "M_FORBIDDEN")


async def test_a_new_password_by_a_number(texting: TestServer, gateway: Gateway) -> None:
    await give(texting, gateway, await texting.user("alice"))
    client = texting.client()
    sid = (await ask(client, RESET)).ok()["sid"]
    assert "Give it to nobody" in gateway.posted[-1]["text"]
    (await submit(client, sid, gateway.code())).ok()
    auth = {"type": "m.login.msisdn", "threepid_creds": {"sid": sid, "client_secret": SECRET}}
    (await client.post(f"{V3}/account/password", {"new_password": "battery staple", "auth": auth})).ok()
    await texting.login("alice", password="battery staple")


async def test_a_number_is_confirmed_on_a_page(texting: TestServer, gateway: Gateway) -> None:
    browser, path = texting.client(), f"{V3}/auth/m.login.msisdn/fallback/web"
    body = {"username": "alice", "password": "correct horse"}
    session = (await browser.post(f"{V3}/register", body)).json["session"]

    async def post(**fields: str) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded"}
        sent = urlencode({"session": session, **fields}).encode()
        return await browser.request("POST", path, body=sent, headers=form)

    page = (await post(address="+447700900001")).body.decode()
    hidden = {name: page.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("sid", "client_secret")}
    assert b"not the code" in (await post(**hidden, code="abc")).body
    assert b"onAuthDone" in (await post(**hidden, code=gateway.code())).body
    (await browser.post(f"{V3}/register", {"auth": {"session": session}})).ok()


async def test_the_gateways_own_words(start_server: Start, gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("gateway token\n")
    words = {"messages": [{"recipient": "{to}", "body": {"content": "{text}"}}], "unicode": True}
    (tmp_path / "template").write_text(json.dumps(words))
    more = {"token_file": str(tmp_path / "token"), "template_file": str(tmp_path / "template")}
    server = await start_server(texting_settings(gateway, **more))
    (await ask(server.client())).ok()
    assert gateway.tokens == ["Bearer gateway token"]
    (posted,) = gateway.posted
    assert posted["unicode"] is True
    (message,) = posted["messages"]
    assert message["recipient"] == "+447700900001"
    assert "is your code" in message["body"]["content"]


async def test_a_gateway_that_takes_nothing(texting: TestServer, gateway: Gateway) -> None:
    for status in (400, 401, 500, 503):
        gateway.status = status
        (await ask(texting.client())).refused(502, "M_UNKNOWN")
    gateway.status = 200
    (await ask(texting.client())).ok()
    assert len(gateway.posted) == 1


async def test_without_a_gateway_there_are_no_numbers(server: TestServer) -> None:
    for path in (ADD, REGISTER, RESET):
        answer = await ask(server.client(), path)
        answer.refused(
            400 if path != REGISTER else 403,
            "M_THREEPID_MEDIUM_NOT_SUPPORTED" if path != REGISTER else "M_THREEPID_DENIED",
        )
