"""Identifiers without a sigil: namespaced and opaque ones, keys, devices, transactions, client secrets.

Rules: https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar
       https://spec.matrix.org/v1.19/appendices/#opaque-identifiers
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from weft.protocol.errors import InvalidParam

_NAMESPACED: Final = re.compile(r"[a-z][a-z0-9._-]{0,254}", re.A)
_OPAQUE: Final = re.compile(r"[0-9A-Za-z._~-]+", re.A)
_CLIENT_SECRET: Final = re.compile(r"[0-9A-Za-z.=_-]{1,255}", re.A)
_ALGORITHM: Final = re.compile(r"[a-z0-9_.-]+", re.A)
_KEY_VERSION: Final = re.compile(r"[A-Za-z0-9_]+", re.A)
_LONGEST: Final = 255


class KeyId(NamedTuple):
    """`ed25519:abc` is version `abc` of a key of the algorithm `ed25519`; for a device, the version is its id."""

    algorithm: str
    version: str


def is_namespaced_identifier(identifier: str) -> bool:
    return _NAMESPACED.fullmatch(identifier) is not None


def is_opaque_identifier(identifier: str, *, longest: int = _LONGEST) -> bool:
    """`longest` is in characters; registration tokens have 64."""
    return len(identifier) <= longest and _OPAQUE.fullmatch(identifier) is not None


def parse_key_id(identifier: str) -> KeyId:
    """Raises `InvalidParam`. The version may be anything: see `is_valid_key_version` for servers' keys."""
    algorithm, colon, version = identifier.partition(":")
    if len(identifier) > _LONGEST or not colon or not version or _ALGORITHM.fullmatch(algorithm) is None:
        raise InvalidParam(f"{identifier[:64]!r} is not a key id.")
    return KeyId(algorithm, version)


def is_valid_key_version(version: str) -> bool:
    """Whether a server's signing key may have this version.

    https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
    """
    return len(version) <= _LONGEST and _KEY_VERSION.fullmatch(version) is not None


def is_valid_device_id(identifier: str) -> bool:
    """The specification sets no grammar for device ids; this bounds them."""
    return _is_short_text(identifier)


def is_valid_transaction_id(identifier: str) -> bool:
    """The specification sets no grammar for transaction ids; this bounds them."""
    return _is_short_text(identifier)


def is_valid_client_secret(secret: str) -> bool:
    """Also the grammar of `sid`. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken"""
    return _CLIENT_SECRET.fullmatch(secret) is not None


def _is_short_text(identifier: str) -> bool:
    return 0 < len(identifier) <= _LONGEST and identifier.isprintable()
