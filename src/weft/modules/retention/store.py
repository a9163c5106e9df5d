"""Which rooms have messages that may expire."""

from __future__ import annotations

from weft.protocol.retention import KEY
from weft.storage.database import Transaction


def rooms(tx: Transaction, *, everywhere: bool) -> list[str]:
    """The ids of rooms that have a policy of their own, or of all."""
    if everywhere:
        return [room_id for (room_id,) in tx.all("SELECT room_id FROM rooms WHERE snapshot IS NOT NULL")]
    rows = tx.all(
        """SELECT r.room_id FROM current_state s JOIN rooms r ON r.room = s.room
           WHERE s.type = :type AND s.state_key = :state_key""",
        type=KEY[0],
        state_key=KEY[1],
    )
    return [room_id for (room_id,) in rows]
