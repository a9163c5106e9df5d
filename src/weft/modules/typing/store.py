"""The rows of who is typing. The log's entry says all there is: the room, the user, and as its key until when."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond

KIND = "typing"
#: For how long rows that are over are kept, for clients that were away.
_KEPT_MS = 24 * 3600 * 1000


class Row(NamedTuple):
    """`expires_ms` is negative where somebody has stopped."""

    room: int
    user_id: str
    expires_ms: int


def current(tx: Transaction, now_ms: int) -> list[Row]:
    """Who is typing anywhere."""
    return [
        Row(*row) for row in tx.all("SELECT room, user_id, expires_ms FROM typing WHERE expires_ms > :now", now=now_ms)
    ]


def changed_rooms(tx: Transaction, rooms: Collection[int], since: Vector) -> set[int]:
    """In which of some rooms something changed after a vector."""
    rows = tx.all(
        f"SELECT DISTINCT room FROM typing WHERE room IN :rooms AND {beyond(since)}",
        rooms=list(rooms),
    )
    return {room for (room,) in rows}


def put(tx: WriteTransaction, row: Row) -> None:
    """Says until when a user is typing, or that they have stopped, and tells everybody."""
    position = tx.append(KIND, room=row.room, user_id=row.user_id, key=str(row.expires_ms))
    tx.run(
        """INSERT INTO typing (room, user_id, expires_ms, position)
           VALUES (:room, :user_id, :expires_ms, :position)
           ON CONFLICT (room, user_id) DO UPDATE SET
               expires_ms = excluded.expires_ms, position = excluded.position""",
        **row._asdict(),
        position=position,
    )


def extend(tx: WriteTransaction, row: Row) -> None:
    """As `put`; for somebody who is typing already there is nothing to tell."""
    extended = tx.run(
        "UPDATE typing SET expires_ms = :expires_ms WHERE room = :room AND user_id = :user_id AND expires_ms > 0",
        **row._asdict(),
    )
    if not extended:
        put(tx, row)


def end(tx: WriteTransaction, rows: Collection[Row], now_ms: int) -> list[Row]:
    """Tells everybody of those whose time has passed; returns those who are given more time after all."""
    extended: list[Row] = []
    for row in rows:
        until: int | None = tx.value(
            f"""SELECT expires_ms FROM typing
                WHERE room = :room AND user_id = :user_id AND expires_ms > 0 {tx.dialect.for_update}""",
            room=row.room,
            user_id=row.user_id,
        )
        if until is None:
            continue
        if until > now_ms:
            extended.append(row._replace(expires_ms=until))
        else:
            put(tx, row._replace(expires_ms=-now_ms))
    tx.run("DELETE FROM typing WHERE expires_ms < 0 AND expires_ms > :before", before=_KEPT_MS - now_ms)
    return extended
