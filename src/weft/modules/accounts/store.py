"""The rows of accounts.

Whatever changes what a token is good for appends a log entry of kind `account`, its key saying what it was: every
process forgets what it knows of the user's tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from weft.storage.database import Transaction, WriteTransaction

#: The keys of log entries.
CREATED: Final = "created"
CHANGED: Final = "changed"
TOKENS: Final = "tokens"
DEACTIVATED: Final = "deactivated"
REACTIVATED: Final = "reactivated"
ERASED: Final = "erased"


class Account(NamedTuple):
    user_id: str
    #: The argon2 hash.
    password: str | None
    created_ms: int
    is_guest: bool
    is_admin: bool
    suspended: bool
    locked: bool
    is_deactivated: bool
    #: What kind of account it is, where whoever made it said so.
    user_type: str | None
    #: Whether its owner wanted what they wrote to be erased when it ended.
    erased: bool


_COLUMNS = """user_id, password, created_ms, is_guest, is_admin, suspended, locked, deactivated_ms, user_type,
              erased"""


def find(tx: Transaction, user_id: str) -> Account | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM users WHERE user_id = :user_id", user_id=user_id)
    if row is None:
        return None
    is_guest, is_admin, suspended, locked = map(bool, row[3:7])
    ended = row[7] is not None
    return Account(row[0], row[1], row[2], is_guest, is_admin, suspended, locked, ended, row[8], bool(row[9]))


def find_any(tx: Transaction, user_ids: Iterable[str]) -> Account | None:
    """The first of several that there is."""
    return next((account for user_id in user_ids if (account := find(tx, user_id))), None)


def insert(
    tx: WriteTransaction,
    user_id: str,
    *,
    password: str | None,
    now_ms: int,
    is_guest: bool,
    is_admin: bool | None,
    user_type: str | None = None,
) -> bool:
    """Makes an account; raises `UniqueViolation` if the name was ever taken. Returns whether it is an administrator.

    `is_admin` None: if it is the first one of all. The row in `first_account` decides who was first.
    """
    first = not is_guest and is_admin is not False and _claim_first(tx, user_id)
    admin = first if is_admin is None else is_admin
    tx.run(
        """INSERT INTO users (user_id, password, created_ms, is_guest, is_admin, user_type)
           VALUES (:user_id, :password, :now_ms, :is_guest, :is_admin, :user_type)""",
        user_id=user_id,
        password=password,
        now_ms=now_ms,
        is_guest=int(is_guest),
        is_admin=int(admin),
        user_type=user_type,
    )
    tx.append("account", user_id=user_id, key=CREATED)
    return admin


def _claim_first(tx: WriteTransaction, user_id: str) -> bool:
    return bool(
        tx.run("INSERT INTO first_account (one, user_id) VALUES (1, :user_id) ON CONFLICT DO NOTHING", user_id=user_id)
    )


def promote_guest(tx: WriteTransaction, user_id: str, password: str | None) -> bool:
    """Makes a guest's account a full one; False if it is no guest's."""
    changed = tx.run(
        """UPDATE users SET is_guest = 0, password = :password
           WHERE user_id = :user_id AND is_guest = 1 AND deactivated_ms IS NULL""",
        user_id=user_id,
        password=password,
    )
    if changed:
        tx.append("account", user_id=user_id, key=CHANGED)
    return bool(changed)


def set_password(tx: WriteTransaction, user_id: str, password: str) -> bool:
    """False for an account that isn't, or is deactivated."""
    return bool(
        tx.run(
            "UPDATE users SET password = :password WHERE user_id = :user_id AND deactivated_ms IS NULL",
            user_id=user_id,
            password=password,
        )
    )


def replace_password_hash(tx: WriteTransaction, user_id: str, old: str, new: str) -> None:
    """The same password, hashed at today's cost; nothing happens if it was changed meanwhile."""
    tx.run(
        "UPDATE users SET password = :new WHERE user_id = :user_id AND password = :old",
        user_id=user_id,
        old=old,
        new=new,
    )


def set_suspended(tx: WriteTransaction, user_id: str, suspended: bool) -> None:
    tx.run("UPDATE users SET suspended = :value WHERE user_id = :user_id", value=int(suspended), user_id=user_id)
    tx.append("account", user_id=user_id, key=CHANGED)


def set_locked(tx: WriteTransaction, user_id: str, locked: bool) -> None:
    tx.run("UPDATE users SET locked = :value WHERE user_id = :user_id", value=int(locked), user_id=user_id)
    tx.append("account", user_id=user_id, key=CHANGED)


def set_admin(tx: WriteTransaction, user_id: str, is_admin: bool) -> None:
    tx.run("UPDATE users SET is_admin = :value WHERE user_id = :user_id", value=int(is_admin), user_id=user_id)
    tx.append("account", user_id=user_id, key=CHANGED)


def set_user_type(tx: WriteTransaction, user_id: str, user_type: str | None) -> None:
    tx.run("UPDATE users SET user_type = :value WHERE user_id = :user_id", value=user_type, user_id=user_id)


def deactivate(tx: WriteTransaction, user_id: str, *, erase: bool, now_ms: int) -> bool:
    """Ends an account and forgets its password; False if that has happened already (it may still be erased)."""
    changed = tx.run(
        """UPDATE users SET deactivated_ms = :now_ms, password = NULL
           WHERE user_id = :user_id AND deactivated_ms IS NULL""",
        user_id=user_id,
        now_ms=now_ms,
    )
    if erase:
        tx.run("UPDATE users SET erased = 1 WHERE user_id = :user_id", user_id=user_id)
        tx.append("account", user_id=user_id, key=ERASED)
    tx.append("account", user_id=user_id, key=DEACTIVATED)
    return bool(changed)


def reactivate(tx: WriteTransaction, user_id: str, password: str | None) -> bool:
    """Has an account that has ended begin again; False for one that goes on."""
    changed = tx.run(
        """UPDATE users SET deactivated_ms = NULL, erased = 0, password = :password
           WHERE user_id = :user_id AND deactivated_ms IS NOT NULL""",
        user_id=user_id,
        password=password,
    )
    if changed:
        tx.append("account", user_id=user_id, key=REACTIVATED)
    return bool(changed)


def erased(tx: Transaction) -> list[str]:
    """Who wanted what they wrote to be erased."""
    return [row[0] for row in tx.all("SELECT user_id FROM users WHERE erased = 1")]


def accept_terms(tx: WriteTransaction, user_id: str, versions: Iterable[tuple[str, str]], now_ms: int) -> None:
    """`versions`: each document and its version."""
    tx.many(
        """INSERT INTO accepted_terms (user_id, document, version, accepted_ms)
           VALUES (:user_id, :document, :version, :now_ms) ON CONFLICT DO NOTHING""",
        [
            {"user_id": user_id, "document": document, "version": version, "now_ms": now_ms}
            for document, version in sorted(set(versions))
        ],
    )
