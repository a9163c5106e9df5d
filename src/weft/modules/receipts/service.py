"""How far users have read: public and private receipts, with threads, and fully-read markers.

The public receipts of a room are kept in memory while the room is in use, and as the bytes of the event that those get
who sync from the beginning. Private receipts never get into those.

https://spec.matrix.org/v1.19/client-server-api/#receipts
https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from weft.modules.receipts import store, threads
from weft.modules.receipts.store import FULLY_READ, KIND, PRIVATE, PRIVATE_KIND, PUBLIC, Place, Receipt
from weft.protocol.errors import Forbidden, InvalidParam, NotFound
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.database import Database, WriteTransaction
from weft.storage.derived import Derived
from weft.storage.positions import Entry

_RECEIPT_BYTES = 300
_OVERHEAD = 500
#: Of no row: has a user without private receipts remembered as such.
_NONE: Mapping[int, bytes] = {}


class RoomReceipts:
    """The public receipts of one room."""

    __slots__ = ("_event", "by_user")

    def __init__(self, receipts: Iterable[Receipt]) -> None:
        self.by_user: dict[tuple[str, str], Receipt] = {(r.user_id, r.thread): r for r in receipts}
        self._event: bytes | None = None

    def put(self, receipt: Receipt) -> None:
        self.by_user[receipt.user_id, receipt.thread] = receipt
        self._event = None

    @property
    def event(self) -> bytes | None:
        """All of them as one `m.receipt`; None where there are none."""
        if self._event is None and self.by_user:
            self._event = event_of(self.by_user.values())
        return self._event


class Receipts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.purging.tables["receipts"] = "room, receipt_type, user_id, thread"
        self._rooms: Derived[int, RoomReceipts] = Derived(
            engine.budget.cache("receipts", 0.04, lambda room: _OVERHEAD + _RECEIPT_BYTES * len(room.by_user)),
            self._load_room,
        )
        self._private: Derived[str, Mapping[int, bytes]] = Derived(
            engine.budget.cache("private_receipts", 0.01, lambda rooms: _OVERHEAD + _RECEIPT_BYTES * len(rooms)),
            self._load_private,
        )

    # -- writing

    async def send(
        self,
        user_id: str,
        room_id: str,
        receipt_type: str,
        event_id: str,
        thread: str | None,
        *,
        ts: int | None = None,
    ) -> None:
        """Says that a user has read up to an event; does nothing where they had read further.

        `ts` is when, in milliseconds since the epoch, if not now. `thread` is `main`, a thread's root, or None for the
        room as a whole.
        Raises `Forbidden` for who is not in the room, `NotFound` for an event that isn't, `InvalidParam`.
        """
        if thread is not None:
            if receipt_type == FULLY_READ:
                raise InvalidParam("A fully-read marker is not for a thread.")
            if thread != threads.MAIN and not (thread.startswith("$") and "\0" not in thread):
                raise InvalidParam("thread_id must be `main` or the event id of a thread's root.")
        await self._move(user_id, room_id, {receipt_type: event_id}, thread, ts)

    async def send_markers(self, user_id: str, room_id: str, markers: Mapping[str, str]) -> None:
        """Moves several at once, each (by type) to its event."""
        await self._move(user_id, room_id, markers, None)

    async def _move(
        self, user_id: str, room_id: str, markers: Mapping[str, str], thread: str | None, ts: int | None = None
    ) -> None:
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise Forbidden("You are not in this room.")
        places = {event_id: await self._place(room, event_id) for event_id in set(markers.values())}
        when = self._engine.outside.now_ms() if ts is None else ts
        await self._engine.database.write(_put_all, room.number, room_id, user_id, markers, thread, places, when)

    async def _place(self, room: Room, event_id: str) -> Place:
        stored = await self._engine.rooms.event(event_id) if "\0" not in event_id else None
        if stored is None or stored.room != room.number:
            raise NotFound("There is no such event in this room.")
        return stored.order

    # -- reading

    async def public(self, room: int) -> RoomReceipts:
        """The public receipts of a room, by its number."""
        return await self._rooms.get(room)

    def public_now(self, room: int) -> RoomReceipts | None:
        """As `public`, where it is at hand."""
        return self._rooms.now(room)

    async def private(self, user_id: str) -> Mapping[int, bytes]:
        """A user's private receipts: for each room (by number) that has any, one `m.receipt`."""
        return await self._private.get(user_id)

    async def latest_receipts(self, user_id: str, room: int) -> dict[str, Place]:
        """How far a user has read in each thread ('' for the room as a whole), in a room by its number."""
        return (await self._engine.database.get(store.places_of_user, user_id, [room]))[room]

    # -- keeping up

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what the log says."""
        for entry in entries:
            if entry.kind == KIND and entry.room is not None:
                self._public_receipt(entry.room, entry.payload)
            elif entry.kind == PRIVATE_KIND and entry.user_id is not None:
                self._private.drop(entry.user_id)

    def _public_receipt(self, room: int, receipt: object) -> None:
        held = self._rooms.now(room)
        self._rooms.forget_readers(room)
        if held is None:
            return
        if isinstance(receipt, Receipt):
            held.put(receipt)
        else:
            self._rooms.drop(room)

    async def _load_room(self, room: int) -> RoomReceipts:
        return RoomReceipts(await self._engine.database.get(store.public_of_room, room))

    async def _load_private(self, user_id: str) -> Mapping[int, bytes]:
        rooms: dict[int, list[Receipt]] = {}
        for receipt in await self._engine.database.get(store.private_of_user, user_id):
            rooms.setdefault(receipt.room, []).append(receipt)
        return {room: event_of(receipts) for room, receipts in rooms.items()} or _NONE


async def receipts_of(database: Database, entries: Sequence[Entry]) -> list[Receipt]:
    """The receipts of log entries, the newest last; those of other processes' entries are read."""
    told = [entry.payload for entry in entries if isinstance(entry.payload, Receipt)]
    positions = [entry.position for entry in entries if not isinstance(entry.payload, Receipt)]
    return told + await database.get(store.at_positions, positions) if positions else told


def event_of(receipts: Iterable[Receipt]) -> bytes:
    """Receipts of one room as one `m.receipt`."""
    content: dict[str, dict[str, dict[str, object]]] = {}
    for receipt in receipts:
        told: dict[str, object] = {"ts": receipt.ts}
        if receipt.thread:
            told["thread_id"] = receipt.thread
        content.setdefault(receipt.event_id, {}).setdefault(receipt.receipt_type, {})[receipt.user_id] = told
    return orjson.dumps({"type": "m.receipt", "content": content})


def _put_all(
    tx: WriteTransaction,
    room: int,
    room_id: str,
    user_id: str,
    markers: Mapping[str, str],
    thread: str | None,
    places: Mapping[str, Place],
    now_ms: int,
) -> None:
    for receipt_type, event_id in markers.items():
        place = places[event_id]
        if receipt_type == FULLY_READ:
            store.put_fully_read(tx, user_id, room, room_id, event_id, place)
            continue
        if thread is not None and not threads.is_in_thread(tx, event_id, thread):
            raise InvalidParam("The event is not in that thread.")
        receipt = Receipt(room, receipt_type, user_id, thread or "", event_id, now_ms)
        store.put(tx, receipt, place, room_id)


__all__ = ["FULLY_READ", "PRIVATE", "PUBLIC", "Place", "Receipt", "Receipts", "RoomReceipts", "event_of"]
