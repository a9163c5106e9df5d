"""Cross-signing: a user's master key, and the keys that it signs, which sign the user's devices and other users.

https://spec.matrix.org/v1.19/client-server-api/#cross-signing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from weft.modules.devices import device_lists
from weft.modules.keys import device_store, formats, signing_store
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING, USER_SIGNING, SigningKey
from weft.protocol.errors import Forbidden, MatrixError, MissingParam, PeerError
from weft.protocol.signatures import VerifyKey, key_ids_of, verify_json
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction

_USAGES: Final = (MASTER, SELF_SIGNING, USER_SIGNING)


class CrossSigning:
    def __init__(self, engine: Engine) -> None:
        self._database = engine.database

    def read(self, user_id: str, given: Mapping[str, Mapping[str, Any] | None]) -> list[SigningKey]:
        """The keys of a request, by usage; those that are not given are left out. Raises `BadJson`, `InvalidParam`."""
        return [
            formats.signing_key(value, user_id, usage) for usage in _USAGES if (value := given.get(usage)) is not None
        ]

    async def needs_consent(self, user_id: str, keys: Sequence[SigningKey]) -> bool:
        """Whether keys would take the place of others: the first ones of a user, and the same again, do not."""
        known = await self._database.get(signing_store.of_user, user_id)
        return _are_others(known, keys)

    async def upload(self, user_id: str, keys: Sequence[SigningKey], *, with_consent: bool) -> bool:
        """Puts keys in the place of those that a user has. False where that needs the user's consent after all.

        Raises `MissingParam` where there is no master key, `M_INVALID_SIGNATURE` for keys that it has not signed, and
        `Forbidden` for one whose name is a device's.
        """
        return await self._database.write(_upload, user_id, keys, with_consent)

    def removed(self, tx: WriteTransaction, user_id: str) -> None:
        """Drops the keys of an account that ends, in the transaction that ends it."""
        known = signing_store.of_user(tx, user_id)
        for key in known.values():
            signing_store.drop(tx, key)
        if known:
            device_lists.signing_keys_changed(tx, user_id)


def _are_others(known: Mapping[str, SigningKey], keys: Sequence[SigningKey]) -> bool:
    return MASTER in known and any(
        key.usage not in known or known[key.usage].public_key != key.public_key for key in keys
    )


def _upload(tx: WriteTransaction, user_id: str, keys: Sequence[SigningKey], with_consent: bool) -> bool:
    known = signing_store.of_user(tx, user_id)
    given = {key.usage: key for key in keys}
    master = given.get(MASTER) or known.get(MASTER)
    if master is None:
        raise MissingParam("There is no master key.")
    _check(tx, user_id, keys, master)
    if MASTER in known and not _are_others(known, keys):
        return True
    if MASTER in known and not with_consent:
        return False
    for key in known.values():
        # What the former master key has signed is worth nothing with the new one.
        is_replaced = key.usage in given and given[key.usage].public_key != key.public_key
        if is_replaced or (key.usage not in given and master is not known[MASTER]):
            signing_store.drop(tx, key)
    for key in keys:
        signing_store.put(tx, key)
    device_lists.signing_keys_changed(tx, user_id)
    return True


def _check(tx: Transaction, user_id: str, keys: Sequence[SigningKey], master: SigningKey) -> None:
    devices = {device.device_id: device for device in device_store.of_users(tx, [user_id])}
    for key in keys:
        if key.public_key in devices:
            raise Forbidden("The name of the key is the id of a device.")
        value = orjson.loads(key.key)
        if key.usage != MASTER:
            check_signature(value, user_id, verify_key_of(master))
            continue
        for key_id in key_ids_of(value, user_id):
            device = devices.get(key_id.partition(":")[2])
            public_key = formats.identity_of(device.keys).get(key_id) if device and device.keys else None
            if public_key is not None:
                check_signature(value, user_id, VerifyKey.from_base64(key_id, public_key))


def verify_key_of(key: SigningKey) -> VerifyKey:
    return VerifyKey.from_base64(key.key_id, key.public_key)


def check_signature(value: Mapping[str, Any], user_id: str, key: VerifyKey) -> None:
    """Raises `M_INVALID_SIGNATURE` unless a user has signed something by a key."""
    try:
        verify_json(value, user_id, key)
    except PeerError as error:
        raise invalid_signature(str(error)) from None


def invalid_signature(message: str) -> MatrixError:
    return MatrixError(message, errcode="M_INVALID_SIGNATURE")
