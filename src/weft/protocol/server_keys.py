"""A server's document of signing keys: which keys it has, which it had, until when that holds.

A document is signed by its server with the keys that it lists as current: one good signature there must be, and no
wrong one. How long a key counts is up to whoever keeps it (`MAX_LIFETIME_MS`).

https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from weft.protocol import canonical_json
from weft.protocol.errors import InvalidParam, MatrixError, PeerError
from weft.protocol.identifiers import is_valid_server_name, parse_key_id
from weft.protocol.signatures import ALGORITHM, SigningKey, VerifyKey, key_ids_of, sign_json, verify_json

#: However long a server says that its keys are good for: this much from when one was told so, and no longer.
MAX_LIFETIME_MS: Final = 7 * 24 * 3_600_000
#: Keys of one document. The bound is ours.
MAX_KEYS: Final = 100


class OldKey(NamedTuple):
    """A key that signed events until `expired_ms`, and nothing since."""

    key: VerifyKey
    expired_ms: int


class ServerKeys(NamedTuple):
    """A document whose own signatures are good."""

    server_name: str
    valid_until_ms: int
    keys: Mapping[str, VerifyKey]
    old_keys: Mapping[str, OldKey]
    #: The whole of it, for whoever passes it on.
    value: dict[str, Any]


def parse(data: bytes | memoryview, *, server_name: str | None = None) -> ServerKeys:
    """Reads a document and checks the signatures of the server that it is about.

    Raises `PeerError` if it is not one, not `server_name`'s, or not signed. Keys of other algorithms are left out.
    """
    try:
        value = canonical_json.decode(data)
    except MatrixError as error:
        raise PeerError(f"the document of keys is not canonical JSON: {error.message}") from None
    if type(value) is not dict:
        raise PeerError("the document of keys is not an object")
    name, until = value.get("server_name"), value.get("valid_until_ts")
    if type(name) is not str or not is_valid_server_name(name) or server_name not in (None, name):
        raise PeerError(f"the document of keys is not {server_name or 'any server'}'s")
    if type(until) is not int:
        raise PeerError(f"{name} does not say until when its keys are good")
    keys = {key_id: _key(key_id, entry) for key_id, entry in _entries(value, "verify_keys")}
    if not keys:
        raise PeerError(f"{name} has no key")
    signers = [keys[key_id] for key_id in key_ids_of(value, name) if key_id in keys]
    if not signers:
        raise PeerError(f"{name} did not sign its document of keys")
    for key in signers:
        verify_json(value, name, key)
    return ServerKeys(name, until, keys, dict(_old_keys(value, keys)), value)


def _old_keys(value: Mapping[str, Any], keys: Mapping[str, VerifyKey]) -> Iterator[tuple[str, OldKey]]:
    """The former keys; what is not one is left out, because it is no reason to do without the current ones."""
    for key_id, entry in _entries(value, "old_verify_keys"):
        expired = entry.get("expired_ts")
        if key_id not in keys and type(expired) is int:
            with suppress(PeerError):
                yield key_id, OldKey(_key(key_id, entry), expired)


def make(
    server_name: str, keys: Iterable[SigningKey], old_keys: Iterable[OldKey], *, valid_until_ms: int
) -> dict[str, Any]:
    """A document of our own, signed with each of the current keys."""
    keys = list(keys)
    document: dict[str, Any] = {
        "server_name": server_name,
        "valid_until_ts": valid_until_ms,
        "verify_keys": {key.key_id: {"key": key.verify_key.to_base64()} for key in keys},
        "old_verify_keys": {
            old.key.key_id: {"key": old.key.to_base64(), "expired_ts": old.expired_ms} for old in old_keys
        },
    }
    for key in keys:
        document = sign_json(document, server_name, key)
    return document


def _entries(value: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    """The Ed25519 keys under a name of the document."""
    entries = value.get(name, {})
    if type(entries) is not dict or len(entries) > MAX_KEYS:
        raise PeerError(f"{name} is not an object, or holds more than {MAX_KEYS} keys")
    found = []
    for key_id, entry in entries.items():
        if _algorithm(key_id) == ALGORITHM:
            if type(entry) is not dict:
                raise PeerError(f"{name} holds what is not a key")
            found.append((key_id, entry))
    return found


def _algorithm(key_id: str) -> str | None:
    try:
        return parse_key_id(key_id).algorithm if len(key_id) <= 255 else None
    except InvalidParam:
        return None


def _key(key_id: str, entry: Mapping[str, Any]) -> VerifyKey:
    text = entry.get("key")
    try:
        if type(text) is str:
            return VerifyKey.from_base64(key_id, text)
    except InvalidParam:
        pass
    raise PeerError(f"{key_id} is not a key")
