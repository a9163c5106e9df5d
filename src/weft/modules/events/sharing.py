"""Who shares a room with whom: who may see somebody's presence, and has to know of their devices.

Answered from memory, by sets of rooms; a user whose rooms are not at hand is looked up where one may wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from weft.modules.events.user_rooms import Seat, UserRooms
from weft.storage.events import StoredEvent
from weft.storage.log import Log
from weft.storage.positions import Entry
from weft.storage.purging import ROOM_DELETED

_KEPT_USERS = 10_000


class Sharing:
    def __init__(self, user_rooms: UserRooms) -> None:
        self._user_rooms = user_rooms
        self._joined: dict[str, frozenset[str]] = {}

    def joined_now(self, user_id: str) -> frozenset[str] | None:
        """The rooms that a user is in, where they are at hand."""
        known = self._joined.get(user_id)
        if known is None:
            seats = self._user_rooms.now(user_id)
            if seats is not None:
                known = self._keep(user_id, seats)
        return known

    async def joined(self, user_id: str) -> frozenset[str]:
        """The rooms that a user is in."""
        known = self.joined_now(user_id)
        return known if known is not None else self._keep(user_id, await self._user_rooms.of(user_id))

    def share_now(self, user_id: str, other: str) -> bool:
        """Whether two users are in a room together; True where that is not known."""
        mine, theirs = self.joined_now(user_id), self.joined_now(other)
        return mine is None or theirs is None or user_id == other or not mine.isdisjoint(theirs)

    async def share(self, user_id: str, other: str) -> bool:
        """Whether two users are in a room together, or are the same."""
        return user_id == other or not (await self.joined(user_id)).isdisjoint(await self.joined(other))

    def in_any_room_of(self, users: Iterable[str], others: Iterable[object]) -> list[str]:
        """Those of the others who share a room with any of the users, or of whom that is not known."""
        rooms: set[str] = set()
        is_known = True
        for user_id in users:
            theirs = self.joined_now(user_id)
            is_known = is_known and theirs is not None
            rooms |= theirs or frozenset()
        found: list[str] = []
        for other in list(others):
            if not isinstance(other, str):
                continue
            mine = self.joined_now(other)
            if mine is None or not is_known or not rooms.isdisjoint(mine):
                found.append(other)
        return found

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        for entry in entries:
            if entry.kind == "event" and isinstance(entry.payload, StoredEvent):
                event = entry.payload.event
                if event.type == "m.room.member" and event.state_key is not None:
                    self._joined.pop(event.state_key, None)
            elif entry.kind in ("resolution", ROOM_DELETED):
                self._joined.clear()

    def _keep(self, user_id: str, seats: dict[str, Seat]) -> frozenset[str]:
        joined = frozenset(room_id for room_id, seat in seats.items() if seat.membership == "join")
        if len(self._joined) >= _KEPT_USERS:
            self._joined.clear()
        self._joined[user_id] = joined
        return joined


class Sharers:
    """Those who share a room with a user: asks about one, or goes through those who wait for news."""

    def __init__(self, sharing: Sharing, log: Log, user_id: str) -> None:
        self._sharing = sharing
        self._log = log
        self._user_id = user_id

    def __contains__(self, other: object) -> bool:
        return isinstance(other, str) and self._sharing.share_now(self._user_id, other)

    def __iter__(self) -> Iterator[str]:
        return (key for key in list(self._log.waiting) if isinstance(key, str) and key in self)
