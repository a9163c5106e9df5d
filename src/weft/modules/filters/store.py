"""The rows of stored filters. A filter never changes."""

from __future__ import annotations

from weft.protocol.errors import TooLarge
from weft.storage.database import Transaction, WriteTransaction

#: How many filters an account may store.
MAX_FILTERS = 5_000


def find(tx: Transaction, user_id: str, filter_id: str) -> bytes | None:
    json = tx.value(
        "SELECT json FROM filters WHERE user_id = :user_id AND filter_id = :filter_id",
        user_id=user_id,
        filter_id=filter_id,
    )
    return None if json is None else bytes(json)


def put(tx: WriteTransaction, user_id: str, filter_id: str, json: bytes) -> None:
    """Keeps a filter. Raises `TooLarge` where there are too many."""
    if find(tx, user_id, filter_id) is not None:
        return
    count: int = tx.value("SELECT COUNT(*) FROM filters WHERE user_id = :user_id", user_id=user_id)
    if count >= MAX_FILTERS:
        raise TooLarge("This account has too many filters.")
    tx.run(
        """INSERT INTO filters (user_id, filter_id, json) VALUES (:user_id, :filter_id, :json)
           ON CONFLICT (user_id, filter_id) DO NOTHING""",
        user_id=user_id,
        filter_id=filter_id,
        json=json,
    )
