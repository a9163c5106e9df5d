"""`device_lists` in `/sync`. What a device has here of its own keys is told with every answer, see `OneTimeKeys.told`.

https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from weft.modules.devices.device_lists import KIND
from weft.modules.events import Sharing
from weft.modules.events.sharing import Sharers
from weft.modules.keys import one_time_store
from weft.modules.keys.device_lists import KINDS, DeviceLists
from weft.modules.module import Sync
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class KeysSync:
    kinds = KINDS | {one_time_store.KIND}

    def __init__(self, engine: Engine, sharing: Sharing, device_lists: DeviceLists) -> None:
        self._engine = engine
        self._sharing = sharing
        self._device_lists = device_lists

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        if entry.kind == one_time_store.KIND:
            # A device hears of it with the next answer; to wake it for each key that is claimed would not help it.
            return ()
        if entry.kind == KIND and entry.user_id is not None:
            return Sharers(self._sharing, self._engine.log, entry.user_id)
        return None

    async def contribute(self, sync: Sync) -> None:
        if sync.since is None:
            return
        changes = await self._device_lists.between(sync.user_id, sync.since, sync.entries(KINDS))
        if changes.changed or changes.left:
            sync.extra["device_lists"] = orjson.dumps(
                {"changed": sorted(changes.changed), "left": sorted(changes.left)}
            )
