"""Rooms that nobody of this server gets into, whether the server knows them or not.

Who is in such a room already stays, and can leave. All are in memory; the log keeps them true in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from weft.protocol.errors import MatrixError
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.positions import Entry

#: The kind of log entry: `key` is the room's id, `user_id` who blocked it; None: it is open again.
KIND: Final = "room_block"


class RoomBlocks:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._closed: set[str] = set()

    async def start(self) -> None:
        """Reads all; the log keeps them true from then on."""
        self._closed.update(await self._database.read(_all))

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what the log says."""
        for entry in entries:
            if entry.kind != KIND or entry.key is None:
                continue
            if entry.user_id is None:
                self._closed.discard(entry.key)
            else:
                self._closed.add(entry.key)

    def check(self, room_id: str) -> None:
        """Raises what somebody is told who wants to get into a blocked room."""
        if room_id in self._closed:
            raise MatrixError("This room has been blocked on this server.", errcode="M_FORBIDDEN", status=403)

    async def blocked_by(self, room_id: str) -> str | None:
        """Who blocked a room; None for one that is open, or closed only while it is being deleted."""
        return await self._database.get(_blocked_by, room_id)

    async def set(self, room_id: str, user_id: str, blocked: bool) -> None:
        """Blocks a room in somebody's name, or opens it."""
        if blocked:
            await self._database.write(block, room_id, user_id, lasting=True)
        else:
            await self._database.write(unblock, room_id)


def block(tx: WriteTransaction, room_id: str, user_id: str, *, lasting: bool) -> None:
    """Closes a room; one that is blocked for good stays so."""
    tx.run(
        """INSERT INTO blocked_rooms (room_id, user_id, lasting) VALUES (:room_id, :user_id, :lasting)
           ON CONFLICT (room_id) DO UPDATE SET user_id = excluded.user_id, lasting = excluded.lasting
           WHERE blocked_rooms.lasting < excluded.lasting""",
        room_id=room_id,
        user_id=user_id,
        lasting=int(lasting),
    )
    tx.append(KIND, user_id=user_id, key=room_id)


def unblock(tx: WriteTransaction, room_id: str, *, lasting: bool = True) -> None:
    """Opens a room; with `lasting` false only one that was closed for a while."""
    condition = "" if lasting else " AND lasting = 0"
    if tx.run(f"DELETE FROM blocked_rooms WHERE room_id = :room_id{condition}", room_id=room_id):
        tx.append(KIND, key=room_id)


def _all(tx: Transaction) -> list[str]:
    return [room_id for (room_id,) in tx.all("SELECT room_id FROM blocked_rooms")]


def _blocked_by(tx: Transaction, room_id: str) -> str | None:
    found: str | None = tx.value(
        "SELECT user_id FROM blocked_rooms WHERE room_id = :room_id AND lasting = 1", room_id=room_id
    )
    return found
