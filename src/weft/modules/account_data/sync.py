"""Account data in `/sync`.

https://spec.matrix.org/v1.19/client-server-api/#client-config
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.account_data import store
from weft.modules.account_data.service import AccountData, event_bytes
from weft.modules.account_data.store import GLOBAL, Row
from weft.modules.module import Sync
from weft.rooms.engine import Engine
from weft.storage.positions import Entry, Vector


class AccountDataSync:
    """What changed; for a room that is new to the client, and without `since`, everything."""

    kinds = frozenset({"account_data"})

    def __init__(self, engine: Engine, account_data: AccountData) -> None:
        self._engine = engine
        self._account_data = account_data

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        if sync.since is None:
            for data_type, event in await self._of_place(sync, GLOBAL):
                if sync.wants("account_data", data_type):
                    sync.account_data.append(event)
            await self._tell_rooms(sync, sync.joined)
            return
        for row in await self._changed(sync):
            _tell(sync, row)
        if sync.newly_joined:
            await self._tell_rooms(sync, sync.newly_joined)

    async def _of_place(self, sync: Sync, room_id: str) -> Iterable[tuple[str, bytes]]:
        return (await self._account_data.all(sync.user_id)).places.get(room_id, {}).items()

    async def _tell_rooms(self, sync: Sync, rooms: Iterable[str]) -> None:
        places = (await self._account_data.all(sync.user_id)).places
        for room_id in rooms:
            if room_id not in places:
                continue
            for data_type, event in places[room_id].items():
                if sync.wants("room.account_data", data_type):
                    sync.room(room_id).account_data.append(event)

    async def _changed(self, sync: Sync) -> list[Row]:
        entries = sync.entries(self.kinds)
        if entries is None:
            since = sync.since or Vector()
            return await self._engine.database.get(store.changed_since, sync.user_id, since)
        if not entries:
            return []
        positions = [entry.position for entry in entries]
        return await self._engine.database.get(store.at_positions, sync.user_id, positions)


def _tell(sync: Sync, row: Row) -> None:
    if row.room_id == GLOBAL:
        if sync.wants("account_data", row.type):
            sync.account_data.append(event_bytes(row.type, row.content))
        return
    is_told_anew = row.room_id in sync.newly_joined
    if row.room_id in sync.joined and not is_told_anew and sync.wants("room.account_data", row.type):
        sync.room(row.room_id).account_data.append(event_bytes(row.type, row.content))
