"""Single sign-on with a provider that can lie."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.modules.browsing import BASE, FORM
from tests.modules.conftest import Start
from weft.testing import Answer, TestServer

V3 = "/_matrix/client/v3"
APP = "https://app.example.com/"


class Idp:
    """An honest provider, until it is told what to say instead."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
        self.signs_with = self.key
        self.claims: dict[str, Any] = {"sub": "1234", "preferred_username": "Alice", "name": "Alice A."}
        self.lies: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.metadata)
        app.router.add_get("/keys", self.keys)
        app.router.add_post("/token", self.token)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def metadata(self, request: web.Request) -> web.Response:
        names = {f"{name}_endpoint": f"{self.url}/{name}" for name in ("authorization", "token")}
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **names})

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["code"] == "good"
        assert form["code_verifier"]
        now = int(time.time())
        base = {"iss": self.url, "aud": "weft", "exp": now + 10**9, "iat": 0, "nonce": self.asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, {**base, **self.claims, **self.lies}, self.signs_with)
        return web.json_response({"access_token": "a", "token_type": "Bearer", "id_token": token})


class Person:
    def __init__(self, server: TestServer, idp: Idp) -> None:
        self.http, self.idp = server.client(), idp
        self.cookies: dict[str, str] = {}

    async def ask(self, method: str, url: str, **form: str) -> Answer:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **FORM}
        answer = await self.http.request(method, url, body=urlencode(form).encode() if form else b"", headers=headers)
        if "set-cookie" in answer.headers:
            name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def leave(self, path: str) -> str:
        """Goes to the provider; the state."""
        answer = await self.ask("GET", path)
        assert answer.status == 302, answer.body
        self.idp.asked = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        return self.idp.asked["state"]

    async def come_back(self, state: str, **more: str) -> Answer:
        query = urlencode({"state": state, "code": "good", **more})
        return await self.ask("GET", f"/_weft/single_sign_on/callback/company?{query}")

    async def go_on(self, page: Answer, **form: str) -> Answer:
        found = re.search(rb'name="ticket" value="(\w+)"', page.body)
        assert found, page.body
        return await self.ask("POST", "/_weft/single_sign_on/continue", ticket=found[1].decode(), **form)


def redirect(url: str, idp: str = "/company") -> str:
    return f"{V3}/login/sso/redirect{idp}?{urlencode({'redirectUrl': url})}"


def token_of(answer: Answer) -> str:
    assert answer.status == 303, answer.body
    return parse_qs(urlsplit(answer.headers["location"]).query)["loginToken"][0]


@pytest_asyncio.fixture
async def idp() -> AsyncIterator[Idp]:
    made = Idp()
    runner = await made.start()
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def server(start_server: Start, idp: Idp) -> TestServer:
    provider = {"id": "company", "name": "Company", "issuer": idp.url, "client_id": "weft"}
    sso = {"providers": [provider], "trusted_clients": [APP]}
    return await start_server({"server": {"public_url": BASE}, "single_sign_on": sso})


async def test_a_client_logs_somebody_in_twice_to_the_same_account(server: TestServer, idp: Idp) -> None:
    flows = (await server.client().get(f"{V3}/login")).ok()["flows"]
    assert {"type": "m.login.sso", "identity_providers": [{"id": "company", "name": "Company"}]} in flows
    for way in ("", "/company"):
        person = Person(server, idp)
        token = token_of(await person.come_back(await person.leave(redirect(APP, way))))
        answer = await server.client().post(f"{V3}/login", {"type": "m.login.token", "token": token})
        assert answer.ok()["user_id"].startswith("@alice:")


async def test_an_unknown_app_is_given_nothing_before_somebody_agrees(server: TestServer, idp: Idp) -> None:
    person = Person(server, idp)
    page = await person.come_back(await person.leave(redirect("https://app.example.com.evil.org/")))
    assert page.status == 200
    assert b"app.example.com.evil.org" in page.body
    stranger = Person(server, idp)
    assert (await stranger.go_on(page)).status == 400
    token_of(await person.go_on(page))
    assert (await person.go_on(page)).status == 400


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "https://a@b/", "//evil", "https://a/\\b", "https://a;sandbox/"]
)
async def test_no_dangerous_redirect(server: TestServer, idp: Idp, url: str) -> None:
    assert (await Person(server, idp).ask("GET", redirect(url))).status == 400


async def test_state_is_of_one_browser_and_good_once(server: TestServer, idp: Idp) -> None:
    person, stranger = Person(server, idp), Person(server, idp)
    state = await person.leave(redirect(APP))
    await stranger.leave(redirect(APP))
    assert (await stranger.come_back(state)).status == 400
    state = await person.leave(redirect(APP))
    token_of(await person.come_back(state))
    assert (await person.come_back(state)).status == 400


@pytest.mark.parametrize("lie", [{"nonce": "x"}, {"aud": "other"}, {"exp": 1}, {"iss": "https://evil"}, {"sub": None}])
async def test_lies_sign_nobody_in(server: TestServer, idp: Idp, lie: dict[str, Any]) -> None:
    idp.lies = lie
    person = Person(server, idp)
    assert (await person.come_back(await person.leave(redirect(APP)))).status == 403


async def test_wrong_keys_and_mixed_up_providers_sign_nobody_in(server: TestServer, idp: Idp) -> None:
    person = Person(server, idp)
    assert (await person.come_back(await person.leave(redirect(APP)), iss="https://evil")).status == 403
    idp.signs_with = RSAKey.generate_key(2048, private=True)
    assert (await person.come_back(await person.leave(redirect(APP)))).status == 403


async def test_a_taken_name_is_asked_for(server: TestServer, idp: Idp) -> None:
    await server.user("alice")
    person = Person(server, idp)
    page = await person.come_back(await person.leave(redirect(APP)))
    assert b"taken" in page.body
    token_of(await person.go_on(page, user="alice2"))


async def test_a_device_is_deleted_by_whoever_has_no_password(server: TestServer, idp: Idp) -> None:
    person = Person(server, idp)
    token = token_of(await person.come_back(await person.leave(redirect(APP))))
    login = (await server.client().post(f"{V3}/login", {"type": "m.login.token", "token": token})).ok()
    client = server.client(login["access_token"])
    asked = await client.request("DELETE", f"{V3}/devices/{login['device_id']}", body=b"{}")
    assert asked.status == 401
    assert asked.json["flows"] == [{"stages": ["m.login.sso"]}]
    session = asked.json["session"]
    fallback = await person.ask("GET", f"{V3}/auth/m.login.sso/fallback/web?session={session}")
    assert b"/_weft/single_sign_on/begin/company" in fallback.body
    page = await person.come_back(await person.leave(f"/_weft/single_sign_on/begin/company?session={session}"))
    assert b"sign devices out" in page.body
    body = f'{{"auth":{{"session":"{session}"}}}}'.encode()
    assert (await client.request("DELETE", f"{V3}/devices/{login['device_id']}", body=body)).status == 401
    assert (await person.go_on(page)).status == 200
    assert (await client.request("DELETE", f"{V3}/devices/{login['device_id']}", body=body)).status == 200


async def test_the_servers_own_pages_lead_there_and_back(server: TestServer, idp: Idp) -> None:
    person = Person(server, idp)
    begin = "/_weft/single_sign_on/begin/company?"
    assert (await person.ask("GET", begin + urlencode({"next": "//evil.org/"}))).status == 400
    answer = await person.come_back(await person.leave(begin + urlencode({"next": "/_weft/oauth/authorize?a=b"})))
    assert answer.headers["location"] == "/_weft/oauth/authorize?a=b"
