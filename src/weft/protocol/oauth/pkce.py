"""Proof key for code exchange: who redeems a code shows that it was them who asked for it.

Only `S256` is known: `plain` would show the proof to whoever sees the request.

https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from weft.protocol.signatures import encode_base64_url_safe

METHOD: Final = "S256"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.A)
#: A SHA-256 in unpadded base64.
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.A)


def is_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    return encode_base64_url_safe(hashlib.sha256(verifier.encode()).digest())


def is_proof(verifier: str, challenge: str) -> bool:
    """Whether a verifier is one, and the one that the challenge was made of."""
    return _VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(challenge_of(verifier), challenge)
