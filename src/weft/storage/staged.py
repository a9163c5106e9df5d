"""Events of other servers that were acknowledged while what they build on is still being fetched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weft.protocol.event import Event
from weft.storage.database import Transaction, WriteTransaction


class Staged(NamedTuple):
    event_id: str
    origin: str
    received_ms: int
    json: bytes


def put(tx: WriteTransaction, room: int, origin: str, events: Sequence[Event], now_ms: int) -> None:
    """Keeps events until they are dealt with; one that is kept already stays as it is."""
    tx.many(
        """INSERT INTO staged_events (room, event_id, origin, depth, received_ms, json)
           VALUES (:room, :event_id, :origin, :depth, :now, :json) ON CONFLICT DO NOTHING""",
        [
            {
                "room": room,
                "event_id": event.event_id,
                "origin": origin,
                "depth": event.depth,
                "now": now_ms,
                "json": event.wire,
            }
            for event in events
        ],
    )


def count(tx: Transaction, room: int) -> int:
    found: int = tx.value("SELECT COUNT(*) FROM staged_events WHERE room = :room", room=room)
    return found


def of_room(tx: Transaction, room: int, limit: int) -> list[Staged]:
    """Those of a room, the lowest first."""
    rows = tx.all(
        """SELECT event_id, origin, received_ms, json FROM staged_events
           WHERE room = :room ORDER BY depth, received_ms, event_id LIMIT :limit""",
        room=room,
        limit=limit,
    )
    return [Staged(event_id, origin, received_ms, bytes(json)) for event_id, origin, received_ms, json in rows]


def drop(tx: WriteTransaction, room: int, event_ids: Collection[str]) -> None:
    tx.put("DELETE FROM staged_events WHERE room = :room AND event_id IN :ids", room=room, ids=list(event_ids))


def rooms_waiting_since(tx: Transaction, before_ms: int) -> list[str]:
    """The rooms that have events which were received before a time and are still not dealt with."""
    return [
        room_id
        for (room_id,) in tx.all(
            """SELECT DISTINCT r.room_id FROM staged_events s JOIN rooms r ON r.room = s.room
               WHERE s.received_ms <= :before""",
            before=before_ms,
        )
    ]
