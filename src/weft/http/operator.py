"""How the command line shows a running server that it is the operator's: by knowing the registration secret.

The proof is a time and a keyed hash over it and the request, so that it serves for one request, for a minute:
`Weft-Operator: 1790000000000.<HMAC-SHA256, hexadecimal>`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

HEADER: Final = "Weft-Operator"
_GOOD_FOR_MS: Final = 60_000


def proof(secret: str, *, method: str, path: str, now_ms: int) -> str:
    """The header's value. `path` is the path and query as they are sent, percent-encoded."""
    return f"{now_ms}.{_hash(secret, method, path, now_ms)}"


def proves(given: str, secret: str, *, method: str, path: str, now_ms: int) -> bool:
    """Whether a header's value shows knowledge of the secret."""
    made, _, digest = given.partition(".")
    if not (made.isascii() and made.isdigit() and len(made) < 16) or abs(now_ms - int(made)) > _GOOD_FOR_MS:
        return False
    return hmac.compare_digest(digest.encode(), _hash(secret, method, path, int(made)).encode())


def _hash(secret: str, method: str, path: str, now_ms: int) -> str:
    text = "\0".join(("weft-operator", str(now_ms), method, path))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
