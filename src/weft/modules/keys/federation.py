"""What other servers are told of our users' devices as they change: each server that shares a room with the user, and
those that may have come into one unheard.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from weft.modules.devices import device_lists
from weft.modules.devices.device_lists import KIND, Change
from weft.modules.events import Sharing
from weft.modules.keys import askers, device_store, list_store
from weft.modules.keys.own_users import Known, OwnUsers
from weft.modules.keys.updates import DEVICE_LIST_UPDATE, SIGNING_KEY_UPDATE
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage import resolutions
from weft.storage.database import Transaction
from weft.storage.positions import Entry, Vector


class KeysFederation:
    """Implements `weft.federation.sender.Outgoing`. `names`: whether devices are told with their display names.

    A server that was believed out of a room, and is in it after all once the room's state is resolved, may have thought
    so all the time: it is told the newest change of everybody here, by whose number it finds out what it missed.
    """

    kinds = frozenset({KIND, resolutions.KIND})

    def __init__(self, engine: Engine, sharing: Sharing, own_users: OwnUsers, *, names: bool) -> None:
        self._engine = engine
        self._sharing = sharing
        self._own_users = own_users
        self._names = names

    async def servers(self, entry: Entry) -> Iterable[str]:
        if entry.kind == resolutions.KIND:
            return await self._came_back(entry)
        if entry.user_id is None or not self._engine.is_local(entry.user_id):
            return ()
        return await self._servers_of(entry.user_id)

    async def asked(self, server_name: str, user_id: str) -> None:
        """Another server is about to be told a list, and follows it from then on if it thinks that it shares a room.

        Of a user who is in no room, nobody can think that.
        """
        servers = await self._servers_in_rooms_of(user_id)
        if servers and server_name not in servers:
            await self._engine.database.write(askers.put, user_id, server_name, self._engine.outside.now_ms())

    async def forget_askers(self) -> None:
        """Forgets those who asked long ago."""
        await self._engine.database.write(askers.prune, self._engine.outside.now_ms() - askers.KEPT_MS)

    async def _servers_of(self, user_id: str) -> set[str]:
        found = await self._servers_in_rooms_of(user_id)
        return found.union(await self._engine.database.get(askers.of_user, user_id))

    async def _servers_in_rooms_of(self, user_id: str) -> set[str]:
        found: set[str] = set()
        for room_id in await self._sharing.joined(user_id):
            room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
            if room is not None:
                found.update(room.servers)
        return found

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        changes = [(entry.user_id, Change.of(entry)) for entry in entries if entry.user_id is not None]
        return await self._told([*changes, *await self._newest(await self._members_of(entries))])

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        """The newest change of each user: who missed one before it finds that out from its number."""
        changed = await self._engine.database.read(device_lists.changed_since, since)
        users = {
            user_id
            for user_id in changed
            if self._engine.is_local(user_id) and server_name in await self._servers_of(user_id)
        }
        resolved = await self._engine.database.read(list_store.resolutions_since, since)
        came_back = [entry for entry in resolved if server_name in await self._came_back(entry)]
        return await self._told(await self._newest(users | await self._members_of(came_back)))

    async def _came_back(self, entry: Entry) -> set[str]:
        """The servers that are in a room now that its state is resolved, and were not before."""
        told = resolutions.of(entry)
        if entry.room is None or told.before in (None, told.now):
            return set()
        read = self._engine.database.read
        changed = await read(list_store.whose_membership_changed, told.before, told.now)
        room = await self._engine.rooms.get(await self._engine.rooms.room_id(entry.room)) if changed else None
        if room is None or not room.joined_local:
            return set()
        came = {domain_of(user_id) for user_id in changed if room.membership(user_id) == "join"}
        return came - {domain_of(user_id) for user_id in room.members("join") if user_id not in changed}

    async def _members_of(self, entries: Iterable[Entry]) -> set[str]:
        """Our users in the rooms whose resolved states some entries tell of."""
        found: set[str] = set()
        for number in {entry.room for entry in entries if entry.kind == resolutions.KIND and entry.room is not None}:
            found |= (await self._engine.rooms.get(await self._engine.rooms.room_id(number))).joined_local
        return found

    async def _newest(self, users: Collection[str]) -> list[tuple[str, Change]]:
        """The newest change of each user's devices, and their signing keys."""
        newest = await self._engine.database.read(device_lists.newest_of, users) if users else {}
        return [*sorted(newest.items()), *((user_id, Change(0, "")) for user_id in sorted(users))]

    async def _told(self, changes: Sequence[tuple[str, Change]]) -> list[dict[str, Any]]:
        """The EDUs of changes, as things are now, each once."""
        users = dict.fromkeys(user_id for user_id, _ in changes)
        known = await self._own_users.known(dict.fromkeys(users, ()), names=False)
        names = await self._engine.database.read(_names, list(users))
        return [
            self._device(known, names, user_id, change) if change.device_id else self._signing_keys(known, user_id)
            for user_id, change in dict.fromkeys(
                (user_id, change if change.device_id else Change(0, "")) for user_id, change in changes
            )
        ]

    def _device(
        self, known: Known, names: Mapping[tuple[str, str], str], user_id: str, change: Change
    ) -> dict[str, Any]:
        stream_id, device_id = change
        content: dict[str, Any] = {
            "user_id": user_id,
            "device_id": device_id,
            "stream_id": stream_id,
            "prev_id": [stream_id - 1] if stream_id > 1 else [],
        }
        name = names.get((user_id, device_id))
        keys = known.device_keys[user_id].get(device_id)
        if name is None:
            content["deleted"] = True
        if name and self._names:
            content["device_display_name"] = name
        if keys is not None:
            content["keys"] = keys
        return {"edu_type": DEVICE_LIST_UPDATE, "content": content}

    @staticmethod
    def _signing_keys(known: Known, user_id: str) -> dict[str, Any]:
        content: dict[str, Any] = {"user_id": user_id}
        if user_id in known.master_keys:
            content["master_key"] = known.master_keys[user_id]
        if user_id in known.self_signing_keys:
            content["self_signing_key"] = known.self_signing_keys[user_id]
        return {"edu_type": SIGNING_KEY_UPDATE, "content": content}


def _names(tx: Transaction, users: Sequence[str]) -> dict[tuple[str, str], str]:
    """What each device of some users is called, "" for one without a name."""
    return {(device.user_id, device.device_id): device.display_name for device in device_store.of_users(tx, users)}
