"""Which rooms a space names, from the table of current state."""

from __future__ import annotations

from typing import Final

from weft.storage.database import Transaction

#: More than any space that people can look through.
_MAX_CHILDREN: Final = 1_000


def children_of(tx: Transaction, room: int) -> list[str]:
    """The ids of a room's `m.space.child` events."""
    rows = tx.all(
        """SELECT event_id FROM current_state WHERE room = :room AND type = 'm.space.child'
           ORDER BY state_key LIMIT :limit""",
        room=room,
        limit=_MAX_CHILDREN,
    )
    return [event_id for (event_id,) in rows]
