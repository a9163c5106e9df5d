"""The rows of events that wait to be sent."""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Row as Values
from weft.storage.database import Transaction, WriteTransaction


class Row(NamedTuple):
    """`transaction_id` is of the request that scheduled it; `replaces` the state event whose place it is for."""

    delay_id: str
    user_id: str
    device_id: str
    transaction_id: str | None
    room_id: str
    type: str
    state_key: str | None
    content: bytes
    replaces: str | None
    delay_ms: int
    running_since_ms: int
    due_ms: int
    #: For how long the event is to be sticky, once it is sent.
    sticky_ms: int | None


_COLUMNS = ", ".join(Row._fields)


def insert(tx: WriteTransaction, row: Row) -> None:
    values = ", ".join(f":{name}" for name in Row._fields)
    tx.run(f"INSERT INTO delayed_events ({_COLUMNS}) VALUES ({values})", **row._asdict())


def find(tx: Transaction, delay_id: str) -> Row | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM delayed_events WHERE delay_id = :delay_id", delay_id=delay_id)
    return _row(row) if row is not None else None


def scheduled_by(tx: Transaction, user_id: str, device_id: str, transaction_id: str) -> str | None:
    """The id of what a request has scheduled before."""
    delay_id: str | None = tx.value(
        """SELECT delay_id FROM delayed_events
           WHERE user_id = :user_id AND device_id = :device_id AND transaction_id = :transaction_id""",
        user_id=user_id,
        device_id=device_id,
        transaction_id=transaction_id,
    )
    return delay_id


def count(tx: Transaction, user_id: str) -> int:
    found: int = tx.value("SELECT COUNT(*) FROM delayed_events WHERE user_id = :user_id", user_id=user_id)
    return found


def of_user(tx: Transaction, user_id: str, after: str, limit: int) -> list[Row]:
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM delayed_events WHERE user_id = :user_id AND delay_id > :after
            ORDER BY delay_id LIMIT :limit""",
        user_id=user_id,
        after=after,
        limit=limit,
    )
    return [_row(row) for row in rows]


def due(tx: Transaction, now_ms: int, limit: int) -> list[Row]:
    """What is to be sent now, what has waited longest first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM delayed_events WHERE due_ms <= :now ORDER BY due_ms LIMIT :limit",
        now=now_ms,
        limit=limit,
    )
    return [_row(row) for row in rows]


def restart(tx: WriteTransaction, delay_id: str, now_ms: int) -> bool:
    """Has the whole delay begin anew; False where there is no such event any more."""
    return bool(
        tx.run(
            """UPDATE delayed_events SET running_since_ms = :now, due_ms = :now + delay_ms
               WHERE delay_id = :delay_id""",
            delay_id=delay_id,
            now=now_ms,
        )
    )


def remove(tx: WriteTransaction, delay_id: str) -> bool:
    return bool(tx.run("DELETE FROM delayed_events WHERE delay_id = :delay_id", delay_id=delay_id))


def remove_of_user(tx: WriteTransaction, user_id: str) -> None:
    tx.run("DELETE FROM delayed_events WHERE user_id = :user_id", user_id=user_id)


def _row(values: Values) -> Row:
    row = Row(*values)
    return row._replace(content=bytes(row.content))
