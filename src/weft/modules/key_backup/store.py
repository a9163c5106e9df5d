"""The rows of key backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from weft.storage.database import Transaction, WriteTransaction

#: The lower, the better: (not verified, first message index, forwarded count).
Rank = tuple[int, int, int]
#: Every key is better than none.
WORST: Final[Rank] = (2, 0, 0)


class BackupRow(NamedTuple):
    """`keys` is how many are stored."""

    version: int
    algorithm: str
    auth_data: bytes
    keys: int
    etag: int


class KeyRow(NamedTuple):
    room_id: str
    session_id: str
    first_message_index: int
    forwarded_count: int
    is_verified: int
    session_data: bytes

    @property
    def rank(self) -> Rank:
        return 1 - self.is_verified, self.first_message_index, self.forwarded_count


_BACKUP: Final = "version, algorithm, auth_data, keys, etag"
_KEY: Final = "room_id, session_id, first_message_index, forwarded_count, is_verified, session_data"


# -- backups


def create(tx: WriteTransaction, user_id: str, algorithm: str, auth_data: bytes) -> int:
    """Begins a backup; returns its version, which no other of the user's ever had."""
    version: int = tx.value(
        """INSERT INTO key_backups (user_id, version, algorithm, auth_data, keys, etag, deleted)
           SELECT :user_id, COALESCE(MAX(version), 0) + 1, :algorithm, :auth_data, 0, 0, 0
           FROM key_backups WHERE user_id = :user_id
           RETURNING version""",
        user_id=user_id,
        algorithm=algorithm,
        auth_data=auth_data,
    )
    return version


def current(tx: Transaction, user_id: str, *, locked: bool = False) -> BackupRow | None:
    """The newest backup. `locked`: nobody else changes it before this transaction ends."""
    version = tx.value("SELECT MAX(version) FROM key_backups WHERE user_id = :user_id AND deleted = 0", user_id=user_id)
    if version is None:
        return None
    if locked:
        tx.all(
            "UPDATE key_backups SET etag = etag WHERE user_id = :user_id AND version = :version RETURNING etag",
            user_id=user_id,
            version=version,
        )
    return find(tx, user_id, version)


def find(tx: Transaction, user_id: str, version: int) -> BackupRow | None:
    row = tx.one(
        f"SELECT {_BACKUP} FROM key_backups WHERE user_id = :user_id AND version = :version AND deleted = 0",
        user_id=user_id,
        version=version,
    )
    return BackupRow(row[0], row[1], bytes(row[2]), row[3], row[4]) if row else None


def was_ever(tx: Transaction, user_id: str, version: int) -> bool:
    """Whether there is such a backup, or was."""
    found = tx.value(
        "SELECT 1 FROM key_backups WHERE user_id = :user_id AND version = :version", user_id=user_id, version=version
    )
    return found is not None


def set_auth_data(tx: WriteTransaction, user_id: str, version: int, auth_data: bytes) -> None:
    tx.put(
        "UPDATE key_backups SET auth_data = :auth_data WHERE user_id = :user_id AND version = :version",
        auth_data=auth_data,
        user_id=user_id,
        version=version,
    )


def changed(tx: WriteTransaction, user_id: str, version: int, more: int) -> BackupRow:
    """Notes that keys of a backup have changed, and how many more there are."""
    row = tx.one(
        f"""UPDATE key_backups SET keys = keys + :more, etag = etag + 1
            WHERE user_id = :user_id AND version = :version RETURNING {_BACKUP}""",
        more=more,
        user_id=user_id,
        version=version,
    )
    if row is None:
        raise AssertionError("the backup was found in this transaction")
    return BackupRow(row[0], row[1], bytes(row[2]), row[3], row[4])


def delete(tx: WriteTransaction, user_id: str, version: int) -> None:
    """Removes a backup with its keys."""
    tx.put(
        """UPDATE key_backups SET deleted = 1, auth_data = :nothing, keys = 0
           WHERE user_id = :user_id AND version = :version""",
        nothing=b"{}",
        user_id=user_id,
        version=version,
    )
    tx.put(
        "DELETE FROM key_backup_keys WHERE user_id = :user_id AND version = :version",
        user_id=user_id,
        version=version,
    )


def remove_all(tx: WriteTransaction, user_id: str) -> None:
    tx.put("DELETE FROM key_backup_keys WHERE user_id = :user_id", user_id=user_id)
    tx.put("DELETE FROM key_backups WHERE user_id = :user_id", user_id=user_id)


# -- keys


def keys(tx: Transaction, user_id: str, version: int, room_id: str | None, session_id: str | None) -> list[KeyRow]:
    """All keys of a backup, or a room's, or one."""
    scope, params = _scope(room_id, session_id)
    rows = tx.all(
        f"SELECT {_KEY} FROM key_backup_keys WHERE user_id = :user_id AND version = :version {scope}",
        user_id=user_id,
        version=version,
        **params,
    )
    return [KeyRow(*row)._replace(session_data=bytes(row[-1])) for row in rows]


def ranks(tx: Transaction, user_id: str, version: int, wanted: Sequence[KeyRow]) -> dict[tuple[str, str], Rank]:
    """How good those keys are that a backup has already, of the sessions of some others."""
    rows = tx.all(
        """SELECT room_id, session_id, is_verified, first_message_index, forwarded_count FROM key_backup_keys
           WHERE user_id = :user_id AND version = :version AND room_id IN :rooms AND session_id IN :sessions""",
        user_id=user_id,
        version=version,
        rooms=list({key.room_id for key in wanted}),
        sessions=list({key.session_id for key in wanted}),
    )
    return {(room_id, session_id): (1 - verified, first, count) for room_id, session_id, verified, first, count in rows}


def put_keys(tx: WriteTransaction, user_id: str, version: int, rows: Sequence[KeyRow]) -> None:
    """Stores keys in the place of what is there."""
    tx.many(
        f"""INSERT INTO key_backup_keys (user_id, version, {_KEY})
            VALUES (:user_id, :version, :room_id, :session_id, :first_message_index, :forwarded_count, :is_verified,
                    :session_data)
            ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE SET
                first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count,
                is_verified = excluded.is_verified, session_data = excluded.session_data""",
        [{"user_id": user_id, "version": version, **row._asdict()} for row in rows],
    )


def delete_keys(tx: WriteTransaction, user_id: str, version: int, room_id: str | None, session_id: str | None) -> int:
    """Removes all keys of a backup, or a room's, or one; returns how many."""
    scope, params = _scope(room_id, session_id)
    return tx.run(
        f"DELETE FROM key_backup_keys WHERE user_id = :user_id AND version = :version {scope}",
        user_id=user_id,
        version=version,
        **params,
    )


def _scope(room_id: str | None, session_id: str | None) -> tuple[str, dict[str, str]]:
    params = {"room_id": room_id, "session_id": session_id}
    given = {name: value for name, value in params.items() if value is not None}
    return "".join(f" AND {name} = :{name}" for name in given), given
