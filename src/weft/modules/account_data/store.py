"""The rows of account data. Content is bytes of a JSON object, kept as they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from weft.protocol.errors import TooLarge
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond

#: What `room_id` is where the data is for all rooms.
GLOBAL = ""
#: What may be kept with one account: pieces, and bytes of all of them. The bounds are ours.
MAX_PIECES = 20_000
MAX_BYTES = 16 << 20
#: A piece that was there before and is no longer than this is not counted.
_SMALL = 1_024


class Row(NamedTuple):
    room_id: str
    type: str
    content: bytes


def of_user(tx: Transaction, user_id: str) -> list[Row]:
    """Everything that is kept with an account."""
    return _rows(tx.all("SELECT room_id, type, content FROM account_data WHERE user_id = :user_id", user_id=user_id))


def at_positions(tx: Transaction, user_id: str, positions: Sequence[int]) -> list[Row]:
    """What was last written by the entries at these positions."""
    return _rows(
        tx.all(
            """SELECT room_id, type, content FROM account_data
               WHERE user_id = :user_id AND position IN :positions""",
            user_id=user_id,
            positions=list(positions),
        )
    )


def changed_since(tx: Transaction, user_id: str, since: Vector) -> list[Row]:
    """What was last written after a vector."""
    return _rows(
        tx.all(
            f"SELECT room_id, type, content FROM account_data WHERE user_id = :user_id AND {beyond(since)}",
            user_id=user_id,
        )
    )


def put(tx: WriteTransaction, user_id: str, room_id: str, data_type: str, content: bytes) -> None:
    """Keeps a piece of data. Raises `TooLarge` where the account has too much already."""
    position = tx.append("account_data", user_id=user_id, key=room_id)
    before = _length(tx, user_id, room_id, data_type)
    if before is None or len(content) > max(before, _SMALL):
        _check_room_for(tx, user_id, len(content) - (before or 0))
    tx.run(
        """INSERT INTO account_data (user_id, room_id, type, content, position)
           VALUES (:user_id, :room_id, :type, :content, :position)
           ON CONFLICT (user_id, room_id, type)
           DO UPDATE SET content = excluded.content, position = excluded.position""",
        user_id=user_id,
        room_id=room_id,
        type=data_type,
        content=content,
        position=position,
    )


def change(
    tx: WriteTransaction, user_id: str, room_id: str, data_type: str, edit: Callable[[bytes | None], bytes | None]
) -> bool:
    """Replaces a piece of data by what `edit` makes of it (None: it stays as it is), nobody else coming between.

    Returns whether it was replaced.
    """
    before = tx.one(
        f"""SELECT content FROM account_data
            WHERE user_id = :user_id AND room_id = :room_id AND type = :type {tx.dialect.for_update}""",
        user_id=user_id,
        room_id=room_id,
        type=data_type,
    )
    if before is None:
        return _change_absent(tx, user_id, room_id, data_type, edit)
    after = edit(bytes(before[0]))
    if after is None:
        return False
    put(tx, user_id, room_id, data_type, after)
    return True


def _change_absent(
    tx: WriteTransaction, user_id: str, room_id: str, data_type: str, edit: Callable[[bytes | None], bytes | None]
) -> bool:
    first = edit(None)
    if first is None:
        return False
    _check_room_for(tx, user_id, len(first))
    # Waits for whoever else is just inserting it, and then finds theirs.
    made = tx.run(
        """INSERT INTO account_data (user_id, room_id, type, content, position)
           VALUES (:user_id, :room_id, :type, :content, 0) ON CONFLICT (user_id, room_id, type) DO NOTHING""",
        user_id=user_id,
        room_id=room_id,
        type=data_type,
        content=first,
    )
    if not made:
        return change(tx, user_id, room_id, data_type, edit)
    put(tx, user_id, room_id, data_type, first)
    return True


def remove_all(tx: WriteTransaction, user_id: str) -> None:
    """Forgets everything that is kept with an account."""
    if tx.run("DELETE FROM account_data WHERE user_id = :user_id", user_id=user_id):
        tx.append("account_data", user_id=user_id, key=GLOBAL)


def _length(tx: Transaction, user_id: str, room_id: str, data_type: str) -> int | None:
    found: int | None = tx.value(
        "SELECT LENGTH(content) FROM account_data WHERE user_id = :user_id AND room_id = :room_id AND type = :type",
        user_id=user_id,
        room_id=room_id,
        type=data_type,
    )
    return found


def _check_room_for(tx: Transaction, user_id: str, more: int) -> None:
    rows = tx.all("SELECT COUNT(*), SUM(LENGTH(content)) FROM account_data WHERE user_id = :user_id", user_id=user_id)
    pieces, size = rows[0]
    if pieces >= MAX_PIECES or int(size or 0) + more > MAX_BYTES:
        raise TooLarge("This account has too much account data.")


def _rows(rows: Sequence[tuple[str, str, bytes]]) -> list[Row]:
    return [Row(room_id, data_type, bytes(content)) for room_id, data_type, content in rows]
