"""The table of notice rooms."""

from __future__ import annotations

from weft.storage.database import Transaction, WriteTransaction


def room_of(tx: Transaction, user_id: str) -> str | None:
    """The id of the room in which the user gets notices."""
    room_id: str | None = tx.value(
        """SELECT r.room_id FROM server_notice_rooms n JOIN rooms r ON r.room = n.room
           WHERE n.user_id = :user_id""",
        user_id=user_id,
    )
    return room_id


def add(tx: WriteTransaction, user_id: str, room: int) -> None:
    """Raises `UniqueViolation` where the user has one already."""
    tx.run("INSERT INTO server_notice_rooms (user_id, room) VALUES (:user_id, :room)", user_id=user_id, room=room)
