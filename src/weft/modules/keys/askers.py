"""Other servers that have asked for the device list of a user of ours, though they seem to share no room with them.

They may have come into a room of the user's of which we have not heard yet. They follow the list from then on, so they
are told of its changes as if they were there, until they must long have been heard of.
"""

from __future__ import annotations

from typing import Final

from weft.storage.database import Transaction, WriteTransaction

#: How long a join may take to get here.
KEPT_MS: Final = 30 * 86_400_000
#: Servers that are remembered for one user, the newest; whoever likes may ask.
MOST: Final = 100


def put(tx: WriteTransaction, user_id: str, server_name: str, now_ms: int) -> None:
    tx.run(
        """INSERT INTO device_list_askers (user_id, server_name, asked_ms) VALUES (:user_id, :server_name, :now_ms)
           ON CONFLICT (user_id, server_name) DO UPDATE SET asked_ms = excluded.asked_ms""",
        user_id=user_id,
        server_name=server_name,
        now_ms=now_ms,
    )
    tx.run(
        """DELETE FROM device_list_askers WHERE user_id = :user_id AND server_name IN (
               SELECT server_name FROM device_list_askers WHERE user_id = :user_id
               ORDER BY asked_ms DESC, server_name LIMIT 1000 OFFSET :most)""",
        user_id=user_id,
        most=MOST,
    )


def of_user(tx: Transaction, user_id: str) -> list[str]:
    """Which servers have asked for a user's list."""
    rows = tx.all("SELECT server_name FROM device_list_askers WHERE user_id = :user_id", user_id=user_id)
    return [server_name for (server_name,) in rows]


def prune(tx: WriteTransaction, before_ms: int) -> None:
    """Forgets those who asked before a time, in milliseconds since the epoch."""
    tx.put("DELETE FROM device_list_askers WHERE asked_ms < :before_ms", before_ms=before_ms)
