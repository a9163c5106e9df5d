"""The rows of devices. Whatever others may have to hear about a device is told in `device_lists`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from weft.modules.devices import device_lists
from weft.storage.database import Transaction, WriteTransaction


class DeviceRow(NamedTuple):
    """`last_seen_ms` is milliseconds since 1970, 0 for never; the texts are "" where nothing is known."""

    device_id: str
    display_name: str
    last_seen_ms: int
    last_seen_ip: str
    last_seen_user_agent: str


class Seen(NamedTuple):
    """Where and when a device was last seen."""

    user_id: str
    device_id: str
    last_seen_ms: int
    ip: str
    user_agent: str


_COLUMNS = "device_id, display_name, last_seen_ms, last_seen_ip, last_seen_user_agent"


def of_user(tx: Transaction, user_id: str) -> list[DeviceRow]:
    """All devices of a user, the oldest first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM devices WHERE user_id = :user_id ORDER BY created_ms, device_id", user_id=user_id
    )
    return [DeviceRow(*row) for row in rows]


def one(tx: Transaction, user_id: str, device_id: str) -> DeviceRow | None:
    row = tx.one(
        f"SELECT {_COLUMNS} FROM devices WHERE user_id = :user_id AND device_id = :device_id",
        user_id=user_id,
        device_id=device_id,
    )
    return DeviceRow(*row) if row else None


def ensure(tx: WriteTransaction, user_id: str, device_id: str, *, display_name: str, now_ms: int) -> bool:
    """Makes a device unless it is there, which then keeps its name. True if it was made."""
    made = tx.run(
        """INSERT INTO devices (user_id, device_id, display_name, created_ms)
           VALUES (:user_id, :device_id, :display_name, :now_ms) ON CONFLICT (user_id, device_id) DO NOTHING""",
        user_id=user_id,
        device_id=device_id,
        display_name=display_name,
        now_ms=now_ms,
    )
    if made:
        device_lists.changed(tx, user_id, device_id)
    return bool(made)


def rename(tx: WriteTransaction, user_id: str, device_id: str, display_name: str) -> bool:
    """False if the user has no such device."""
    changed = tx.run(
        "UPDATE devices SET display_name = :display_name WHERE user_id = :user_id AND device_id = :device_id",
        display_name=display_name,
        user_id=user_id,
        device_id=device_id,
    )
    if changed:
        device_lists.changed(tx, user_id, device_id)
    return bool(changed)


def delete(tx: WriteTransaction, user_id: str, device_ids: Iterable[str]) -> list[str]:
    """Removes those of the devices that are there; returns them."""
    gone = [
        device_id
        for (device_id,) in tx.all(
            "DELETE FROM devices WHERE user_id = :user_id AND device_id IN :device_ids RETURNING device_id",
            user_id=user_id,
            device_ids=list(device_ids),
        )
    ]
    for device_id in gone:
        device_lists.changed(tx, user_id, device_id)
    return gone


def ids_of_users(tx: Transaction, user_ids: Collection[str]) -> dict[str, list[str]]:
    """The devices of each of some users who have any."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = tx.all("SELECT user_id, device_id FROM devices WHERE user_id IN :user_ids", user_ids=list(user_ids))
    for user_id, device_id in rows:
        found[user_id].append(device_id)
    return dict(found)


def ids_of_user(tx: Transaction, user_id: str) -> list[str]:
    return [row[0] for row in tx.all("SELECT device_id FROM devices WHERE user_id = :user_id", user_id=user_id)]


def saw(tx: WriteTransaction, seen: Iterable[Seen]) -> None:
    """Writes down where devices were seen, unless something newer is there. Nobody waits for that: no log entry."""
    tx.many(
        """UPDATE devices SET last_seen_ms = :last_seen_ms, last_seen_ip = :ip, last_seen_user_agent = :user_agent
           WHERE user_id = :user_id AND device_id = :device_id AND last_seen_ms < :last_seen_ms""",
        [each._asdict() for each in seen],
    )
