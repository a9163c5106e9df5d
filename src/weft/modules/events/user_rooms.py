"""Which rooms a user is in, was in, is invited to or knocked at.

In memory for those who are here, and kept up to date by the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from weft.rooms.engine import Engine
from weft.storage import rooms as room_store
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry
from weft.storage.purging import ROOM_DELETED

_KEPT_USERS = 5_000


class Seat(NamedTuple):
    """A user's place in a room. `position` is that of the membership event."""

    number: int
    membership: str
    event_id: str
    position: int
    forgotten: bool = False


class UserRooms:
    """`of(user)` is the user's rooms by id. The mapping is shared: don't change it, don't keep it over an `await`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._users: OrderedDict[str, dict[str, Seat]] = OrderedDict()

    def now(self, user_id: str) -> dict[str, Seat] | None:
        """As `of`, if it is in memory."""
        return self._users.get(user_id)

    async def of(self, user_id: str) -> dict[str, Seat]:
        """Every room that the user has or had anything to do with."""
        known = self._users.get(user_id)
        if known is not None:
            self._users.move_to_end(user_id)
            return known
        while True:
            before = self._engine.log.head
            rows = await self._engine.database.get(room_store.memberships_of_user, user_id)
            if self._engine.log.head == before:
                break
        seats = {r.room_id: Seat(r.room, r.membership, r.event_id, r.position, bool(r.forgotten)) for r in rows}
        for room_id, seat in seats.items():
            self._engine.rooms.named(seat.number, room_id)
        self._users[user_id] = seats
        while len(self._users) > _KEPT_USERS:
            self._users.popitem(last=False)
        return seats

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        for entry in entries:
            if entry.kind == "event" and isinstance(entry.payload, StoredEvent):
                self._member_event(entry.payload)
            elif entry.kind in ("resolution", ROOM_DELETED):
                # Whose membership came out differently is not in the entry.
                self._users.clear()
            elif entry.kind == "forgotten" and entry.user_id is not None:
                self._users.pop(entry.user_id, None)

    def _member_event(self, stored: StoredEvent) -> None:
        event = stored.event
        if event.type != "m.room.member" or event.state_key is None:
            return
        seats = self._users.get(event.state_key)
        if seats is None:
            return
        before = seats.get(event.room_id)
        membership = event.membership or "leave"
        forgotten = before is not None and before.forgotten and membership in ("leave", "ban")
        seats[event.room_id] = Seat(stored.room, membership, event.event_id, stored.position, forgotten)
