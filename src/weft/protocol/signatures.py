"""Signing JSON and checking signatures, with Ed25519; and the base64 that keys and hashes are written in.

Keys are values: whoever makes a new one brings the randomness, whoever checks a signature brings the key.

Rules: https://spec.matrix.org/v1.19/appendices/#signing-json
       https://spec.matrix.org/v1.19/appendices/#checking-for-a-signature
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError, CryptoError

from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidParam, PeerError
from weft.protocol.identifiers import is_valid_key_version, parse_key_id

ALGORITHM: Final = "ed25519"
_SIGNATURE_BYTES: Final = 64
_KEY_BYTES: Final = 32
_UNSIGNED_KEYS: Final = ("signatures", "unsigned")
_TO_STANDARD: Final = str.maketrans("-_", "+/")


# Base64


def encode_base64(data: bytes) -> str:
    """Unpadded, standard alphabet."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()


def encode_base64_url_safe(data: bytes) -> str:
    """Unpadded, URL-safe alphabet."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str, *, strict: bool = False) -> bytes:
    """Reads both alphabets, padded or not; `strict` asks for what `encode_base64` writes. Raises `ValueError`."""
    try:
        standard = text if strict else text.rstrip("=")
        if not strict and ("-" in standard or "_" in standard):
            standard = standard.translate(_TO_STANDARD)
        data = binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except ValueError:
        raise ValueError("The text is not base64.") from None
    if strict and encode_base64(data) != text:
        raise ValueError("The text is not unpadded base64 in its only spelling.")
    return data


def sha256_base64(data: bytes) -> str:
    """The digest in unpadded base64, as `hashes` has it."""
    return encode_base64(hashlib.sha256(data).digest())


# Keys


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a key; `key_id` is with its algorithm, as in `ed25519:abc`."""

    key_id: str
    data: bytes

    @classmethod
    def from_base64(cls, key_id: str, text: str) -> VerifyKey:
        """Raises `InvalidParam` for another algorithm, or a key of the wrong size."""
        _check_algorithm(key_id)
        return cls(key_id, _key_bytes(text))

    def to_base64(self) -> str:
        return encode_base64(self.data)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        if len(signature) != _SIGNATURE_BYTES:
            return False
        try:
            crypto_sign_open(signature + message, self.data)
        except (BadSignatureError, CryptoError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair; `key_id` is with its algorithm, as in `ed25519:abc`. The private half never shows in a repr."""

    key_id: str
    seed: bytes = field(repr=False)
    verify_key: VerifyKey = field(init=False, compare=False)
    _secret: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `InvalidParam` unless the id is that of a server's key and the seed has 32 bytes."""
        _check_algorithm(self.key_id)
        if not is_valid_key_version(parse_key_id(self.key_id).version):
            raise InvalidParam("The version of a signing key has letters, digits and underscores only.")
        if len(self.seed) != _KEY_BYTES:
            raise InvalidParam("The seed of a signing key has 32 bytes.")
        public, secret = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "verify_key", VerifyKey(self.key_id, public))
        object.__setattr__(self, "_secret", secret)

    @classmethod
    def from_base64(cls, key_id: str, text: str) -> SigningKey:
        """The key whose seed is written in `text`. Raises `InvalidParam`."""
        return cls(key_id, _key_bytes(text))

    def to_base64(self) -> str:
        """The seed, which is the whole secret."""
        return encode_base64(self.seed)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return crypto_sign(message, self._secret)[:_SIGNATURE_BYTES]


def _check_algorithm(key_id: str) -> None:
    if parse_key_id(key_id).algorithm != ALGORITHM:
        raise InvalidParam(f"{key_id[:64]!r} is not the id of an Ed25519 key.")


def _key_bytes(text: str) -> bytes:
    try:
        data = decode_base64(text)
    except ValueError:
        raise InvalidParam("The key is not base64.") from None
    if len(data) != _KEY_BYTES:
        raise InvalidParam("An Ed25519 key has 32 bytes.")
    return data


# JSON


def signable(value: Mapping[str, Any], *, encode: Callable[[Any], bytes] = canonical_json.encode) -> bytes:
    """The bytes that a signature of `value` covers: all but `signatures` and `unsigned`. Raises `BadJson`.

    `encode` is the dialect: `encode_lax` for room versions 1 to 5, `encode_checked` where the value was checked before.
    """
    return encode({key: member for key, member in value.items() if key not in _UNSIGNED_KEYS})


def sign_json(
    value: Mapping[str, Any],
    server_name: str,
    key: SigningKey,
    *,
    encode: Callable[[Any], bytes] = canonical_json.encode,
) -> dict[str, Any]:
    """A copy of `value` with one more entry in `signatures`; everything else is shared. Raises `BadJson`."""
    signature = encode_base64(key.sign(signable(value, encode=encode)))
    return with_signature(value, server_name, key.key_id, signature)


def with_signature(value: Mapping[str, Any], entity: str, key_id: str, signature: str) -> dict[str, Any]:
    """A copy of `value` with a signature (in base64) added to those that it has, or put in the place of one.

    Raises `BadJson` where the present signatures have the wrong shape.
    """
    signatures = value.get("signatures", {})
    of_entity = signatures.get(entity, {}) if isinstance(signatures, dict) else None
    if not isinstance(of_entity, dict):
        raise BadJson("`signatures` must be an object of objects.")
    return {**value, "signatures": {**signatures, entity: {**of_entity, key_id: signature}}}


def signature_of(value: Mapping[str, Any], entity: str, key_id: str) -> bytes:
    """The bytes of one signature. Raises `PeerError` if it is missing or misshapen."""
    signatures = value.get("signatures")
    of_entity = signatures.get(entity) if isinstance(signatures, dict) else None
    text = of_entity.get(key_id) if isinstance(of_entity, dict) else None
    if not isinstance(text, str):
        raise PeerError(f"There is no signature of {entity} by its key {key_id[:64]}.")
    try:
        return decode_base64(text)
    except ValueError:
        raise PeerError(f"The signature of {entity} by its key {key_id[:64]} is not base64.") from None


def key_ids_of(value: Mapping[str, Any], entity: str) -> list[str]:
    """The Ed25519 keys by which `entity` claims to have signed; nothing is said about whether that is true."""
    signatures = value.get("signatures")
    of_entity = signatures.get(entity) if isinstance(signatures, dict) else None
    if not isinstance(of_entity, dict):
        return []
    return [key_id for key_id in of_entity if key_id.startswith("ed25519:")]


def verify_json(
    value: Mapping[str, Any],
    server_name: str,
    key: VerifyKey,
    *,
    encode: Callable[[Any], bytes] = canonical_json.encode,
) -> None:
    """Raises `PeerError` unless `value` carries a good signature of `server_name` by `key`."""
    signature = signature_of(value, server_name, key.key_id)
    try:
        message = signable(value, encode=encode)
    except BadJson as error:
        raise PeerError(f"What {server_name} signed has no canonical form: {error.message}") from None
    if not key.verifies(message, signature):
        raise PeerError(f"The signature of {server_name} by its key {key.key_id} does not match.")
