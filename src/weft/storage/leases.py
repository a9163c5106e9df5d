"""Leases: what only one process should do at a time belongs to whoever holds the row, until it expires.

Times are milliseconds since the epoch and come from the caller. A writer id is leased in another way: it belongs to
the connection that took it.
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


# -- writers: whose entries of the log have which number

#: PostgreSQL's advisory locks: one for each writer id, and one for making a new id.
_WRITER_LOCKS, _NEW_WRITER_LOCK = 0x77656674, 0


def only_writer(tx: WriteTransaction, holder: str) -> tuple[int, int]:
    """The writer id of a database that a single process uses, and the number of its newest entry."""
    tx.run(
        """INSERT INTO writers (writer, holder) VALUES (1, :holder)
           ON CONFLICT (writer) DO UPDATE SET holder = excluded.holder""",
        holder=holder,
    )
    return 1, newest_number(tx, 1)


def take_writer(tx: WriteTransaction, holder: str, preferred: int | None = None) -> tuple[int, int]:
    """Takes a writer id that no connection holds, for as long as this connection lives; and its newest number.

    PostgreSQL gives a lock of the connection up when the connection ends, and only after what it wrote is
    decided; so no clock is needed, and a process that was cut off can't write under an id that it has lost.
    """
    tx.run("SELECT pg_advisory_xact_lock(:space, :key)", space=_WRITER_LOCKS, key=_NEW_WRITER_LOCK)
    known: list[int] = [writer for (writer,) in tx.all("SELECT writer FROM writers ORDER BY writer")]
    known.sort(key=lambda writer: writer != preferred)
    for writer in known:
        if tx.value("SELECT pg_try_advisory_lock(:space, :key)", space=_WRITER_LOCKS, key=writer):
            tx.run("UPDATE writers SET holder = :holder WHERE writer = :writer", holder=holder, writer=writer)
            return writer, newest_number(tx, writer)
    writer = max(known, default=0) + 1
    tx.run("SELECT pg_advisory_lock(:space, :key)", space=_WRITER_LOCKS, key=writer)
    tx.run("INSERT INTO writers (writer, holder) VALUES (:writer, :holder)", writer=writer, holder=holder)
    return writer, 0


def newest_number(tx: Transaction, writer: int) -> int:
    """The number of a writer's newest entry, 0 for none."""
    position: int | None = tx.value(
        "SELECT MAX(position) FROM log WHERE position >= :first AND position < :beyond",
        first=writer << WRITER_SHIFT,
        beyond=(writer + 1) << WRITER_SHIFT,
    )
    return (position or 0) & NUMBER_MASK


def new_run(tx: WriteTransaction, holder: str) -> int:
    """A number that no start of any process ever had: what ids that must be unique are made from without asking."""
    run: int = tx.value("INSERT INTO runs (holder) VALUES (:holder) RETURNING run", holder=holder)
    return run
