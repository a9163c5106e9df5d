"""Receipts, for application services. https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data"""

from __future__ import annotations

from collections.abc import Sequence

from weft.modules.module import Hearing
from weft.modules.receipts.service import event_of, receipts_of
from weft.modules.receipts.store import KIND, PRIVATE_KIND, PUBLIC, Receipt
from weft.protocol.client_event import in_room
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class ReceiptsOverheard:
    """Implements `weft.modules.module.Overheard`; private receipts are told of the service's own users only."""

    kinds = frozenset({KIND, PRIVATE_KIND})

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def told(self, entries: Sequence[Entry], hearing: Hearing) -> list[bytes]:
        rooms: dict[int, list[Receipt]] = {}
        for receipt in await receipts_of(self._engine.database, entries):
            if receipt.receipt_type == PUBLIC or hearing.owns(receipt.user_id):
                rooms.setdefault(receipt.room, []).append(receipt)
        told: list[bytes] = []
        for number, receipts in rooms.items():
            room = await self._engine.rooms.get(await self._engine.rooms.room_id(number))
            if await hearing.hears_room(room):
                told.append(in_room(event_of(receipts), room.id))
        return told
