"""Receipts in `/sync`: one `m.receipt` for each room, and one more with the user's own private receipts.

https://spec.matrix.org/v1.19/client-server-api/#receipts
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.receipts import store
from weft.modules.receipts.service import Receipts, event_of, receipts_of
from weft.modules.receipts.store import KIND, PRIVATE_KIND, Receipt
from weft.rooms.engine import Engine
from weft.storage.positions import Entry, Vector

EVENT_TYPE = "m.receipt"


class ReceiptsSync:
    """What changed; for a room that is new to the client, and without `since`, every receipt."""

    kinds = frozenset({KIND, PRIVATE_KIND})

    def __init__(self, engine: Engine, receipts: Receipts) -> None:
        self._engine = engine
        self._receipts = receipts

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        is_wanted = sync.wants("room.ephemeral", EVENT_TYPE)
        if sync.since is None:
            if is_wanted:
                await self._tell_all(sync, sync.joined)
            return
        rooms: dict[str, list[Receipt]] = {}
        for receipt in await self._changed(sync):
            room_id = await self._engine.rooms.room_id(receipt.room)
            if room_id in sync.joined and room_id not in sync.newly_joined:
                rooms.setdefault(room_id, []).append(receipt)
        for room_id, receipts in rooms.items():
            if is_wanted:
                sync.room(room_id).ephemeral.append(event_of(receipts))
            elif any(receipt.user_id == sync.user_id for receipt in receipts):
                # The room appears all the same, for the sake of its unread counts.
                sync.room(room_id)
        if sync.newly_joined and is_wanted:
            await self._tell_all(sync, sync.newly_joined)

    async def _tell_all(self, sync: Sync, rooms: Iterable[str]) -> None:
        private = await self._receipts.private(sync.user_id)
        for room_id in rooms:
            number = sync.joined.get(room_id)
            if number is None:
                continue
            public = self._receipts.public_now(number) or await self._receipts.public(number)
            for event in (public.event, private.get(number)):
                if event is not None:
                    sync.room(room_id).ephemeral.append(event)

    async def _changed(self, sync: Sync) -> list[Receipt]:
        entries = sync.entries(self.kinds)
        if entries is None:
            since = sync.since or Vector()
            return await self._engine.database.read(
                store.changed_since, sync.user_id, list(sync.joined.values()), since
            )
        told = await receipts_of(self._engine.database, entries)
        return [receipt for receipt in told if receipt.receipt_type == store.PUBLIC or receipt.user_id == sync.user_id]
