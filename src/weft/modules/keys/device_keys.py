"""The identity of devices: the keys by which others recognise and write to them.

https://spec.matrix.org/v1.19/client-server-api/#device-keys
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from weft.http.call import Requester
from weft.modules.devices import device_lists
from weft.modules.keys import device_store, formats, one_time_store, signing_store
from weft.modules.keys.formats import NamedKey
from weft.modules.keys.one_time_store import Stock
from weft.protocol.errors import BadJson, Forbidden, InvalidParam, UnknownToken
from weft.rooms.engine import Engine
from weft.storage.database import UniqueViolation, WriteTransaction


class DeviceKeys:
    def __init__(self, engine: Engine) -> None:
        self._database = engine.database

    async def upload(
        self,
        requester: Requester,
        *,
        device_keys: Mapping[str, Any] | None,
        one_time_keys: Mapping[str, Any] | None,
        fallback_keys: Mapping[str, Any] | None,
    ) -> Stock:
        """Takes in what a device uploads, all of it or nothing; what it has here then.

        Raises `BadJson`, `TooLarge`, and `InvalidParam` for other keys in the place of some that may not change: the
        identity of a device, and one-time keys, also those that were given away already.
        """
        user_id, device_id = requester.user_id, requester.device_id
        if device_id is None:
            raise InvalidParam("Keys are uploaded by a device, and the request is not of one.")
        work = self.prepared(
            user_id, device_id, device_keys=device_keys, one_time_keys=one_time_keys, fallback_keys=fallback_keys
        )
        try:
            return await self._database.write(work)
        except UniqueViolation:
            # The same upload came to another process at the same time; now its keys are there.
            return await self._database.write(work)

    def prepared(
        self,
        user_id: str,
        device_id: str,
        *,
        device_keys: Mapping[str, Any] | None,
        one_time_keys: Mapping[str, Any] | None,
        fallback_keys: Mapping[str, Any] | None,
    ) -> Callable[[WriteTransaction], Stock]:
        """As `upload`, for whoever has a transaction in which the device is there. Raises `BadJson` and `TooLarge`."""
        identity = formats.device_keys(device_keys, user_id, device_id) if device_keys is not None else None
        one_time = formats.named_keys(one_time_keys, "one_time_keys")
        fallback = formats.named_keys(fallback_keys, "fallback_keys")
        if len({one.algorithm for one in fallback}) < len(fallback):
            raise BadJson("There is one fallback key for each algorithm.")
        return partial(
            _upload, user_id=user_id, device_id=device_id, identity=identity, one_time=one_time, fallback=fallback
        )

    def removed(self, tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
        """Drops the keys of devices that are gone, in the transaction that removes them."""
        device_store.drop_of_devices(tx, user_id, device_ids)
        one_time_store.drop_of_devices(tx, user_id, device_ids)
        signing_store.drop_of_devices(tx, user_id, device_ids)


def _upload(
    tx: WriteTransaction,
    *,
    user_id: str,
    device_id: str,
    identity: bytes | None,
    one_time: Sequence[NamedKey],
    fallback: Sequence[NamedKey],
) -> Stock:
    if not device_store.exists(tx, user_id, device_id):
        raise UnknownToken("The device has been logged out.")
    if identity is not None:
        _put_identity(tx, user_id, device_id, identity)
    is_new = one_time_store.put(tx, user_id, device_id, one_time) if one_time else False
    is_new |= one_time_store.put_fallback(tx, user_id, device_id, fallback)
    if is_new:
        one_time_store.tell(tx, user_id, device_id)
    return one_time_store.stock(tx, user_id, device_id)


def _put_identity(tx: WriteTransaction, user_id: str, device_id: str, identity: bytes) -> None:
    before = device_store.find(tx, user_id, device_id)
    if before == identity:
        return
    if before is not None:
        new = formats.identity_of(identity)
        if any(new.get(key_id, key) != key for key_id, key in formats.identity_of(before).items()):
            # Nobody could tell it from somebody else who has got hold of the account.
            raise InvalidParam("The identity keys of a device can't be changed. Log in as a new device.")
    if any(key.public_key == device_id for key in signing_store.of_users(tx, [user_id])):
        raise Forbidden("The id of the device is that of a key which signs others.")
    device_store.put(tx, user_id, device_id, identity)
    device_lists.changed(tx, user_id, device_id)
