"""The rows of access, refresh and login tokens.

A refresh gives a new pair of tokens whose `parent` is the refresh token that was used. That one goes on being good
until one of the new pair is used: then it, its access token and every other pair given for it are removed.

Refresh tokens of OAuth sessions are bound to the client. They begin with what all of a session have in common (its
grant), so that one that was used up long ago still tells whose it was: whoever shows it has stolen it, or was stolen
from.

https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from weft.modules.accounts.store import TOKENS
from weft.storage.database import Transaction, WriteTransaction

REFRESH_PREFIX: Final = "wefr"
#: Characters; as hard to guess as a token.
GRANT_LENGTH: Final = 24


def hash_of(token: str) -> bytes:
    """Under which a token is kept."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def grant_of(refresh_token: str) -> str | None:
    """The part that all refresh tokens of an OAuth session have in common; None for one of the legacy API."""
    prefix, _, rest = refresh_token.partition("_")
    grant, separator, _ = rest.partition("_")
    return grant if prefix == REFRESH_PREFIX and separator and len(grant) == GRANT_LENGTH else None


class NewTokens(NamedTuple):
    """Tokens about to be given out, by their hashes. `expires_ms`: None for an access token that lasts."""

    access: bytes
    refresh: bytes | None
    expires_ms: int | None
    #: Of an OAuth session.
    client_id: str | None = None
    grant: bytes | None = None


class TokenRow(NamedTuple):
    """An access token, and the account behind it as it stands."""

    token_id: int
    user_id: str
    #: None for a token that an administrator made to act as the user.
    device_id: str | None
    expires_ms: int | None
    refresh_id: int | None
    #: Set until the token is used for the first time after a refresh.
    parent: int | None
    is_guest: bool
    is_admin: bool
    suspended: bool
    locked: bool
    is_oauth: bool


#: In the place of a device id: the token speaks for the user on no device.
NO_DEVICE: Final = ""


class RefreshRow(NamedTuple):
    refresh_id: int
    user_id: str
    device_id: str
    parent: int | None
    client_id: str | None


def find_access(tx: Transaction, hash_: bytes) -> TokenRow | None:
    row = tx.one(
        """SELECT t.token_id, t.user_id, t.device_id, t.expires_ms, t.refresh_id, r.parent,
                  u.is_guest, u.is_admin, u.suspended, u.locked, r.client_id IS NOT NULL
           FROM access_tokens t
           JOIN users u ON u.user_id = t.user_id
           LEFT JOIN refresh_tokens r ON r.refresh_id = t.refresh_id
           WHERE t.hash = :hash AND u.deactivated_ms IS NULL""",
        hash=hash_,
    )
    return TokenRow(row[0], row[1], row[2] or None, *row[3:6], *map(bool, row[6:])) if row else None


def hold_refresh(tx: WriteTransaction, hash_: bytes) -> RefreshRow | None:
    """Finds a refresh token; nobody else can use or remove it until the end of the transaction."""
    row = tx.one(
        f"""SELECT refresh_id, user_id, device_id, parent, client_id FROM refresh_tokens
            WHERE hash = :hash {tx.dialect.for_update}""",
        hash=hash_,
    )
    return RefreshRow(*row) if row else None


def issue(
    tx: WriteTransaction, user_id: str, device_id: str, new: NewTokens, *, now_ms: int, parent: int | None = None
) -> None:
    """Writes down new tokens; `parent` is the refresh token that they are given for."""
    refresh_id = None
    if new.refresh is not None:
        refresh_id = tx.value(
            """INSERT INTO refresh_tokens (hash, user_id, device_id, parent, client_id, grant_hash)
               VALUES (:hash, :user_id, :device_id, :parent, :client_id, :grant) RETURNING refresh_id""",
            hash=new.refresh,
            user_id=user_id,
            device_id=device_id,
            parent=parent,
            client_id=new.client_id,
            grant=new.grant,
        )
    tx.run(
        """INSERT INTO access_tokens (hash, user_id, device_id, created_ms, expires_ms, refresh_id)
           VALUES (:hash, :user_id, :device_id, :now_ms, :expires_ms, :refresh_id)""",
        hash=new.access,
        user_id=user_id,
        device_id=device_id,
        now_ms=now_ms,
        expires_ms=new.expires_ms,
        refresh_id=refresh_id,
    )


def issue_for_administrator(
    tx: WriteTransaction, user_id: str, hash_: bytes, *, made_by: str, now_ms: int, expires_ms: int | None
) -> None:
    """Writes down a token by which an administrator acts as a user."""
    tx.run(
        """INSERT INTO access_tokens (hash, user_id, device_id, created_ms, expires_ms, made_by)
           VALUES (:hash, :user_id, :no_device, :now_ms, :expires_ms, :made_by)""",
        hash=hash_,
        user_id=user_id,
        no_device=NO_DEVICE,
        now_ms=now_ms,
        expires_ms=expires_ms,
        made_by=made_by,
    )


