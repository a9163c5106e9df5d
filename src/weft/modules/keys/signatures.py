"""Signatures uploaded after what they sign: of the user's devices and master key, and of other users' master keys.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from weft.modules.devices import device_lists
from weft.modules.keys import device_store, formats, signing_store
from weft.modules.keys.cross_signing import check_signature, invalid_signature, verify_key_of
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING, USER_SIGNING, Signature, SigningKey
from weft.protocol.errors import MatrixError, NotFound
from weft.protocol.signatures import VerifyKey, key_ids_of
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction

Json = Mapping[str, Any]
#: Errors by device id or public key, by user id.
Failures = dict[str, dict[str, dict[str, Any]]]


class Signatures:
    def __init__(self, engine: Engine) -> None:
        self._database = engine.database

    async def upload(
        self, user_id: str, signed: Mapping[str, Mapping[str, Json]], master_keys: Mapping[str, Json]
    ) -> Failures:
        """Takes in what a user has signed, by device id or public key, by user id; returns what is not taken, and why.

        `master_keys` are those of users of other servers.
        """
        return await self._database.write(_upload, user_id, signed, master_keys)


def _upload(
    tx: WriteTransaction, user_id: str, signed: Mapping[str, Mapping[str, Json]], master_keys: Mapping[str, Json]
) -> Failures:
    failures: Failures = {}
    own = _Own(tx, user_id)
    for target, of_user in signed.items():
        for name, value in of_user.items():
            try:
                if target == user_id:
                    own.take(name, value)
                else:
                    _take_of_other(tx, own, target, name, value, master_keys.get(target))
            except MatrixError as error:
                failures.setdefault(target, {})[name] = error.body()
    return failures


class _Own:
    """A user's keys and devices, while what they have signed is taken in."""

    def __init__(self, tx: WriteTransaction, user_id: str) -> None:
        self._tx = tx
        self.user_id = user_id
        self.keys = signing_store.of_user(tx, user_id)

    def key(self, usage: str) -> SigningKey:
        found = self.keys.get(usage)
        if found is None:
            raise NotFound(f"You have no {usage} key.")
        return found

    def take(self, name: str, value: Json) -> None:
        """A device that the self-signing key has signed, or the master key that devices have."""
        if MASTER in self.keys and name == self.keys[MASTER].public_key:
            self._take_master_key(value)
            return
        key = self.key(SELF_SIGNING)
        stored = _device(self._tx, self.user_id, name)
        _check_same(value, stored)
        if self._put(name, value, verify_key_of(key)):
            device_lists.changed(self._tx, self.user_id, name)

    def _take_master_key(self, value: Json) -> None:
        master = self.key(MASTER)
        _check_same(value, orjson.loads(master.key))
        key_ids = [key_id for key_id in key_ids_of(value, self.user_id) if key_id != master.key_id]
        if not key_ids:
            raise invalid_signature("No device has signed the master key.")
        is_new = False
        for key_id in key_ids:
            public_key = _device(self._tx, self.user_id, key_id.partition(":")[2])["keys"].get(key_id)
            if public_key is None:
                raise invalid_signature("The device has no such key.")
            is_new |= self._put(master.public_key, value, VerifyKey.from_base64(key_id, public_key))
        if is_new:
            device_lists.signing_keys_changed(self._tx, self.user_id)

    def _put(self, name: str, value: Json, key: VerifyKey) -> bool:
        """Keeps a signature; whether it is new. Raises `M_INVALID_SIGNATURE`."""
        signature = _signature(self.user_id, name, self.user_id, value, key)
        if signature in signing_store.signatures_of_own(self._tx, [self.user_id]):
            return False
        signing_store.put_signature(self._tx, signature, 0)
        return True


def _take_of_other(
    tx: WriteTransaction, own: _Own, target: str, name: str, value: Json, foreign_master_key: Json | None
) -> None:
    """The master key of another user, which the user-signing key has signed."""
    key = own.key(USER_SIGNING)
    known = signing_store.of_user(tx, target).get(MASTER)
    master: Json | None = orjson.loads(known.key) if known is not None else foreign_master_key
    if master is None or f"ed25519:{name}" not in master["keys"]:
        raise NotFound("The user has no such master key.")
    _check_same(value, master)
    signature = _signature(target, name, own.user_id, value, verify_key_of(key))
    if signature not in signing_store.signatures_by(tx, own.user_id, [target]):
        position = tx.append(signing_store.KIND, user_id=own.user_id, key=target)
        signing_store.put_signature(tx, signature, position)


def _device(tx: Transaction, user_id: str, device_id: str) -> Json:
    keys = device_store.find(tx, user_id, device_id)
    if keys is None:
        raise NotFound("There is no such device with keys.")
    found: Json = orjson.loads(keys)
    return found


def _signature(target: str, name: str, user_id: str, value: Json, key: VerifyKey) -> Signature:
    """A good signature of a user by a key. Raises `M_INVALID_SIGNATURE`."""
    check_signature(value, user_id, key)
    return Signature(target, name, user_id, key.key_id, value["signatures"][user_id][key.key_id])


def _check_same(value: Json, stored: Json) -> None:
    """Whether what was signed is what is here; signatures may differ."""
    if formats.signed_part(value) != formats.signed_part(stored):
        raise invalid_signature("What is signed is not the key as it is known here.")
