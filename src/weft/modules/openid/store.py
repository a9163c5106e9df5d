"""The rows of OpenID tokens, kept as their SHA-256."""

from __future__ import annotations

import hashlib

from weft.storage.database import Transaction, WriteTransaction


def insert(tx: WriteTransaction, token: str, user_id: str, expires_ms: int) -> None:
    tx.run(
        "INSERT INTO openid_tokens (hash, user_id, expires_ms) VALUES (:hash, :user_id, :expires_ms)",
        hash=_hash(token),
        user_id=user_id,
        expires_ms=expires_ms,
    )


def user_of(tx: Transaction, token: str, now_ms: int) -> str | None:
    found: str | None = tx.value(
        "SELECT user_id FROM openid_tokens WHERE hash = :hash AND expires_ms > :now", hash=_hash(token), now=now_ms
    )
    return found


def drop_of_user(tx: WriteTransaction, user_id: str) -> None:
    tx.run("DELETE FROM openid_tokens WHERE user_id = :user_id", user_id=user_id)


def prune(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    return tx.run("DELETE FROM openid_tokens WHERE expires_ms <= :now", now=now_ms)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
