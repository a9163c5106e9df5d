"""The rows of devices' identity keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class KeyedDevice(NamedTuple):
    """A device and its keys (canonical JSON; None where it has none here). `display_name` may be ""."""

    user_id: str
    device_id: str
    display_name: str
    keys: bytes | None


def exists(tx: Transaction, user_id: str, device_id: str) -> bool:
    """Whether there is such a device."""
    return bool(
        tx.one(
            "SELECT 1 FROM devices WHERE user_id = :user_id AND device_id = :device_id",
            user_id=user_id,
            device_id=device_id,
        )
    )


def find(tx: Transaction, user_id: str, device_id: str) -> bytes | None:
    """The keys of a device."""
    found: bytes | None = tx.value(
        "SELECT keys FROM device_keys WHERE user_id = :user_id AND device_id = :device_id",
        user_id=user_id,
        device_id=device_id,
    )
    return found


def put(tx: WriteTransaction, user_id: str, device_id: str, keys: bytes) -> None:
    tx.run(
        """INSERT INTO device_keys (user_id, device_id, keys) VALUES (:user_id, :device_id, :keys)
           ON CONFLICT (user_id, device_id) DO UPDATE SET keys = excluded.keys""",
        user_id=user_id,
        device_id=device_id,
        keys=keys,
    )


def of_users(tx: Transaction, users: Collection[str]) -> list[KeyedDevice]:
    """All devices of our users, with keys or without."""
    rows = tx.all(
        """SELECT d.user_id, d.device_id, d.display_name, k.keys
           FROM devices d LEFT JOIN device_keys k ON k.user_id = d.user_id AND k.device_id = d.device_id
           WHERE d.user_id IN :users ORDER BY d.user_id, d.created_ms, d.device_id""",
        users=list(users),
    )
    return [KeyedDevice(*row) for row in rows]


def drop_of_devices(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    tx.run(
        "DELETE FROM device_keys WHERE user_id = :user_id AND device_id IN :device_ids",
        user_id=user_id,
        device_ids=list(device_ids),
    )
