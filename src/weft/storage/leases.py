"""Leases: what only one process should do at a time belongs to whoever holds the row, until it expires.

Times are milliseconds since the epoch and come from the caller.
"""

from __future__ import annotations

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import NUMBER_MASK, WRITER_SHIFT


def take(tx: WriteTransaction, name: str, holder: str, *, now_ms: int, for_ms: int) -> bool:
    """Takes or renews a lease. False where another holder has it and it has not expired."""
    return bool(
        tx.run(
            """INSERT INTO leases (name, holder, expires_ms) VALUES (:name, :holder, :expires)
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_ms = excluded.expires_ms
               WHERE leases.holder = excluded.holder OR leases.expires_ms <= :now""",
            name=name,
            holder=holder,
            expires=now_ms + for_ms,
            now=now_ms,
        )
    )


def release(tx: WriteTransaction, name: str, holder: str) -> None:
    tx.run("DELETE FROM leases WHERE name = :name AND holder = :holder", name=name, holder=holder)


def holder(tx: Transaction, name: str, *, now_ms: int) -> str | None:
    """Who holds a lease that has not expired."""
    found: str | None = tx.value(
        "SELECT holder FROM leases WHERE name = :name AND expires_ms > :now", name=name, now=now_ms
    )
    return found


def take_writer(tx: WriteTransaction, holder: str, *, now_ms: int, for_ms: int) -> tuple[int, int]:
    """Leases a writer id, an expired one before a new one; returns it and the number of its newest entry."""
    writer: int | None = tx.value(
        f"SELECT writer FROM writers WHERE expires_ms <= :now ORDER BY writer LIMIT 1 {tx.dialect.skip_locked}",
        now=now_ms,
    )
    if writer is None:
        writer = 1 + (tx.value("SELECT MAX(writer) FROM writers") or 0)
        tx.run(
            "INSERT INTO writers (writer, holder, expires_ms) VALUES (:writer, :holder, :expires)",
            writer=writer,
            holder=holder,
            expires=now_ms + for_ms,
        )
    else:
        tx.run(
            "UPDATE writers SET holder = :holder, expires_ms = :expires WHERE writer = :writer",
            writer=writer,
            holder=holder,
            expires=now_ms + for_ms,
        )
    return writer, newest_number(tx, writer)


def renew_writer(tx: WriteTransaction, writer: int, holder: str, *, now_ms: int, for_ms: int) -> bool:
    """Keeps a writer id. False where another process has taken it: this one must stop writing."""
    return bool(
        tx.run(
            "UPDATE writers SET expires_ms = :expires WHERE writer = :writer AND holder = :holder",
            writer=writer,
            holder=holder,
            expires=now_ms + for_ms,
        )
    )


def release_writer(tx: WriteTransaction, writer: int, holder: str) -> None:
    tx.run("UPDATE writers SET expires_ms = 0 WHERE writer = :writer AND holder = :holder", writer=writer, holder=holder)


def newest_number(tx: Transaction, writer: int) -> int:
    """The number of a writer's newest entry, 0 for none."""
    position: int | None = tx.value(
        "SELECT MAX(position) FROM log WHERE position >= :first AND position < :beyond",
        first=writer << WRITER_SHIFT,
        beyond=(writer + 1) << WRITER_SHIFT,
    )
    return (position or 0) & NUMBER_MASK
