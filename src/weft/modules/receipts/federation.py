"""Public receipts, told to other servers and told by them.

https://spec.matrix.org/v1.19/server-server-api/#receipts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from weft.modules.receipts.service import Receipts
from weft.modules.receipts.store import KIND, PUBLIC, Receipt
from weft.protocol.canonical_json import MAX_INTEGER
from weft.protocol.errors import BadJson, MatrixError
from weft.protocol.identifiers import domain_of
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.storage.positions import Entry, Vector

EDU = "m.receipt"


class _Data(msgspec.Struct):
    ts: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    thread_id: str | None = None


class _One(msgspec.Struct):
    data: _Data
    event_ids: Annotated[list[str], Meta(min_length=1, max_length=100)]


_Content = dict[str, dict[str, dict[str, _One]]]


class ReceiptsFederation:
    """Implements `weft.federation.sender.Outgoing`, and takes in what others tell."""

    kinds = frozenset({KIND})

    def __init__(self, engine: Engine, receipts: Receipts, access: RoomAccess) -> None:
        self._engine = engine
        self._receipts = receipts
        self._access = access

    async def take(self, origin: str, content: Mapping[str, Any]) -> None:
        try:
            by_room = msgspec.convert(content, _Content)
        except msgspec.ValidationError as error:
            raise BadJson(f"The receipts are not in their format: {error}") from None
        for room_id, by_type in by_room.items():
            room = await self._engine.rooms.find(room_id) if "\0" not in room_id else None
            if room is None or not room.joined_local or not await self._access.acl_allows(room, origin):
                continue
            for user_id, one in by_type.get(PUBLIC, {}).items():
                if domain_of(user_id) == origin:
                    await self._take_one(user_id, room_id, one)

    async def _take_one(self, user_id: str, room_id: str, one: _One) -> None:
        try:
            await self._receipts.send(user_id, room_id, PUBLIC, one.event_ids[-1], one.data.thread_id, ts=one.data.ts)
        except MatrixError:
            # The event is not here, or the user is not in the room as far as we know.
            return

    async def servers(self, entry: Entry) -> Iterable[str]:
        if entry.room is None or entry.user_id is None or not self._engine.is_local(entry.user_id):
            return ()
        room = await self._engine.rooms.get(await self._engine.rooms.room_id(entry.room))
        return tuple(room.servers)

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        newest: dict[tuple[int, str, str], Receipt] = {}
        for entry in entries:
            for receipt in await self._of(entry):
                newest[receipt.room, receipt.user_id, receipt.thread] = receipt
        by_thread: dict[str, list[Receipt]] = {}
        for receipt in newest.values():
            by_thread.setdefault(receipt.thread, []).append(receipt)
        # A user has one receipt in each EDU: those of other threads go into others.
        for thread, receipts in by_thread.items():
            content: dict[str, dict[str, dict[str, Any]]] = {}
            for receipt in receipts:
                data: dict[str, Any] = {"ts": receipt.ts, **({"thread_id": thread} if thread else {})}
                room_id = await self._engine.rooms.room_id(receipt.room)
                by_user = content.setdefault(room_id, {PUBLIC: {}})[PUBLIC]
                by_user[receipt.user_id] = {"data": data, "event_ids": [receipt.event_id]}
            told.append({"edu_type": EDU, "content": content})
        return told

    async def _of(self, entry: Entry) -> list[Receipt]:
        if isinstance(entry.payload, Receipt):
            return [entry.payload]
        if entry.room is None:
            return []
        held = await self._receipts.public(entry.room)
        return [receipt for (user_id, _), receipt in held.by_user.items() if user_id == entry.user_id]

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        """Nothing: the next receipt of each user says all there is to know."""
        return ()
