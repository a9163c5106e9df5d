"""The rows of what devices without a browser ask for."""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class GrantRow(NamedTuple):
    """`allowed` None: nobody has decided yet."""

    user_code: str
    client_id: str
    scope: str
    expires_ms: int
    interval_ms: int
    polled_ms: int
    user_id: str | None = None
    allowed: bool | None = None


_COLUMNS = ", ".join(GrantRow._fields)


def insert(tx: WriteTransaction, hash_: bytes, row: GrantRow) -> None:
    """Raises `UniqueViolation` if another one that waits has the same code."""
    tx.run(
        """INSERT INTO oauth_device_grants (hash, user_code, client_id, scope, expires_ms, interval_ms, polled_ms)
           VALUES (:hash, :user_code, :client_id, :scope, :expires_ms, :interval_ms, :polled_ms)""",
        hash=hash_,
        user_code=row.user_code,
        client_id=row.client_id,
        scope=row.scope,
        expires_ms=row.expires_ms,
        interval_ms=row.interval_ms,
        polled_ms=row.polled_ms,
    )


def waiting(tx: Transaction, user_code: str, now_ms: int) -> GrantRow | None:
    """One on which nobody has decided."""
    row = tx.one(
        f"""SELECT {_COLUMNS} FROM oauth_device_grants
            WHERE user_code = :user_code AND expires_ms > :now_ms AND allowed IS NULL""",
        user_code=user_code,
        now_ms=now_ms,
    )
    return GrantRow(*row) if row else None


def decide(tx: WriteTransaction, user_code: str, user_id: str, allowed: bool, now_ms: int) -> bool:
    """False if there is none of this code on which nobody has decided."""
    return bool(
        tx.run(
            """UPDATE oauth_device_grants SET user_id = :user_id, allowed = :allowed
               WHERE user_code = :user_code AND expires_ms > :now_ms AND allowed IS NULL""",
            user_code=user_code,
            user_id=user_id,
            allowed=int(allowed),
            now_ms=now_ms,
        )
    )


def hold(tx: WriteTransaction, hash_: bytes) -> GrantRow | None:
    """Finds one by the device's code; nobody else can use it until the end of the transaction."""
    row = tx.one(f"SELECT {_COLUMNS} FROM oauth_device_grants WHERE hash = :hash {tx.dialect.for_update}", hash=hash_)
    if row is None:
        return None
    found = GrantRow(*row)
    return found._replace(allowed=bool(found.allowed) if found.allowed is not None else None)


def polled(tx: WriteTransaction, hash_: bytes, now_ms: int, interval_ms: int) -> None:
    tx.run(
        "UPDATE oauth_device_grants SET polled_ms = :now_ms, interval_ms = :interval_ms WHERE hash = :hash",
        hash=hash_,
        now_ms=now_ms,
        interval_ms=interval_ms,
    )


def drop(tx: WriteTransaction, hash_: bytes) -> None:
    tx.run("DELETE FROM oauth_device_grants WHERE hash = :hash", hash=hash_)


def drop_of_user(tx: WriteTransaction, user_id: str) -> None:
    """Forgets what a user has decided, where the device has not come for it yet."""
    tx.run("DELETE FROM oauth_device_grants WHERE user_id = :user_id", user_id=user_id)


def prune(tx: WriteTransaction, expired_before_ms: int) -> int:
    return tx.run("DELETE FROM oauth_device_grants WHERE expires_ms < :before", before=expired_before_ms)
