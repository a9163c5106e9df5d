"""The rows of device lists of other servers' users."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weft.modules.keys.device_store import KeyedDevice
from weft.storage.database import Transaction, WriteTransaction


class RemoteList(NamedTuple):
    """A list that is followed. The keys are canonical JSON."""

    user_id: str
    stream_id: int
    cut: str
    stale: int
    master_key: bytes | None
    self_signing_key: bytes | None


_COLUMNS = "user_id, stream_id, cut, stale, master_key, self_signing_key"


def of_users(tx: Transaction, users: Collection[str]) -> list[RemoteList]:
    rows = tx.all(f"SELECT {_COLUMNS} FROM remote_device_lists WHERE user_id IN :users", users=list(users))
    return [RemoteList(*row) for row in rows]


def hold(tx: WriteTransaction, user_id: str) -> RemoteList | None:
    """A list, kept from others until the end of the transaction."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM remote_device_lists WHERE user_id = :user_id {tx.dialect.for_update}", user_id=user_id
    )
    return RemoteList(*row) if row else None


def devices_of(tx: Transaction, users: Collection[str]) -> list[KeyedDevice]:
    rows = tx.all(
        """SELECT user_id, device_id, display_name, keys FROM remote_devices
           WHERE user_id IN :users ORDER BY user_id, device_id""",
        users=list(users),
    )
    return [KeyedDevice(*row) for row in rows]


def put(tx: WriteTransaction, known: RemoteList) -> None:
    """Puts a list in the place of what is here, without its devices."""
    tx.run(
        """INSERT INTO remote_device_lists (user_id, stream_id, cut, stale, master_key, self_signing_key)
           VALUES (:user_id, :stream_id, :cut, :stale, :master_key, :self_signing_key)
           ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, cut = excluded.cut,
               stale = excluded.stale, master_key = excluded.master_key,
               self_signing_key = excluded.self_signing_key""",
        **known._asdict(),
    )


def replace_devices(tx: WriteTransaction, user_id: str, devices: Sequence[KeyedDevice]) -> None:
    tx.run("DELETE FROM remote_devices WHERE user_id = :user_id", user_id=user_id)
    for device in devices:
        put_device(tx, device)


def put_device(tx: WriteTransaction, device: KeyedDevice) -> None:
    tx.run(
        """INSERT INTO remote_devices (user_id, device_id, display_name, keys)
           VALUES (:user_id, :device_id, :display_name, :keys)
           ON CONFLICT (user_id, device_id)
           DO UPDATE SET display_name = excluded.display_name, keys = excluded.keys""",
        **device._asdict(),
    )


def drop_device(tx: WriteTransaction, user_id: str, device_id: str) -> None:
    tx.run(
        "DELETE FROM remote_devices WHERE user_id = :user_id AND device_id = :device_id",
        user_id=user_id,
        device_id=device_id,
    )


def mark_stale(tx: WriteTransaction, user_id: str) -> None:
    tx.run("UPDATE remote_device_lists SET stale = 1, tried_ms = 0 WHERE user_id = :user_id", user_id=user_id)


def drop(tx: WriteTransaction, user_id: str) -> None:
    """Ceases to follow a list."""
    for table in ("remote_device_lists", "remote_devices"):
        tx.run(f"DELETE FROM {table} WHERE user_id = :user_id", user_id=user_id)


def stale(tx: Transaction, limit: int) -> list[str]:
    """Whose lists have to be asked for anew, the longest untried first."""
    rows = tx.all("SELECT user_id FROM remote_device_lists WHERE stale = 1 ORDER BY tried_ms LIMIT :limit", limit=limit)
    return [user_id for (user_id,) in rows]


def tried(tx: WriteTransaction, users: Collection[str], now_ms: int) -> None:
    tx.run(
        "UPDATE remote_device_lists SET tried_ms = :now_ms WHERE user_id IN :users", now_ms=now_ms, users=list(users)
    )
