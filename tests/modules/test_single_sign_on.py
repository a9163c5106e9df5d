"""Single sign-on with a provider that can lie."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.modules.browsing import BASE, FORM
from tests.modules.conftest import TWINS, Start
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
APP = "https://app.example.com/"


class Idp:
    """An honest provider, until it is told what to say instead."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
        self.signs_with = self.key
        self.claims: dict[str, Any] = {"sub": "1234", "preferred_username": "Alice", "name": "Alice A."}
        self.lies: dict[str, Any] = {}
        #: More of what it says of itself, and what its endpoint for claims tells.
        self.more: dict[str, Any] = {}
        self.user_info: dict[str, Any] = {}
        #: The head of its tokens, and how it was shown the client's secret.
        self.head = {"alg": "RS256", "kid": "one"}
        self.secret_by: list[str] = []
        self.asked: dict[str, str] = {}
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.metadata)
        app.router.add_get("/keys", self.keys)
        app.router.add_post("/token", self.token)
        app.router.add_get("/userinfo", self.userinfo)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def metadata(self, request: web.Request) -> web.Response:
        names = {f"{name}_endpoint": f"{self.url}/{name}" for name in ("authorization", "token")}
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **names, **self.more})

    async def userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a"
        return web.json_response(self.user_info)

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["code"] == "good"
        assert form["code_verifier"]
        self.secret_by += [name for name in ("Authorization",) if name in request.headers]
        self.secret_by += [name for name in ("client_secret",) if name in form]
        now = int(time.time())
        base = {"iss": self.url, "aud": "weft", "exp": now + 10**9, "iat": 0, "nonce": self.asked["nonce"]}
        claims = {**base, **self.claims, **self.lies}
        token = jwt.encode(self.head, claims, self.signs_with) if self.head["alg"] == "RS256" else self.forged(claims)
        return web.json_response({"access_token": "a", "token_type": "Bearer", "id_token": token})

    def forged(self, claims: dict[str, Any]) -> str:
        """A token without a signature, or with one that everybody can make who knows the public key."""
        parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (self.head, claims)]
        signature = b""
        if self.head["alg"] == "HS256":
            made = hmac.digest(self.key.as_pem(private=False), b".".join(parts), "sha256")
            signature = base64.urlsafe_b64encode(made).rstrip(b"=")
        return b".".join([*parts, signature]).decode()


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

    async def come_back(self, state: str, *, to: str = "company", **more: str) -> Answer:
        query = urlencode({"state": state, "code": "good", **more})
        return await self.ask("GET", f"/_weft/single_sign_on/callback/{to}?{query}")

    async def there_and_back(self) -> Answer:
        return await self.come_back(await self.leave(redirect(APP)))

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


def provider(idp: Idp, **changes: Any) -> dict[str, Any]:
    return {"id": "company", "name": "Company", "issuer": idp.url, "client_id": "weft", **changes}


def settings(*providers: dict[str, Any], **more: Any) -> dict[str, Any]:
    sso = {"providers": list(providers), "trusted_clients": [APP]}
    return {"server": {"public_url": BASE}, "single_sign_on": sso, **more}


@pytest_asyncio.fixture
async def server(start_server: Start, idp: Idp) -> TestServer:
    return await start_server(settings(provider(idp)))


async def logged_in(server: TestServer, answer: Answer) -> Client:
    """The client that a login token is good for."""
    asked = {"type": "m.login.token", "token": token_of(answer)}
    login = (await server.client().post(f"{V3}/login", asked)).ok()
    return server.client(login["access_token"], user_id=login["user_id"])


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


# -- how a provider is asked


async def test_one_of_several_is_chosen_and_no_answer_is_good_for_another(start_server: Start, idp: Idp) -> None:
    server = await start_server(settings(provider(idp), provider(idp, id="club", name="The <Club>")))
    person = Person(server, idp)
    page = await person.ask("GET", redirect(APP, ""))
    assert b"The &lt;Club&gt;" in page.body
    links = re.findall(r'href="([^"]+)"', page.body.decode())
    assert len(links) == 2
    state = await person.leave(html.unescape(links[1]))
    assert (await person.come_back(state)).status == 400
    state = await person.leave(html.unescape(links[1]))
    token_of(await person.come_back(state, to="club"))
    assert (await person.ask("GET", redirect(APP, "/nobody"))).status == 404


async def test_what_the_token_does_not_say_is_asked_for(server: TestServer, idp: Idp) -> None:
    idp.more = {"userinfo_endpoint": f"{idp.url}/userinfo"}
    idp.claims = {"sub": "1234"}
    idp.user_info = {"sub": "somebody else", "preferred_username": "Alice"}
    assert (await Person(server, idp).there_and_back()).status == 403
    idp.user_info["sub"] = "1234"
    client = await logged_in(server, await Person(server, idp).there_and_back())
    assert str(client.user_id).startswith("@alice:")


