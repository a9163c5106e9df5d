"""The changes of users' device lists: each is numbered for its user, and told in the log.

Whatever changes what others may know of a user's devices calls `changed` in the same transaction: devices that come,
go or get another name, their keys, and signatures of them. Keys that sign other keys call `signing_keys_changed`: they
belong to the list, but other servers hear of them without a number.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Entry, Vector, beyond

#: The kind of log entry: `user_id` is whose list changed, `key` is spelled by `Change`.
KIND: Final = "device"


class Change(NamedTuple):
    """One change of a device list. `device_id` is "" where it is the signing keys that changed."""

    stream_id: int
    device_id: str

    def spell(self) -> str:
        return f"{self.stream_id} {self.device_id}"

    @classmethod
    def of(cls, entry: Entry) -> Change:
        """What an entry tells."""
        stream_id, _, device_id = (entry.key or "0").partition(" ")
        return cls(int(stream_id), device_id)


def changed(tx: WriteTransaction, user_id: str, device_id: str) -> int:
    """Tells that a device has changed, come or gone; the number of the change."""
    stream_id: int = tx.value(
        """INSERT INTO device_lists (user_id, stream_id, position, device_id) VALUES (:user_id, 1, 0, :device_id)
           ON CONFLICT (user_id) DO UPDATE SET stream_id = device_lists.stream_id + 1, device_id = excluded.device_id
           RETURNING stream_id""",
        user_id=user_id,
        device_id=device_id,
    )
    _tell(tx, user_id, Change(stream_id, device_id))
    return stream_id


def signing_keys_changed(tx: WriteTransaction, user_id: str) -> None:
    """Tells that the keys have changed by which a user signs others."""
    tx.run(
        """INSERT INTO device_lists (user_id, stream_id, position) VALUES (:user_id, 0, 0)
           ON CONFLICT (user_id) DO NOTHING""",
        user_id=user_id,
    )
    _tell(tx, user_id, Change(stream_id_of(tx, user_id), ""))


def _tell(tx: WriteTransaction, user_id: str, change: Change) -> None:
    position = tx.append(KIND, user_id=user_id, key=change.spell())
    tx.put("UPDATE device_lists SET position = :position WHERE user_id = :user_id", position=position, user_id=user_id)


def stream_id_of(tx: Transaction, user_id: str) -> int:
    """The number of a user's newest change; 0 where there was none."""
    found: int | None = tx.value("SELECT stream_id FROM device_lists WHERE user_id = :user_id", user_id=user_id)
    return found or 0


def newest_of(tx: Transaction, users: Collection[str]) -> dict[str, Change]:
    """The newest numbered change of some users' lists."""
    rows = tx.all(
        "SELECT user_id, stream_id, device_id FROM device_lists WHERE user_id IN :users AND stream_id > 0",
        users=list(users),
    )
    return {user_id: Change(stream_id, device_id) for user_id, stream_id, device_id in rows}


def position_of(tx: Transaction, user_id: str) -> int:
    """Where in the log a user's newest change is; 0 where there was none."""
    found: int | None = tx.value("SELECT position FROM device_lists WHERE user_id = :user_id", user_id=user_id)
    return found or 0


def changed_since(tx: Transaction, since: Vector) -> list[str]:
    """Whose lists have changed after a vector."""
    return [user_id for (user_id,) in tx.all(f"SELECT user_id FROM device_lists WHERE {beyond(since)}")]
