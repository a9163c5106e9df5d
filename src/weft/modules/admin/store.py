"""The rows of nonces."""

from __future__ import annotations

from weft.storage.database import WriteTransaction


def insert_nonce(tx: WriteTransaction, nonce: str, expires_ms: int) -> None:
    tx.run(
        "INSERT INTO registration_nonces (nonce, expires_ms) VALUES (:nonce, :expires_ms)",
        nonce=nonce,
        expires_ms=expires_ms,
    )


def take_nonce(tx: WriteTransaction, nonce: str, now_ms: int) -> bool:
    """True once, for a nonce that was given out and has not expired."""
    row = tx.one("DELETE FROM registration_nonces WHERE nonce = :nonce RETURNING expires_ms", nonce=nonce)
    return row is not None and row[0] > now_ms


def prune_nonces(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    return tx.run("DELETE FROM registration_nonces WHERE expires_ms <= :now", now=now_ms)
