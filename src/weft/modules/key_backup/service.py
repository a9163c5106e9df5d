"""Backups of room keys: a user has one that is current, and may look at those before it.

Keys go into the current backup only, and a key gives way to a better one only: one from a verified device, then one
that reads more of the session, then one that was passed on less often.

https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.modules.accounts import AccountsService
from weft.modules.key_backup import store
from weft.modules.key_backup.store import BackupRow, KeyRow
from weft.protocol.api.client.key_backup import KeyBackupData
from weft.protocol.errors import InvalidParam, MatrixError, NotFound, TooLarge
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, UniqueViolation, WriteTransaction

#: Bytes of a backup's `auth_data`, and of one key. The bounds are ours.
MAX_AUTH_DATA: Final = 64 << 10
MAX_SESSION_DATA: Final = 64 << 10

#: By room id and session id.
Keys = Mapping[str, Mapping[str, KeyBackupData]]


class KeyBackups:
    """Every method raises `NotFound` for a backup that the user does not have."""

    def __init__(self, engine: Engine, accounts: AccountsService) -> None:
        self._database = engine.database
        accounts.hooks.deactivated.append(lambda tx, ended: store.remove_all(tx, ended.user_id))

    # -- backups

    async def create(self, user_id: str, algorithm: str, auth_data: Mapping[str, Any]) -> str:
        """Begins a new backup, which is the current one from then on; returns its version."""
        data = _checked(auth_data)
        while True:
            try:
                return str(await self._database.write(store.create, user_id, algorithm, data))
            except UniqueViolation:
                continue  # another process has just begun one

    async def find(self, user_id: str, version: str | None) -> BackupRow:
        """One backup; None: the current one."""
        if version is None:
            current = await self._database.read(store.current, user_id)
            if current is None:
                raise NotFound("There is no backup.")
            return current
        return await self._database.read(_find, user_id, version)

    async def update(self, user_id: str, version: str, algorithm: str, auth_data: Mapping[str, Any]) -> None:
        """Replaces a backup's `auth_data`. Raises `InvalidParam` for another algorithm."""
        data = _checked(auth_data)

        def write(tx: WriteTransaction) -> None:
            found = _find(tx, user_id, version)
            if found.algorithm != algorithm:
                raise InvalidParam("The backup has another algorithm.")
            store.set_auth_data(tx, user_id, found.version, data)

        await self._database.write(write)

    async def delete(self, user_id: str, version: str) -> None:
        """Removes a backup with its keys; one that was deleted before stays so."""

        def write(tx: WriteTransaction) -> None:
            number = _number(version)
            if not store.was_ever(tx, user_id, number):
                raise _unknown()
            store.delete(tx, user_id, number)

        await self._database.write(write)

    # -- keys

    async def keys(
        self, user_id: str, version: str, room_id: str | None = None, session_id: str | None = None
    ) -> list[KeyRow]:
        """All keys of a backup, or a room's, or one."""

        def read(tx: Transaction) -> list[KeyRow]:
            return store.keys(tx, user_id, _find(tx, user_id, version).version, room_id, session_id)

        return await self._database.read(read)

    async def put(self, user_id: str, version: str, keys: Keys) -> BackupRow:
        """Stores those keys that are better than what is there.

        Raises `M_WRONG_ROOM_KEYS_VERSION` for a backup that is not the current one.
        """
        rows = [
            KeyRow(
                room_id,
                session_id,
                key.first_message_index,
                key.forwarded_count,
                int(key.is_verified),
                _session_data(key),
            )
            for room_id, sessions in keys.items()
            for session_id, key in sessions.items()
        ]
        return await self._database.write(_put, user_id, version, rows)

    async def delete_keys(
        self, user_id: str, version: str, room_id: str | None = None, session_id: str | None = None
    ) -> BackupRow:
        """Removes all keys of a backup, or a room's, or one."""

        def write(tx: WriteTransaction) -> BackupRow:
            found = _find(tx, user_id, version)
            gone = store.delete_keys(tx, user_id, found.version, room_id, session_id)
            return store.changed(tx, user_id, found.version, -gone) if gone else found

        return await self._database.write(write)


def _put(tx: WriteTransaction, user_id: str, version: str, rows: Sequence[KeyRow]) -> BackupRow:
    current = store.current(tx, user_id, locked=True)
    if current is None:
        raise _unknown()
    if version != str(current.version):
        _find(tx, user_id, version)
        raise MatrixError(
            "Keys go into the current backup only.",
            errcode="M_WRONG_ROOM_KEYS_VERSION",
            status=403,
            extra={"current_version": str(current.version)},
        )
    known = store.ranks(tx, user_id, current.version, rows)
    better = [row for row in rows if row.rank < known.get((row.room_id, row.session_id), store.WORST)]
    if not better:
        return current
    store.put_keys(tx, user_id, current.version, better)
    fresh = sum((row.room_id, row.session_id) not in known for row in better)
    return store.changed(tx, user_id, current.version, fresh)


def _find(tx: Transaction, user_id: str, version: str) -> BackupRow:
    found = store.find(tx, user_id, _number(version))
    if found is None:
        raise _unknown()
    return found


def _number(version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) <= 18):
        raise _unknown()
    return int(version)


def _unknown() -> NotFound:
    return NotFound("There is no such backup.")


def _checked(auth_data: Mapping[str, Any]) -> bytes:
    data = msgspec.json.encode(auth_data)
    if len(data) > MAX_AUTH_DATA:
        raise TooLarge("auth_data is too large.")
    return data


def _session_data(key: KeyBackupData) -> bytes:
    data = msgspec.json.encode(key.session_data)
    if len(data) > MAX_SESSION_DATA:
        raise TooLarge("session_data is too large.")
    return data
