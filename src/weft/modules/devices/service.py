"""Devices: what a user's logins are on, under their names, and where each was last seen.

Who else keeps something for each device (its tokens, its keys, its transaction ids) adds to `on_deleted`, and is then
part of the transaction that removes it.

https://spec.matrix.org/v1.19/client-server-api/#device-management
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from weft.modules.devices import store
from weft.modules.devices.last_seen import LastSeen
from weft.modules.devices.store import DeviceRow
from weft.protocol.errors import InvalidParam, NotFound
from weft.protocol.identifiers import is_valid_device_id
from weft.storage.database import Database, WriteTransaction

#: Called with the user and the device ids that have just been removed.
OnDeleted = Callable[[WriteTransaction, str, Sequence[str]], None]


def check_device_id(device_id: str) -> None:
    """Raises `InvalidParam` for what can be no device id."""
    if not is_valid_device_id(device_id):
        raise InvalidParam("A device id is a short text that can be read.")


class DevicesService:
    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self.last_seen = LastSeen(database, now_ms)
        self.on_deleted: list[OnDeleted] = []

    async def of_user(self, user_id: str) -> list[DeviceRow]:
        """All devices of a user, the oldest first."""
        await self.last_seen.flush()
        return await self._database.get(store.of_user, user_id)

    async def one(self, user_id: str, device_id: str) -> DeviceRow:
        """Raises `NotFound`."""
        await self.last_seen.flush()
        found = await self._database.get(store.one, user_id, device_id)
        if found is None:
            raise NotFound("You have no such device.")
        return found

    async def has(self, user_id: str, device_id: str) -> bool:
        return await self._database.get(store.one, user_id, device_id) is not None

    async def make(self, user_id: str, device_id: str, display_name: str = "") -> bool:
        """Makes a device on which nobody is logged in; False if there is one of that name, which keeps its own.

        Raises `InvalidParam` for what can be no device id.
        """
        check_device_id(device_id)
        return await self._database.write(
            partial(store.ensure, display_name=display_name, now_ms=self._now_ms()), user_id, device_id
        )

    async def rename(self, user_id: str, device_id: str, display_name: str) -> None:
        """Raises `NotFound`."""
        if not await self._database.write(store.rename, user_id, device_id, display_name):
            raise NotFound("You have no such device.")

    async def delete(self, user_id: str, device_ids: Iterable[str]) -> None:
        """Removes devices and whatever belongs to them; those that are gone already are passed over."""
        await self._database.write(self.remove, user_id, list(device_ids))

    # -- within a transaction, for those who make devices

    def remove(self, tx: WriteTransaction, user_id: str, device_ids: Iterable[str]) -> list[str]:
        """Removes devices and whatever belongs to them; returns those that were there."""
        gone = store.delete(tx, user_id, device_ids)
        if gone:
            for on_deleted in self.on_deleted:
                on_deleted(tx, user_id, gone)
        return gone

    def remove_all(self, tx: WriteTransaction, user_id: str, *, but: str | None = None) -> list[str]:
        """Removes all of a user's devices, except perhaps one."""
        return self.remove(tx, user_id, [each for each in store.ids_of_user(tx, user_id) if each != but])
