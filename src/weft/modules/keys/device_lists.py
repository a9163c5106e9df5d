"""Whose devices a client has to look at anew, and whose it need not follow any more.

Both are worked out from the log between what the client has and what it will have: changes of devices, and members who
came or went. What that costs grows with what has happened, not with the rooms in which nothing has.

https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from weft.modules.devices.device_lists import KIND
from weft.modules.events import Sharing, UserRooms
from weft.modules.keys import list_store, signing_store
from weft.rooms.engine import Engine
from weft.storage import rooms as room_store
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

#: The kinds of entries that are looked at.
KINDS: Final = frozenset({KIND, signing_store.KIND, "event", "resolution"})
#: So many users are asked for in memory, one by one; more in the tables, all at once.
_FEW: Final = 20


@dataclass(slots=True)
class Changes:
    """Users whose devices are to be asked for, and users with whom no room is shared any more."""

    changed: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Seen:
    """What the entries of a stretch of the log tell a user."""

    #: Whose devices have changed.
    devices: set[str] = field(default_factory=set)
    #: Whom the user has signed.
    signed: set[str] = field(default_factory=set)
    #: Who may have come into a room or gone out of one.
    members: set[str] = field(default_factory=set)
    #: The rooms that the user came into or went out of.
    own_rooms: set[int] = field(default_factory=set)
    #: The rooms whose state was resolved.
    resolved: set[int] = field(default_factory=set)


class DeviceLists:
    def __init__(self, engine: Engine, user_rooms: UserRooms, sharing: Sharing) -> None:
        self._engine = engine
        self._user_rooms = user_rooms
        self._sharing = sharing

    async def between(self, user_id: str, since: Vector, entries: Sequence[Entry] | None) -> Changes:
        """What a user has to hear who has everything in a vector.

        `entries` are the log's entries since then, at least those that concern the user; None: they are not at hand.
        """
        database = self._engine.database
        if entries is not None:
            seen = await self._look(user_id, entries)
            devices = {other for other in seen.devices if await self._sharing.share(user_id, other)}
        else:
            seen = _Seen(
                members=await database.read(list_store.who_came_or_went, user_id, since),
                signed=await database.read(signing_store.signed_since, user_id, since),
                resolved=set(await database.read(list_store.rooms_resolved_since, user_id, since)),
            )
            devices = await database.read(list_store.devices_changed_since, user_id, since)
        members = seen.members
        if seen.own_rooms:
            members |= await database.read(list_store.who_is_or_was_in, seen.own_rooms, since)
        for number in seen.resolved:
            members |= await self._whose_membership_differs(number, since)
        members.discard(user_id)
        if not members:
            return Changes(devices | seen.signed)
        together = await self._sharing_now(user_id, members)
        throughout = await self._sharing_throughout(user_id, together, since, seen.resolved)
        return Changes(devices | seen.signed | (together - throughout), members - together)

    # -- what the entries tell

    async def _look(self, user_id: str, entries: Iterable[Entry]) -> _Seen:
        seen = _Seen()
        mine = await self._sharing.joined(user_id)
        for entry in entries:
            if entry.kind == KIND and entry.user_id is not None:
                seen.devices.add(entry.user_id)
            elif entry.kind == signing_store.KIND and entry.user_id == user_id and entry.key is not None:
                seen.signed.add(entry.key)
            elif entry.kind == "resolution" and entry.room is not None:
                if await self._engine.rooms.room_id(entry.room) in mine:
                    seen.resolved.add(entry.room)
            elif entry.kind == "event" and isinstance(entry.payload, StoredEvent):
                await self._look_at_member(seen, user_id, mine, entry.payload)
        return seen

    async def _look_at_member(self, seen: _Seen, user_id: str, mine: Collection[str], stored: StoredEvent) -> None:
        event = stored.event
        member = event.state_key
        if event.type != "m.room.member" or member is None or (member != user_id and event.room_id not in mine):
            return
        before = await self._engine.rooms.event(stored.replaces) if stored.replaces is not None else None
        was_in = before is not None and before.event.membership == "join"
        if was_in == (event.membership == "join"):
            return
        if member == user_id:
            seen.own_rooms.add(stored.room)
        else:
            seen.members.add(member)

    async def _whose_membership_differs(self, number: int, since: Vector) -> set[str]:
        """Whose membership may have come out differently when a room's state was resolved."""
        room = await self._engine.rooms.get(await self._engine.rooms.room_id(number))
        found = await self._engine.database.read(list_store.who_differs, number, since, room.current.id)
        return set(room.memberships) if found is None else found

    # -- who shares a room

    async def _sharing_now(self, user_id: str, others: Collection[str]) -> set[str]:
        if len(others) <= _FEW:
            return {other for other in others if await self._sharing.share(user_id, other)}
        return await self._engine.database.read(room_store.rooms_in_common, user_id, others)

    async def _sharing_throughout(
        self, user_id: str, others: Collection[str], since: Vector, resolved: Collection[int]
    ) -> set[str]:
        """Which of them shared a room all the time: one in which neither has come or gone."""
        if len(others) > _FEW:
            return await self._engine.database.read(list_store.sharing_throughout, user_id, others, since, resolved)
        found: set[str] = set()
        for other in others:
            theirs = dict(await self._user_rooms.of(other))
            mine = await self._user_rooms.of(user_id)
            for room_id, seat in theirs.items():
                own = mine.get(room_id)
                if (
                    own is not None
                    and own.membership == seat.membership == "join"
                    and own.position in since
                    and seat.position in since
                    and own.number not in resolved
                ):
                    found.add(other)
                    break
        return found
