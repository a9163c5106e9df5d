"""The rows of who somebody is elsewhere, and of those who are on their way."""

from __future__ import annotations

from collections.abc import Collection

from weft.storage.database import Transaction, WriteTransaction


def linked(tx: Transaction, provider: str, subject: str) -> str | None:
    """Whose account goes with somebody at a provider."""
    found = tx.value(
        "SELECT user_id FROM linked_identities WHERE provider = :provider AND subject = :subject",
        provider=provider,
        subject=subject,
    )
    return str(found) if found is not None else None


def providers_of(tx: Transaction, user_id: str, providers: Collection[str]) -> list[str]:
    """With which of these providers a user can sign in."""
    rows = tx.all("SELECT provider FROM linked_identities WHERE user_id = :user_id", user_id=user_id)
    return sorted({row[0] for row in rows} & set(providers))


def of_user(tx: Transaction, user_id: str) -> list[tuple[str, str]]:
    """Who a user is elsewhere: providers and subjects."""
    rows = tx.all(
        "SELECT provider, subject FROM linked_identities WHERE user_id = :user_id ORDER BY provider, subject",
        user_id=user_id,
    )
    return [(provider, subject) for provider, subject in rows]


def unlink(tx: WriteTransaction, provider: str, subject: str) -> None:
    tx.run(
        "DELETE FROM linked_identities WHERE provider = :provider AND subject = :subject",
        provider=provider,
        subject=subject,
    )


def link(tx: WriteTransaction, provider: str, subject: str, user_id: str, now_ms: int) -> None:
    """Raises `UniqueViolation` if somebody is linked already."""
    tx.run(
        """INSERT INTO linked_identities (provider, subject, user_id, linked_ms)
           VALUES (:provider, :subject, :user_id, :now_ms)""",
        provider=provider,
        subject=subject,
        user_id=user_id,
        now_ms=now_ms,
    )


def insert_step(tx: WriteTransaction, hash_: bytes, sealed: bytes, expires_ms: int) -> None:
    tx.run(
        "INSERT INTO single_sign_on_steps (hash, sealed, expires_ms) VALUES (:hash, :sealed, :expires_ms)",
        hash=hash_,
        sealed=sealed,
        expires_ms=expires_ms,
    )


def step(tx: Transaction, hash_: bytes, now_ms: int) -> bytes | None:
    found = tx.value(
        "SELECT sealed FROM single_sign_on_steps WHERE hash = :hash AND expires_ms > :now_ms", hash=hash_, now_ms=now_ms
    )
    return bytes(found) if found is not None else None


def drop_step(tx: WriteTransaction, hash_: bytes) -> bool:
    """False if somebody else has used it up."""
    return bool(tx.run("DELETE FROM single_sign_on_steps WHERE hash = :hash", hash=hash_))


def prune_steps(tx: WriteTransaction, now_ms: int) -> int:
    return tx.run("DELETE FROM single_sign_on_steps WHERE expires_ms <= :now_ms", now_ms=now_ms)