def drop_made_by(tx: WriteTransaction, administrator: str) -> None:
    """Ends every token by which an administrator acts as others."""
    rows = tx.all("DELETE FROM access_tokens WHERE made_by = :made_by RETURNING user_id", made_by=administrator)
    for user_id in {user_id for (user_id,) in rows}:
        tx.append("account", user_id=user_id, key=TOKENS)


def drop_one(tx: WriteTransaction, token_id: int) -> None:
    """Ends one access token."""
    row = tx.one("DELETE FROM access_tokens WHERE token_id = :token_id RETURNING user_id", token_id=token_id)
    if row is not None:
        tx.append("account", user_id=row[0], key=TOKENS)


def prune_made(tx: WriteTransaction, now_ms: int) -> int:
    """Removes tokens of administrators that have expired; returns how many."""
    return tx.run("DELETE FROM access_tokens WHERE made_by IS NOT NULL AND expires_ms <= :now", now=now_ms)


def settle(tx: WriteTransaction, user_id: str, refresh_id: int, parent: int) -> None:
    """One of a new pair is used: removes the pair that it replaces, and every other one given for that."""
    # The parent goes first: who is about to give out another pair for it holds its row until that is written.
    tx.run("DELETE FROM refresh_tokens WHERE refresh_id = :parent", parent=parent)
    tx.run("UPDATE refresh_tokens SET parent = NULL WHERE refresh_id = :refresh_id", refresh_id=refresh_id)
    others = tx.all("DELETE FROM refresh_tokens WHERE parent = :parent RETURNING refresh_id", parent=parent)
    _drop_access(tx, [parent, *(row[0] for row in others)])
    tx.append("account", user_id=user_id, key=TOKENS)


def drop_unused(tx: WriteTransaction, parent: int) -> None:
    """Of the pairs given for a refresh token and not used yet, keeps only the newest, so that they don't pile up."""
    others = tx.all(
        """DELETE FROM refresh_tokens WHERE parent = :parent
             AND refresh_id < (SELECT MAX(refresh_id) FROM refresh_tokens WHERE parent = :parent)
           RETURNING refresh_id""",
        parent=parent,
    )
    _drop_access(tx, [row[0] for row in others])


def _drop_access(tx: WriteTransaction, refresh_ids: list[int]) -> None:
    if refresh_ids:
        tx.run("DELETE FROM access_tokens WHERE refresh_id IN :refresh_ids", refresh_ids=refresh_ids)


def device_of(tx: Transaction, hash_: bytes) -> tuple[str, str] | None:
    """The user and the device that an access or refresh token speaks for, expired or not."""
    for table in ("access_tokens", "refresh_tokens"):
        row = tx.one(f"SELECT user_id, device_id FROM {table} WHERE hash = :hash", hash=hash_)
        if row is not None:
            return row[0], row[1]
    return None


def device_of_grant(tx: Transaction, grant: bytes) -> tuple[str, str] | None:
    """The user and the device of an OAuth session that goes on."""
    row = tx.one("SELECT user_id, device_id FROM refresh_tokens WHERE grant_hash = :grant LIMIT 1", grant=grant)
    return (row[0], row[1]) if row else None


def clients_in_use(tx: Transaction, client_ids: Sequence[str]) -> list[str]:
    """Those of some OAuth clients that have a session."""
    rows = tx.all(
        "SELECT DISTINCT client_id FROM refresh_tokens WHERE client_id IN :client_ids", client_ids=list(client_ids)
    )
    return [row[0] for row in rows]


def drop_of_devices(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    """Ends every session of some devices."""
    ids = list(device_ids)
    for table in ("access_tokens", "refresh_tokens"):
        tx.run(
            f"DELETE FROM {table} WHERE user_id = :user_id AND device_id IN :device_ids",
            user_id=user_id,
            device_ids=ids,
        )
    tx.append("account", user_id=user_id, key=TOKENS)


def insert_login_token(tx: WriteTransaction, hash_: bytes, user_id: str, expires_ms: int) -> None:
    tx.run(
        "INSERT INTO login_tokens (hash, user_id, expires_ms) VALUES (:hash, :user_id, :expires_ms)",
        hash=hash_,
        user_id=user_id,
        expires_ms=expires_ms,
    )


def take_login_token(tx: WriteTransaction, hash_: bytes, now_ms: int) -> str | None:
    """Whose it is, once; None if it is not known, used or expired."""
    row = tx.one("DELETE FROM login_tokens WHERE hash = :hash RETURNING user_id, expires_ms", hash=hash_)
    return row[0] if row and row[1] > now_ms else None


def drop_login_tokens(tx: WriteTransaction, user_id: str) -> None:
    tx.run("DELETE FROM login_tokens WHERE user_id = :user_id", user_id=user_id)


def prune_login_tokens(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    return tx.run("DELETE FROM login_tokens WHERE expires_ms <= :now", now=now_ms)
