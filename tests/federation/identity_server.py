"""As much of an identity server as a homeserver asks that makes an invite of one to an address."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

from weft.protocol.signatures import SigningKey, sign_json
from weft.testing.server import key_of

IDENTITY: Final = "identity.test"


class IdentityServer:
    """`url` is where it answers, once it does. Its key is good until `is_valid` says otherwise."""

    def __init__(self) -> None:
        self.url = f"https://{IDENTITY}"
        self.key: SigningKey = key_of(IDENTITY)
        self.is_valid = True
        #: The keys that it was asked about.
        self.asked: list[str] = []

    @property
    def offer(self) -> dict[str, Any]:
        """The content of an `m.room.third_party_invite`."""
        key = {"public_key": self.key.verify_key.to_base64(), "key_validity_url": f"{self.url}/valid"}
        return {"display_name": "bob@…", **key, "public_keys": [key]}

    def sign(self, **claim: str) -> dict[str, Any]:
        return sign_json(claim, IDENTITY, self.key)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += parse_qs(scope["query_string"].decode())["public_key"]
        body = b'{"valid":%s}' % (b"true" if self.is_valid else b"false")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
