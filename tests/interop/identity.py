"""A small identity server: it keeps invites to addresses, says whose an address is now, and whether its key is good.

https://spec.matrix.org/v1.19/identity-service-api/
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from tests.interop.people import Person
from weft.http.serve import HttpServer, Listener, Tls
from weft.protocol.signatures import SigningKey, sign_json

_V2: Final = "/_matrix/identity/v2"
_TOKEN: Final = "a-token-of-the-identity-server"

Json = dict[str, Any]


class IdentityServer:
    """Answers over TLS at `name`, a host with a port."""

    def __init__(self, tls: Tls) -> None:
        self.name = ""
        self.token = _TOKEN
        self.key = SigningKey("ed25519:0", secrets.token_bytes(32))
        self.is_key_good = True
        #: The invites that wait, with the tokens under which rooms know them, and what keys it was asked about.
        self.waiting: list[Json] = []
        self.asked: list[str] = []
        self._http = HttpServer([Listener("127.0.0.1", 0, frozenset({"client"}), tls)], lambda _: self._app, grace=1)
        self._answers: dict[tuple[str, str], Callable[[Json, dict[str, str]], Json]] = {
            ("GET", f"{_V2}/hash_details"): lambda _, __: {"algorithms": ["none", "sha256"], "lookup_pepper": "pepper"},
            ("POST", f"{_V2}/lookup"): lambda _, __: {"mappings": {}},
            ("POST", f"{_V2}/store-invite"): lambda body, _: self.store(body),
            ("GET", f"{_V2}/pubkey/isvalid"): lambda _, query: self._is_valid(query["public_key"]),
        }

    async def start(self) -> None:
        await self._http.start()
        ((_, _, port),) = self._http.addresses()
        self.name = f"localhost:{port}"

    async def stop(self) -> None:
        await self._http.stop()

    def store(self, invite: Json) -> Json:
        """Keeps an invite until the address is somebody's; what the inviting server is told."""
        token = secrets.token_hex(8)
        self.waiting.append({**invite, "token": token})
        key = {
            "public_key": self.key.verify_key.to_base64(),
            "key_validity_url": f"https://{self.name}{_V2}/pubkey/isvalid",
        }
        return {"token": token, "public_keys": [key], "display_name": f"{invite['address'][0]}…"}

    async def bound(self, person: Person, address: str, method: str) -> int:
        """The address is somebody's now: tells their server of the invites that waited for it, and what it answered."""
        invites = []
        for kept in (one for one in self.waiting if one["address"] == address):
            claim = {"mxid": person.user_id, "sender": kept["sender"], "token": kept["token"]}
            invites.append(
                {
                    **{name: kept[name] for name in ("medium", "address", "room_id", "sender")},
                    "mxid": person.user_id,
                    "signed": sign_json(claim, self.name, self.key),
                }
            )
        body = {"medium": "email", "address": address, "mxid": person.user_id, "invites": invites}
        return (await person.to_federation(method, "/_matrix/federation/v1/3pid/onbind", body)).status

    def _is_valid(self, public_key: str) -> Json:
        self.asked.append(public_key)
        return {"valid": self.is_key_good and public_key == self.key.verify_key.to_base64()}

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        content = b""
        while (message := await receive())["type"] == "http.request":
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = dict(parse_qsl(scope["query_string"].decode()))
        answer = self._answers.get((scope["method"], scope["path"]))
        found = {"errcode": "M_NOT_FOUND"} if answer is None else answer(orjson.loads(content or b"{}"), query)
        status, body = 404 if answer is None else 200, orjson.dumps(found)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
