"""The rows of rendezvous sessions."""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction

_COLUMNS = "id, data, sequence, changed_ms, expires_ms"


class Session(NamedTuple):
    """`sequence` counts the writes; times are in ms since 1970."""

    id: str
    data: str
    sequence: int
    changed_ms: int
    expires_ms: int


def insert(tx: WriteTransaction, session: Session, most: int) -> None:
    """Writes a new session. Of more than `most` those go that would end first."""
    tx.run(
        f"INSERT INTO rendezvous_sessions ({_COLUMNS}) VALUES (:id, :data, :sequence, :changed_ms, :expires_ms)",
        **session._asdict(),
    )
    tx.run(
        """DELETE FROM rendezvous_sessions WHERE id NOT IN
           (SELECT id FROM rendezvous_sessions ORDER BY expires_ms DESC, id LIMIT :most)""",
        most=most,
    )


def find(tx: Transaction, id_: str, now_ms: int) -> Session | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM rendezvous_sessions WHERE id = :id AND expires_ms > :now", id=id_, now=now_ms)
    return Session(*row) if row is not None else None


def update(tx: WriteTransaction, id_: str, sequence: int, data: str, now_ms: int) -> Session | None:
    """Writes the next message, if nobody has written since `sequence`; the session as it is then.

    None where it is not there any more. Who reads a `sequence` that is not the next one was too late.
    """
    tx.run(
        """UPDATE rendezvous_sessions SET data = :data, sequence = sequence + 1, changed_ms = :now
           WHERE id = :id AND sequence = :sequence AND expires_ms > :now""",
        id=id_,
        sequence=sequence,
        data=data,
        now=now_ms,
    )
    return find(tx, id_, now_ms)


def delete(tx: WriteTransaction, id_: str, now_ms: int) -> bool:
    """Whether it was there."""
    return bool(tx.run("DELETE FROM rendezvous_sessions WHERE id = :id AND expires_ms > :now", id=id_, now=now_ms))


def prune(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    return tx.run("DELETE FROM rendezvous_sessions WHERE expires_ms <= :now", now=now_ms)
