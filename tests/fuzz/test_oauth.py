"""The pages and forms of the OAuth 2.0 API, sent all kinds of nonsense: never a 5xx, and nobody is sent elsewhere.

`WEFT_FUZZ_ROUNDS` and `WEFT_SEED` as in test_endpoints.py.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.fuzz.generate import HOSTILE_STRINGS
from tests.modules.browsing import FORM, SETTINGS, VERIFIER, App, Browser, challenge
from weft.protocol.oauth import clients
from weft.testing import TestServer

ROUNDS = int(os.environ.get("WEFT_FUZZ_ROUNDS", "25")) * 20
SEED = int(os.environ.get("WEFT_SEED", "1"))
SCOPE = "urn:matrix:client:api:* urn:matrix:client:device:PHONE12345"
FIELDS = {
    "response_type": ["code"],
    "response_mode": ["query", "fragment"],
    "client_id": [],
    "redirect_uri": ["https://app.example.com/callback"],
    "scope": [SCOPE, f"openid {SCOPE}"],
    "state": ["state"],
    "nonce": ["nonce"],
    "prompt": ["create", "none", "login"],
    "login_hint": ["mxid:@alice:weft.test"],
    "code_challenge": [challenge(VERIFIER)],
    "code_challenge_method": ["S256", "plain"],
    "grant_type": [*clients.GRANTS],
    "code": ["x" * 40],
    "code_verifier": [VERIFIER],
    "refresh_token": ["wefr_" + "x" * 24 + "_" + "y" * 40],
    "device_code": ["x" * 40],
    "token": [],
    "user_code": ["BCDF-GHJK"],
    "action": ["org.matrix.profile", "org.matrix.device_view", "org.matrix.cross_signing_reset", "password"],
    "device_id": ["PHONE12345"],
    "session": ["unknown"],
    "step": ["sign_in", "register", "allow", "do"],
    "csrf": [],
    "user": ["alice", "somebody"],
    "password": ["correct horse"],
    "name": ["Alice"],
}
PATHS = ["oauth/authorize", "oauth/token", "oauth/revoke", "oauth/register", "oauth/device", "link", "account"]
OURS = ("https://app.example.com/callback", "?")


async def test_pages_and_forms(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings=SETTINGS)
    await server.start()
    alice = await server.user("alice")
    app, browser = App(server), Browser(server)
    await app.log_in(browser)
    await browser.open("/_weft/account")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    chooser = random.Random(SEED)
    known = {**FIELDS, "client_id": [app.client_id], "csrf": [browser.csrf], "token": [alice.token or ""]}

    def fields() -> str:
        wrongness = chooser.choice([0.0, 0.1, 0.5])
        pairs = []
        for name, values in known.items():
            if name == "csrf" or chooser.random() < 0.7:
                is_wrong = not values or chooser.random() < wrongness
                pairs.append((name, chooser.choice(HOSTILE_STRINGS)[:3_000] if is_wrong else chooser.choice(values)))
        if chooser.random() < wrongness:
            pairs.append(chooser.choice(pairs))
        chooser.shuffle(pairs)
        return urlencode(pairs, quote_via=quote, errors="surrogatepass")

    for _ in range(ROUNDS):
        path = chooser.choice(PATHS)
        method = chooser.choice(["GET", "POST"]) if path in ("oauth/authorize", "link", "account") else "POST"
        body = (
            chooser.choice([fields().encode(), fields().encode(), chooser.randbytes(50)]) if method == "POST" else b""
        )
        headers = {**FORM, "cookie": chooser.choice([cookie, cookie, "", chooser.choice(HOSTILE_STRINGS)[:50]])}
        headers = {name: value.encode("latin-1", "replace").decode("latin-1") for name, value in headers.items()}
        headers["cookie"] = "".join(char for char in headers["cookie"] if char.isascii())
        answer = await server.client().request(method, f"/_weft/{path}?{fields()}", body=body, headers=headers)
        said = f"{method} {path} {body[:500]!r} → {answer.status} {answer.body[:300]!r}"
        assert answer.status < 500, said
        assert answer.headers.get("location", "?").startswith(OURS), said
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert b"<script" not in answer.body, said
    await server.stop()
