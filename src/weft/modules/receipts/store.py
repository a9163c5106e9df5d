"""The rows of receipts, and of the fully-read marker, which is account data. They only ever move forward."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import orjson

from weft.modules.account_data import store as account_data
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond

PUBLIC = "m.read"
PRIVATE = "m.read.private"
FULLY_READ = "m.fully_read"

#: The log's kinds: a public receipt concerns the room, a private one its user alone (its key is the room's id).
KIND = "receipt"
PRIVATE_KIND = "private_receipt"

#: `(depth, position)` of an event: its place in the room's history.
Place = tuple[int, int]


class Receipt(NamedTuple):
    """`thread` is '' where the receipt is for the room as a whole."""

    room: int
    receipt_type: str
    user_id: str
    thread: str
    event_id: str
    ts: int


_COLUMNS = "room, receipt_type, user_id, thread, event_id, ts"


def public_of_room(tx: Transaction, room: int) -> list[Receipt]:
    """Everybody's public receipts in a room."""
    return _receipts(
        tx.all(
            f"SELECT {_COLUMNS} FROM receipts WHERE room = :room AND receipt_type = :type",
            room=room,
            type=PUBLIC,
        )
    )


def private_of_user(tx: Transaction, user_id: str) -> list[Receipt]:
    """A user's private receipts in all rooms."""
    return _receipts(
        tx.all(
            f"SELECT {_COLUMNS} FROM receipts WHERE user_id = :user_id AND receipt_type = :type",
            user_id=user_id,
            type=PRIVATE,
        )
    )


def at_positions(tx: Transaction, positions: Collection[int]) -> list[Receipt]:
    """What was last written by the entries at these positions."""
    return _receipts(tx.all(f"SELECT {_COLUMNS} FROM receipts WHERE position IN :positions", positions=list(positions)))


def changed_since(tx: Transaction, user_id: str, rooms: Collection[int], since: Vector) -> list[Receipt]:
    """Receipts in some rooms that were last written after a vector, of private ones the user's own."""
    return _receipts(
        tx.all(
            f"""SELECT {_COLUMNS} FROM receipts
                WHERE {beyond(since)} AND room IN :rooms AND (receipt_type = :public OR user_id = :user_id)""",
            rooms=list(rooms),
            public=PUBLIC,
            user_id=user_id,
        )
    )


def places_of_user(tx: Transaction, user_id: str, rooms: Collection[int]) -> dict[int, dict[str, Place]]:
    """How far a user has read in some rooms, by whichever kind of receipt is ahead: by room, then by thread.

    The thread '' is the room as a whole.
    """
    places: dict[int, dict[str, Place]] = {room: {} for room in rooms}
    for room, thread, depth, position in tx.all(
        "SELECT room, thread, depth, event_position FROM receipts WHERE user_id = :user_id AND room IN :rooms",
        user_id=user_id,
        rooms=list(rooms),
    ):
        of_room = places[room]
        of_room[thread] = max(of_room.get(thread, (-1, 0)), (depth, position))
    return places


def put(tx: WriteTransaction, receipt: Receipt, place: Place, room_id: str) -> bool:
    """Moves a receipt to an event. False where it is there already, or further on."""
    moved = tx.run(
        """INSERT INTO receipts (room, receipt_type, user_id, thread, event_id, ts, depth, event_position, position)
           VALUES (:room, :receipt_type, :user_id, :thread, :event_id, :ts, :depth, :event_position, 0)
           ON CONFLICT (room, receipt_type, user_id, thread) DO UPDATE SET
               event_id = excluded.event_id, ts = excluded.ts,
               depth = excluded.depth, event_position = excluded.event_position
           WHERE receipts.depth < excluded.depth
              OR (receipts.depth = excluded.depth AND receipts.event_position < excluded.event_position)""",
        **receipt._asdict(),
        depth=place[0],
        event_position=place[1],
    )
    if not moved:
        return False
    if receipt.receipt_type == PUBLIC:
        position = tx.append(KIND, room=receipt.room, user_id=receipt.user_id, payload=receipt)
    else:
        position = tx.append(PRIVATE_KIND, user_id=receipt.user_id, key=room_id, payload=receipt)
    tx.run(
        """UPDATE receipts SET position = :position
           WHERE room = :room AND receipt_type = :receipt_type AND user_id = :user_id AND thread = :thread""",
        position=position,
        room=receipt.room,
        receipt_type=receipt.receipt_type,
        user_id=receipt.user_id,
        thread=receipt.thread,
    )
    return True


def put_fully_read(tx: WriteTransaction, user_id: str, room: int, room_id: str, event_id: str, place: Place) -> bool:
    """Moves the fully-read marker to an event. False where it is there already, or further on."""

    def moved(before: bytes | None) -> bytes | None:
        earlier = _marked_place(tx, room, before) if before is not None else None
        if earlier is not None and earlier >= place:
            return None
        return orjson.dumps({"event_id": event_id})

    return account_data.change(tx, user_id, room_id, FULLY_READ, moved)


def _marked_place(tx: Transaction, room: int, content: bytes) -> Place | None:
    event_id = msgspec.json.decode(content).get("event_id")
    row = tx.one("SELECT room, depth, position FROM events WHERE event_id = :event_id", event_id=event_id)
    return (row[1], row[2]) if row is not None and row[0] == room else None


def _receipts(rows: Sequence[tuple[int, str, str, str, str, int]]) -> list[Receipt]:
    return [Receipt(*row) for row in rows]
