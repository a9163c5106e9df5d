"""A browser for tests of the server's own pages, and an OAuth client that sends people there."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from weft.testing import Answer, Client, TestServer

BASE = "https://matrix.weft.test"
SETTINGS: dict[str, Any] = {"server": {"public_url": BASE}}
PASSWORD = "correct horse"
FORM = {"content-type": "application/x-www-form-urlencoded"}
VERIFIER = "v" * 43


class Browser:
    """Keeps cookies, goes where it is sent (on this server), and remembers the page that it shows."""

    def __init__(self, server: TestServer, **options: Any) -> None:
        self._client = server.client(**options)
        self.cookies: dict[str, str] = {}
        self.url = ""
        self.page = Answer(0, {}, b"")

    async def open(self, url: str) -> Answer:
        return await self._go("GET", url)

    async def submit(self, step: str, *, csrf: str | None = None, **fields: Any) -> Answer:
        """Sends the form of the page that is shown, by the button `step`."""
        sent = {"csrf": self.csrf if csrf is None else csrf, "step": step, **fields}
        return await self._go("POST", self.url, urlencode(sent, doseq=True).encode())

    async def sign_in(self, user: str = "alice", password: str = PASSWORD) -> Answer:
        return await self.submit("sign_in", user=user, password=password)

    @property
    def text(self) -> str:
        return self.page.body.decode()

    @property
    def title(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        return unescape(found[1]) if found else ""

    @property
    def problem(self) -> str:
        found = re.search(r'role="alert">(.*?)</p>', self.text)
        return unescape(found[1]) if found else ""

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.text)
        return found[1] if found else ""

    async def _go(self, method: str, url: str, body: bytes = b"") -> Answer:
        for _ in range(5):
            target = urljoin(f"{BASE}{self.url}", url)
            if not target.startswith(f"{BASE}/"):
                break
            self.url = target.removeprefix(BASE)
            headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **FORM}
            self.page = await self._client.request(method, self.url, body=body, headers=headers)
            self._keep(self.page.headers.get("set-cookie"))
            if self.page.status != 303:
                break
            url, method, body = self.page.headers["location"], "GET", b""
        return self.page

    def _keep(self, cookie: str | None) -> None:
        if cookie is not None:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value


@dataclass
class App:
    """An OAuth client; `metadata` is what it says of itself besides the ordinary."""

    server: TestServer
    metadata: dict[str, Any] = field(default_factory=dict)
    redirect_uri: str = "https://app.example.com/callback"
    device_id: str = "PHONE12345"
    client_id: str = ""

    def __post_init__(self) -> None:
        self.http: Client = self.server.client()

    async def register(self) -> Answer:
        body = {
            "client_name": "Example",
            "client_uri": "https://example.com/",
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            **self.metadata,
        }
        answer = await self.http.post("/_weft/oauth/register", body)
        self.client_id = answer.json.get("client_id", "")
        return answer

    def address(self, **parameters: str | None) -> str:
        """Where it sends people; a parameter of None is left out."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": f"urn:matrix:client:api:* urn:matrix:client:device:{self.device_id}",
            "state": "its state",
            "response_mode": "fragment",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            **parameters,
        }
        return "/_weft/oauth/authorize?" + urlencode({k: v for k, v in asked.items() if v is not None})

    async def code(self, browser: Browser, user: str = "alice", **parameters: str | None) -> str:
        """Has somebody sign in and consent; the code that it is sent."""
        await browser.open(self.address(**parameters))
        if "Sign in to" not in browser.title:
            await browser.sign_in(user)
        return answered(await browser.submit("allow"))["code"]

    async def token(self, **parameters: str | None) -> Answer:
        """A request to the token endpoint."""
        form = {"client_id": self.client_id, **parameters}
        body = urlencode({k: v for k, v in form.items() if v is not None}).encode()
        return await self.http.request("POST", "/_weft/oauth/token", body=body, headers=FORM)

    async def redeem(self, code: str | None, **parameters: str | None) -> Answer:
        asked: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
            **parameters,
        }
        return await self.token(**asked)

    async def refresh(self, refresh_token: str, **parameters: str | None) -> Answer:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **parameters)

    async def revoke(self, token: str, **parameters: str) -> Answer:
        body = urlencode({"token": token, **parameters}).encode()
        return await self.http.request("POST", "/_weft/oauth/revoke", body=body, headers=FORM)

    async def log_in(self, browser: Browser, user: str = "alice") -> dict[str, Any]:
        """The whole of it: registers, has somebody consent, and gets tokens."""
        await self.register()
        return dict((await self.redeem(await self.code(browser, user))).ok())


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def answered(answer: Answer) -> dict[str, str]:
    """What a client is told where it is sent an answer."""
    assert answer.status == 303, answer.body[:500]
    parts = urlsplit(answer.headers["location"])
    found = parse_qs(parts.fragment or parts.query, strict_parsing=True)
    return {name: values[0] for name, values in found.items()}


def refused(answer: Answer, error: str, status: int = 400) -> None:
    """Fails the test unless an answer is just this error, in OAuth's form."""
    assert (answer.status, answer.json.get("error")) == (status, error), answer.body[:500]
    assert set(answer.json) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
