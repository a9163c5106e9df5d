"""What clients upload as keys: checked for its shape and bounded, and written as canonical JSON.

What a key is good for only clients can tell: signatures are not looked at here.

https://spec.matrix.org/v1.19/client-server-api/#key-algorithms
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from weft.modules.keys.signing_store import SigningKey
from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidParam, TooLarge
from weft.protocol.signatures import VerifyKey, signable

#: Bytes of one key, with its signatures.
_MOST_BYTES: Final = 16_384
_Short = Annotated[str, Meta(max_length=512)]
_Signatures = Annotated[dict[_Short, Annotated[dict[_Short, _Short], Meta(max_length=100)]], Meta(max_length=100)]


class _DeviceKeys(msgspec.Struct):
    user_id: str
    device_id: str
    algorithms: Annotated[list[_Short], Meta(max_length=100)]
    keys: Annotated[dict[_Short, _Short], Meta(max_length=20)]
    signatures: _Signatures


class _KeyObject(msgspec.Struct):
    key: _Short
    signatures: _Signatures
    fallback: bool = False


class _SigningKey(msgspec.Struct):
    user_id: str
    usage: Annotated[list[_Short], Meta(max_length=10)]
    keys: Annotated[dict[_Short, _Short], Meta(max_length=10)]
    signatures: _Signatures = {}


class NamedKey(NamedTuple):
    """A one-time or fallback key; `key` is canonical JSON."""

    algorithm: str
    key_id: str
    key: bytes


def device_keys(value: Mapping[str, Any], user_id: str, device_id: str) -> bytes:
    """The identity of a device, as it is kept. Raises `BadJson` where it is none, or another device's."""
    read = _convert(value, _DeviceKeys, "device_keys")
    if read.user_id != user_id or read.device_id != device_id:
        raise BadJson("The keys are not those of the device that uploads them.")
    return encoded(own_part(value, user_id))


def signing_key(value: Mapping[str, Any], user_id: str, usage: str) -> SigningKey:
    """A key that signs others, as it is kept. Raises `BadJson`; `InvalidParam` for another's, or of another usage."""
    read = _convert(value, _SigningKey, f"{usage}_key")
    if read.user_id != user_id or usage not in read.usage or len(read.keys) != 1:
        raise InvalidParam(f"The {usage} key is not one of its user for that usage, with one public key.")
    ((key_id, public_key),) = read.keys.items()
    verify_key = VerifyKey.from_base64(key_id, public_key)
    if key_id != f"ed25519:{public_key}" or verify_key.to_base64() != public_key:
        raise InvalidParam(f"The {usage} key is not named by itself, in unpadded base64.")
    return SigningKey(user_id, usage, public_key, encoded(own_part(value, user_id)))


def own_part(value: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """A key without what others have added: of the signatures, those by its own user."""
    kept = {name: member for name, member in value.items() if name != "unsigned"}
    if "signatures" in kept:
        own = kept["signatures"].get(user_id)
        kept["signatures"] = {} if own is None else {user_id: own}
    return kept


def signed_part(value: Mapping[str, Any]) -> bytes:
    """What signatures of a key cover. Raises `BadJson`."""
    return signable(value)


def identity_of(keys: bytes) -> dict[str, str]:
    """The public keys of a device by their ids."""
    return _STORED.decode(keys).keys


def named_keys(values: Mapping[str, Any] | None, name: str) -> list[NamedKey]:
    """One-time or fallback keys by `<algorithm>:<key_id>`. Raises `BadJson`; `name` says of what."""
    found: list[NamedKey] = []
    for full_id, value in (values or {}).items():
        algorithm, colon, key_id = full_id.partition(":")
        if not (algorithm and colon and key_id) or ":" in key_id or len(full_id) > 255:
            raise BadJson(f"The keys of {name} are named by an algorithm, a colon and an id.")
        if not isinstance(value, str):
            _convert(value, _KeyObject, name)
        found.append(NamedKey(algorithm, key_id, encoded(value)))
    return found


def encoded(value: Any) -> bytes:
    """Canonical JSON of a key. Raises `BadJson` for what has none, `TooLarge`."""
    data = canonical_json.encode(value)
    if len(data) > _MOST_BYTES:
        raise TooLarge("A key has at most 16 KiB.")
    return data


class _Stored(msgspec.Struct):
    keys: dict[str, str]


_STORED: Final = msgspec.json.Decoder(_Stored)


def _convert(value: Any, kind: type[Any], name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadJson(f"{name} is not in its format: {error}") from None
