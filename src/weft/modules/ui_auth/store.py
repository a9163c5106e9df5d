"""The rows of authentication sessions."""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class SealedRow(NamedTuple):
    revision: int
    sealed: bytes


def find(tx: Transaction, key: bytes, now_ms: int) -> SealedRow | None:
    row = tx.one(
        "SELECT revision, sealed FROM ui_auth_sessions WHERE hash = :hash AND expires_ms > :now", hash=key, now=now_ms
    )
    return SealedRow(row[0], bytes(row[1])) if row else None


def insert(tx: WriteTransaction, key: bytes, sealed: bytes, expires_ms: int) -> None:
    tx.run(
        "INSERT INTO ui_auth_sessions (hash, revision, sealed, expires_ms) VALUES (:hash, 1, :sealed, :expires)",
        hash=key,
        sealed=sealed,
        expires=expires_ms,
    )


def update(tx: WriteTransaction, key: bytes, revision: int, sealed: bytes) -> bool:
    """False if somebody else has changed or removed it since it was at `revision`."""
    return bool(
        tx.run(
            """UPDATE ui_auth_sessions SET sealed = :sealed, revision = :revision + 1
               WHERE hash = :hash AND revision = :revision""",
            hash=key,
            revision=revision,
            sealed=sealed,
        )
    )


def delete(tx: WriteTransaction, key: bytes) -> bool:
    """False if it was gone already."""
    return bool(tx.run("DELETE FROM ui_auth_sessions WHERE hash = :hash", hash=key))


def prune(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    return tx.run("DELETE FROM ui_auth_sessions WHERE expires_ms <= :now", now=now_ms)
