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


def count(tx: Transaction, room: int, origin: str) -> int:
    """How many events of a room wait that one server sent."""
    found: int = tx.value(
        "SELECT COUNT(*) FROM staged_events WHERE room = :room AND origin = :origin", room=room, origin=origin
    )
    return found


def of_room(tx: Transaction, room: int, limit: int) -> list[Staged]:
    """Those of a room, the lowest of each server first, and of the servers those first that have the fewest."""
    rows = tx.all(
        """SELECT event_id, origin, received_ms FROM (
               SELECT event_id, origin, received_ms, depth,
                      ROW_NUMBER() OVER (PARTITION BY origin ORDER BY depth, received_ms, event_id) AS turn
               FROM staged_events WHERE room = :room) waiting
           ORDER BY turn, depth, received_ms, event_id LIMIT :limit""",
        room=room,
        limit=limit,
    )
    return [Staged(*row) for row in rows]


def json_of(tx: Transaction, room: int, event_id: str) -> bytes | None:
    """An event that waits, as it came; None where it waits no longer."""
    found = tx.value(
        "SELECT json FROM staged_events WHERE room = :room AND event_id = :event_id", room=room, event_id=event_id
    )
    return None if found is None else bytes(found)


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


def put_in_doubt(tx: WriteTransaction, room: int, until_ms: int) -> None:
    """Notes that a room's state may lack events that could not be verified."""
    tx.put(
        """INSERT INTO doubtful_rooms (room, until_ms) VALUES (:room, :until)
           ON CONFLICT (room) DO UPDATE SET until_ms = excluded.until_ms""",
        room=room,
        until=until_ms,
    )


def put_incomplete(tx: WriteTransaction, room: int, until_ms: int) -> None:
    """Notes that the state by which a room in doubt was entered lacks events that could not be verified."""
    tx.put("UPDATE doubtful_rooms SET incomplete_until_ms = :until WHERE room = :room", room=room, until=until_ms)


def is_incomplete(tx: Transaction, room: int, now_ms: int) -> bool:
    until: int | None = tx.value("SELECT incomplete_until_ms FROM doubtful_rooms WHERE room = :room", room=room)
    return until is not None and until > now_ms


def any_waits(tx: Transaction, room: int) -> bool:
    return tx.value("SELECT 1 FROM staged_events WHERE room = :room LIMIT 1", room=room) is not None


def is_in_doubt(tx: Transaction, room: int, now_ms: int) -> bool:
    until: int | None = tx.value("SELECT until_ms FROM doubtful_rooms WHERE room = :room", room=room)
    return until is not None and until > now_ms
