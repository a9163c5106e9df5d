"""A user's dehydrated device: published like any other, with its private keys kept here under a key of the user's.

Whoever logs in later has its keys decrypted, reads what was sent to it, and has it replaced by another. What was sent
to it is kept until then: a login that is broken off must not cost the user their messages.

https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from __future__ import annotations

from typing import Final

import msgspec

from weft.modules.dehydrated_devices import store
from weft.modules.dehydrated_devices.store import DehydratedDevice
from weft.modules.devices import DevicesService
from weft.modules.devices import store as device_store
from weft.modules.events.places import parse_cut, spell_cut
from weft.modules.keys import DeviceKeys
from weft.modules.to_device import ToDevice
from weft.protocol.api.client.dehydrated_devices import PutDehydratedDeviceRequest
from weft.protocol.errors import Forbidden, InvalidParam, NotFound, TooLarge
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction
from weft.storage.positions import Vector

#: Bytes of `device_data`. The bound is ours.
MAX_DEVICE_DATA: Final = 64 << 10
_NAME: Final = "Dehydrated device"


class DehydratedDevices:
    def __init__(self, engine: Engine, devices: DevicesService, device_keys: DeviceKeys, to_device: ToDevice) -> None:
        self._engine = engine
        self._devices = devices
        self._device_keys = device_keys
        self._to_device = to_device
        devices.on_deleted.append(store.devices_removed)

    async def put(self, user_id: str, given: PutDehydratedDeviceRequest) -> None:
        """Makes the user's dehydrated device, in the place of the one before.

        Raises what uploading keys raises, `TooLarge`, and `InvalidParam` for the id of a device that is logged in.
        """
        data = msgspec.json.encode(given.device_data)
        if len(data) > MAX_DEVICE_DATA:
            raise TooLarge("device_data is too large.")
        upload = self._device_keys.prepared(
            user_id,
            given.device_id,
            device_keys=given.device_keys,
            one_time_keys=given.one_time_keys,
            fallback_keys=given.fallback_keys,
        )
        name = given.initial_device_display_name or _NAME
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction) -> None:
            before = store.find(tx, user_id)
            if before is not None:
                self._devices.remove(tx, user_id, [before.device_id])
            if not device_store.ensure(tx, user_id, given.device_id, display_name=name, now_ms=now_ms):
                raise InvalidParam("You have a device of that id already.")
            upload(tx)
            store.put(tx, user_id, given.device_id, data)

        await self._engine.database.write(write)

    async def get(self, user_id: str) -> DehydratedDevice:
        """Raises `NotFound`."""
        found = await self._engine.database.get(store.find, user_id)
        if found is None:
            raise NotFound("You have no dehydrated device.")
        return found

    async def device_of(self, user_id: str) -> str | None:
        """The id of the user's dehydrated device, if there is one."""
        found = await self._engine.database.get(store.find, user_id)
        return found.device_id if found is not None else None

    async def delete(self, user_id: str) -> str:
        """Removes the device and all that waits for it; returns its id. Raises `NotFound`."""
        found = await self.get(user_id)
        await self._devices.delete(user_id, [found.device_id])
        return found.device_id

    async def events(self, user_id: str, device_id: str, token: str | None) -> tuple[list[bytes], str]:
        """The next of what was sent to the device, and the token of where that ends.

        Raises `NotFound`, and `Forbidden` for a device that is another one.
        """
        found = await self.get(user_id)
        if found.device_id != device_id:
            raise Forbidden("That is not your dehydrated device.")
        since = parse_cut(token) if token is not None else Vector()
        await self._engine.log.catch_up(since)
        events, upto = await self._to_device.portion(user_id, device_id, since, self._engine.log.head)
        return events, spell_cut(upto)
