"""The rows of dehydrated devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class DehydratedDevice(NamedTuple):
    device_id: str
    device_data: bytes


def find(tx: Transaction, user_id: str) -> DehydratedDevice | None:
    row = tx.one("SELECT device_id, device_data FROM dehydrated_devices WHERE user_id = :user_id", user_id=user_id)
    return DehydratedDevice(row[0], bytes(row[1])) if row else None


def put(tx: WriteTransaction, user_id: str, device_id: str, device_data: bytes) -> None:
    tx.put(
        """INSERT INTO dehydrated_devices (user_id, device_id, device_data)
           VALUES (:user_id, :device_id, :device_data)
           ON CONFLICT (user_id) DO UPDATE SET
               device_id = excluded.device_id, device_data = excluded.device_data""",
        user_id=user_id,
        device_id=device_id,
        device_data=device_data,
    )


def devices_removed(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    """Devices are gone, and one of them may have been this."""
    tx.put(
        "DELETE FROM dehydrated_devices WHERE user_id = :user_id AND device_id IN :device_ids",
        user_id=user_id,
        device_ids=list(device_ids),
    )
