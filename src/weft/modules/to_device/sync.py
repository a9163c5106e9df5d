"""`to_device` in `/sync`. https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.to_device.inbox_store import KIND
from weft.modules.to_device.service import ToDevice
from weft.storage.positions import Entry, Vector


class ToDeviceSync:
    """The next messages for the device; what is left waits for the answer that follows."""

    kinds = frozenset({KIND})

    def __init__(self, to_device: ToDevice) -> None:
        self._to_device = to_device

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        device_id = sync.requester.device_id
        if device_id is None:
            return
        since = sync.to_device_since or Vector()
        events, upto = await self._to_device.portion(sync.user_id, device_id, since, sync.upto)
        if events:
            sync.extra["to_device"] = b'{"events":[%s]}' % b",".join(events)
        if upto is not sync.upto:
            sync.leave_for_later(upto)