@pytest.mark.parametrize(("methods", "way"), [(None, "Authorization"), (["client_secret_post"], "client_secret")])
async def test_the_secret_is_shown_as_the_provider_wants(
    start_server: Start, idp: Idp, tmp_path: Path, methods: list[str] | None, way: str
) -> None:
    secret = tmp_path / "company.secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    server = await start_server(settings(provider(idp, client_secret_file=str(secret))))
    if methods is not None:
        idp.more = {"token_endpoint_auth_methods_supported": methods}
    token_of(await Person(server, idp).there_and_back())
    assert idp.secret_by == [way]


@pytest.mark.parametrize("alg", ["none", "HS256"])
async def test_only_signatures_of_the_providers_key_count(server: TestServer, idp: Idp, alg: str) -> None:
    idp.head = {"alg": alg, "kid": "one"}
    assert (await Person(server, idp).there_and_back()).status == 403


async def test_a_new_key_is_found(server: TestServer, idp: Idp) -> None:
    token_of(await Person(server, idp).there_and_back())
    idp.key = idp.signs_with = RSAKey.generate_key(2048, {"kid": "two"}, private=True)
    idp.head = {"alg": "RS256", "kid": "two"}
    if not TWINS:  # the other of which has read no keys yet
        # Whoever makes keys up does not have the provider asked each time.
        assert (await Person(server, idp).there_and_back()).status == 403
    server.clock.advance(61)
    token_of(await Person(server, idp).there_and_back())


# -- who gets which account


async def test_documents_are_accepted_by_who_gets_an_account(start_server: Start, idp: Idp) -> None:
    terms = [{"id": "privacy", "version": "1", "language": "en", "name": "Privacy", "url": "https://x.test/privacy"}]
    server = await start_server(settings(provider(idp), registration={"mode": "closed", "terms": terms}))
    person = Person(server, idp)
    page = await person.there_and_back()
    assert b"https://x.test/privacy" in page.body
    page = await person.go_on(page, user="alice")
    assert page.status == 403
    assert b"Please accept" in page.body
    token_of(await person.go_on(page, user="alice", accepted="privacy"))
    token_of(await person.there_and_back())


async def test_where_no_accounts_are_made_strangers_get_none(start_server: Start, idp: Idp) -> None:
    server = await start_server(settings(provider(idp, registration=False)))
    answer = await Person(server, idp).there_and_back()
    assert answer.status == 403
    assert b"You have no account" in answer.body


async def test_where_names_are_believed_people_get_the_accounts_of_theirs(start_server: Start, idp: Idp) -> None:
    server = await start_server(settings(provider(idp, existing_accounts=True)))
    alice = await server.user("alice")
    client = await logged_in(server, await Person(server, idp).there_and_back())
    assert client.user_id == alice.user_id
    guest = (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()["user_id"]
    bob = await server.user("bob")
    await server.server.accounts.deactivate(str(bob.user_id), erase=False)
    for sub, name in (("2", guest[1:].partition(":")[0]), ("3", "bob")):
        idp.claims = {"sub": sub, "preferred_username": name, "name": "Somebody"}
        page = await Person(server, idp).there_and_back()
        assert b"Create your account" in page.body


@pytest.mark.parametrize(("verified", "addresses"), [(True, ["alice@example.org"]), (False, []), ("true", [])])
async def test_an_address_counts_where_it_is_verified(
    server: TestServer, idp: Idp, verified: object, addresses: list[str]
) -> None:
    idp.claims |= {"email": "Alice@Example.org", "email_verified": verified}
    client = await logged_in(server, await Person(server, idp).there_and_back())
    found = (await client.get(f"{V3}/account/3pid")).ok()["threepids"]
    assert [one["address"] for one in found] == addresses


async def test_an_account_that_is_locked_or_has_ended_is_not_logged_in(server: TestServer, idp: Idp) -> None:
    root = await server.user("root")
    client = await logged_in(server, await Person(server, idp).there_and_back())
    locked = f"/_matrix/client/v1/admin/lock/{client.user_id}"
    (await root.put(locked, {"locked": True})).ok()
    assert b"has been locked" in (await Person(server, idp).there_and_back()).body
    (await root.put(locked, {"locked": False})).ok()
    await server.server.accounts.deactivate(str(client.user_id), erase=False)
    answer = await Person(server, idp).there_and_back()
    assert answer.status == 403
    assert b"has been deactivated" in answer.body
