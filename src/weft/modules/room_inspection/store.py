"""Reads a room's graph as it is, with what was refused."""

from __future__ import annotations

from weft.graph.outcome import Outcome
from weft.storage import events, front
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent


def newest(tx: Transaction, room: int, limit: int) -> list[StoredEvent]:
    """The newest events that have a place in the room's graph, whatever became of them."""
    rows = tx.all(
        """SELECT position FROM events WHERE room = :room AND outcome <> :outlier
           ORDER BY depth DESC, position DESC LIMIT :limit""",
        room=room,
        outlier=int(Outcome.OUTLIER),
        limit=limit,
    )
    return list(events.by_positions(tx, [position for (position,) in rows]).values())


def ends(tx: Transaction, room: int) -> list[str]:
    """The room's forward extremities."""
    return sorted(front.ends(tx, room))
