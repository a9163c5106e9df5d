"""What other servers tell of their users' devices: `m.device_list_update` and `m.signing_key_update`.

Each update of a device names the one before it. Where that was missed, or the list is not followed, the users here
who share a room hear that something has changed, and whoever asks next gets the list from its server.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from weft.modules.devices import device_lists
from weft.modules.keys import foreign, remote_store
from weft.modules.keys.device_store import KeyedDevice
from weft.modules.keys.remote_lists import RemoteLists
from weft.modules.keys.remote_store import RemoteList
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING
from weft.protocol.canonical_json import MAX_INTEGER
from weft.protocol.errors import BadJson, Forbidden
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction

DEVICE_LIST_UPDATE: Final = "m.device_list_update"
SIGNING_KEY_UPDATE: Final = "m.signing_key_update"

T = TypeVar("T")
_StreamId = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class _DeviceUpdate(msgspec.Struct):
    user_id: str
    device_id: Annotated[str, Meta(min_length=1, max_length=512)]
    stream_id: _StreamId
    prev_id: Annotated[list[_StreamId], Meta(max_length=1_000)] | None = None
    deleted: bool | None = False
    keys: dict[str, Any] | None = None
    device_display_name: str | None = None


class _SigningKeyUpdate(msgspec.Struct):
    user_id: str
    master_key: dict[str, Any] | None = None
    self_signing_key: dict[str, Any] | None = None


class Updates:
    """Takes in what others tell. Raises `BadJson`, and `Forbidden` for what is not theirs to tell."""

    def __init__(self, engine: Engine, remote_lists: RemoteLists) -> None:
        self._database = engine.database
        self._remote_lists = remote_lists

    async def take_device(self, origin: str, content: Mapping[str, Any]) -> None:
        update = _convert(content, _DeviceUpdate)
        if await self._concerns_us(origin, update.user_id):
            await self._database.write(_take_device, update, await self._is_followed(update.user_id))

    async def take_signing_keys(self, origin: str, content: Mapping[str, Any]) -> None:
        update = _convert(content, _SigningKeyUpdate)
        if await self._concerns_us(origin, update.user_id):
            await self._database.write(_take_signing_keys, update, await self._is_followed(update.user_id))

    async def _concerns_us(self, origin: str, user_id: str) -> bool:
        if not is_valid_user_id(user_id) or domain_of(user_id) != origin:
            raise Forbidden("A server tells of the devices of its own users.")
        return await self._remote_lists.shares_a_room(user_id)

    async def _is_followed(self, user_id: str) -> bool:
        rows = await self._database.get(remote_store.of_users, [user_id])
        return bool(rows) and await self._remote_lists.is_good(rows[0])


def _convert(content: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise BadJson(f"The update of devices is not in its format: {error}") from None


def _take_device(tx: WriteTransaction, update: _DeviceUpdate, is_followed: bool) -> None:
    user_id = update.user_id
    row = _held(tx, user_id, is_followed)
    if row is not None and not row.stale:
        known = {device.device_id: device for device in remote_store.devices_of(tx, [user_id])}
        before = known.get(update.device_id)
        now = (
            None
            if update.deleted
            else foreign.stored_device(user_id, update.device_id, update.keys, update.device_display_name)
        )
        if update.stream_id <= row.stream_id and now == before:
            # It came before, or was in the list.
            return
        continues = bool(update.prev_id) and max(update.prev_id or ()) <= row.stream_id < update.stream_id
        if continues and (update.device_id in known or len(known) < foreign.MOST_DEVICES):
            _put(tx, user_id, update.device_id, now)
            remote_store.put(tx, row._replace(stream_id=update.stream_id))
        else:
            remote_store.mark_stale(tx, user_id)
    device_lists.changed(tx, user_id, update.device_id)


def _put(tx: WriteTransaction, user_id: str, device_id: str, device: KeyedDevice | None) -> None:
    if device is None:
        remote_store.drop_device(tx, user_id, device_id)
    else:
        remote_store.put_device(tx, device)


def _take_signing_keys(tx: WriteTransaction, update: _SigningKeyUpdate, is_followed: bool) -> None:
    user_id = update.user_id
    row = _held(tx, user_id, is_followed)
    if row is not None and not row.stale:
        master = foreign.signing_key(update.master_key, user_id, MASTER)
        self_signing = foreign.signing_key(update.self_signing_key, user_id, SELF_SIGNING)
        now = row._replace(
            master_key=master.key if master is not None else row.master_key,
            self_signing_key=self_signing.key if self_signing is not None else row.self_signing_key,
        )
        if master is None and self_signing is None:
            # It tells that they are gone, or nothing that can be understood.
            remote_store.mark_stale(tx, user_id)
        elif now == row:
            return
        else:
            remote_store.put(tx, now)
    device_lists.signing_keys_changed(tx, user_id)


def _held(tx: WriteTransaction, user_id: str, is_followed: bool) -> RemoteList | None:
    """The list, if it is followed; one that is no longer good goes."""
    row = remote_store.hold(tx, user_id)
    if row is not None and not is_followed:
        remote_store.drop(tx, user_id)
        return None
    return row
