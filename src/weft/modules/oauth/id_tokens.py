"""ID tokens: what clients that ask for the scope `openid` are told of who has logged in.

Matrix has no use for them (`/whoami` says it), but clients of OpenID Connect's making do not go on without one. The key
that signs them is made of the server's own, so that all processes have the same and none is kept.

https://openid.net/specs/openid-connect-core-1_0.html#IDToken
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import OKPKey

from weft.protocol.signatures import SigningKey, encode_base64_url_safe

ALGORITHM: Final = "Ed25519"
_LIFETIME: Final = 3600


class IdTokens:
    def __init__(self, issuer: str, server_key: SigningKey) -> None:
        self._issuer = issuer
        seed = hashlib.blake2b(key=server_key.seed, digest_size=32, person=b"weft id tokens").digest()
        public = encode_base64_url_safe(SigningKey("ed25519:oauth", seed).verify_key.data)
        key_id = encode_base64_url_safe(hashlib.sha256(public.encode()).digest()[:9])
        self.public: dict[str, Any] = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": public,
            "kid": key_id,
            "alg": ALGORITHM,
            "use": "sig",
        }
        self._header = {"alg": ALGORITHM, "kid": key_id, "typ": "JWT"}
        self._key = OKPKey.import_key({**self.public, "d": encode_base64_url_safe(seed)})

    def make(self, user_id: str, client_id: str, nonce: str | None, now_ms: int) -> str:
        """A token that says to a client who has logged in."""
        now = now_ms // 1000
        claims = {"iss": self._issuer, "sub": user_id, "aud": client_id, "iat": now, "exp": now + _LIFETIME}
        if nonce is not None:
            claims["nonce"] = nonce
        return jwt.encode(self._header, claims, self._key, algorithms=[ALGORITHM])
