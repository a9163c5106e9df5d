"""The rows of clients, of authorisation codes, and of who is signed in to the pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction

# -- clients


def put_client(tx: WriteTransaction, client_id: str, metadata: bytes, now_ms: int) -> None:
    """Registers a client; one that is there is used again."""
    tx.run(
        """INSERT INTO oauth_clients (client_id, metadata, used_ms) VALUES (:client_id, :metadata, :now_ms)
           ON CONFLICT (client_id) DO UPDATE SET used_ms = excluded.used_ms""",
        client_id=client_id,
        metadata=metadata,
        now_ms=now_ms,
    )


def client(tx: Transaction, client_id: str) -> bytes | None:
    """What a client said of itself."""
    found = tx.value("SELECT metadata FROM oauth_clients WHERE client_id = :client_id", client_id=client_id)
    return bytes(found) if found is not None else None


def unused_clients(tx: Transaction, before_ms: int, limit: int) -> list[str]:
    rows = tx.all(
        "SELECT client_id FROM oauth_clients WHERE used_ms < :before ORDER BY used_ms LIMIT :limit",
        before=before_ms,
        limit=limit,
    )
    return [row[0] for row in rows]


def touch_clients(tx: WriteTransaction, client_ids: Collection[str], now_ms: int) -> None:
    tx.run(
        "UPDATE oauth_clients SET used_ms = :now_ms WHERE client_id IN :client_ids",
        now_ms=now_ms,
        client_ids=list(client_ids),
    )


def drop_clients(tx: WriteTransaction, client_ids: Collection[str]) -> None:
    tx.run("DELETE FROM oauth_clients WHERE client_id IN :client_ids", client_ids=list(client_ids))


# -- codes


class CodeRow(NamedTuple):
    client_id: str
    user_id: str
    redirect_uri: str
    challenge: str
    scope: str
    nonce: str | None
    expires_ms: int
    used: bool = False
    grant: bytes | None = None


def insert_code(tx: WriteTransaction, hash_: bytes, row: CodeRow) -> None:
    tx.run(
        """INSERT INTO oauth_codes (hash, client_id, user_id, redirect_uri, challenge, scope, nonce, expires_ms)
           VALUES (:hash, :client_id, :user_id, :redirect_uri, :challenge, :scope, :nonce, :expires_ms)""",
        hash=hash_,
        client_id=row.client_id,
        user_id=row.user_id,
        redirect_uri=row.redirect_uri,
        challenge=row.challenge,
        scope=row.scope,
        nonce=row.nonce,
        expires_ms=row.expires_ms,
    )


def hold_code(tx: WriteTransaction, hash_: bytes) -> CodeRow | None:
    """Finds a code; nobody else can redeem it until the end of the transaction."""
    row = tx.one(
        f"""SELECT client_id, user_id, redirect_uri, challenge, scope, nonce, expires_ms, used, grant_hash
            FROM oauth_codes WHERE hash = :hash {tx.dialect.for_update}""",
        hash=hash_,
    )
    if row is None:
        return None
    found = CodeRow(*row)
    return found._replace(used=bool(found.used), grant=bytes(found.grant) if found.grant is not None else None)


def use_code(tx: WriteTransaction, hash_: bytes, grant: bytes | None) -> None:
    """Notes that somebody tried a code, and which session began by that."""
    tx.run("UPDATE oauth_codes SET used = 1, grant_hash = :grant WHERE hash = :hash", hash=hash_, grant=grant)


def prune_codes(tx: WriteTransaction, expired_before_ms: int) -> int:
    return tx.run("DELETE FROM oauth_codes WHERE expires_ms < :before", before=expired_before_ms)


# -- who is signed in


class BrowserRow(NamedTuple):
    user_id: str
    proven_ms: int


def browser_session(tx: Transaction, hash_: bytes, now_ms: int) -> BrowserRow | None:
    row = tx.one(
        "SELECT user_id, proven_ms FROM browser_sessions WHERE hash = :hash AND expires_ms > :now_ms",
        hash=hash_,
        now_ms=now_ms,
    )
    return BrowserRow(*row) if row else None


def insert_browser_session(tx: WriteTransaction, hash_: bytes, user_id: str, now_ms: int, expires_ms: int) -> None:
    tx.run(
        """INSERT INTO browser_sessions (hash, user_id, proven_ms, expires_ms)
           VALUES (:hash, :user_id, :now_ms, :expires_ms)""",
        hash=hash_,
        user_id=user_id,
        now_ms=now_ms,
        expires_ms=expires_ms,
    )


def drop_browser_session(tx: WriteTransaction, hash_: bytes) -> None:
    tx.run("DELETE FROM browser_sessions WHERE hash = :hash", hash=hash_)


def drop_of_user(tx: WriteTransaction, user_id: str) -> None:
    """Signs a user out of every browser, and forgets the codes that they have given."""
    for table in ("browser_sessions", "oauth_codes"):
        tx.run(f"DELETE FROM {table} WHERE user_id = :user_id", user_id=user_id)


def prune_browser_sessions(tx: WriteTransaction, now_ms: int) -> int:
    return tx.run("DELETE FROM browser_sessions WHERE expires_ms <= :now_ms", now_ms=now_ms)
