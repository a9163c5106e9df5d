"""How an authentication session is kept, so that only its holder can read it.

A session holds requests with passwords in them. What is stored is encrypted with a key made from the session id, and is
found by another hash of it; the id itself is known to the client alone.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from weft.protocol.ui_auth import Scheme, Session


class Kept(msgspec.Struct, frozen=True):
    """A session, and what its operation asks for, which a page in a browser has to know too."""

    session: Session
    flows: list[list[str]]
    params: dict[str, Any]
    body_may_change: bool

    @property
    def scheme(self) -> Scheme:
        return Scheme(self.flows, self.params, self.body_may_change)


NONCE_SIZE = SecretBox.NONCE_SIZE

_decode = msgspec.json.Decoder(Kept).decode


def kept(session: Session, scheme: Scheme) -> Kept:
    return Kept(session, [list(flow) for flow in scheme.flows], dict(scheme.params), scheme.body_may_change)


def name_of(session_id: str) -> bytes:
    """Under which a session is found."""
    return _hash(session_id, b"weft session")


def seal(value: Kept, nonce: bytes) -> bytes:
    return SecretBox(_hash(value.session.session_id, b"weft sealing")).encrypt(msgspec.json.encode(value), nonce)


def unseal(sealed: bytes, session_id: str) -> Kept | None:
    """None for what this id does not open."""
    try:
        return _decode(SecretBox(_hash(session_id, b"weft sealing")).decrypt(sealed))
    except (CryptoError, msgspec.MsgspecError):
        return None


def _hash(session_id: str, purpose: bytes) -> bytes:
    return hashlib.blake2b(session_id.encode(), digest_size=32, person=purpose).digest()
