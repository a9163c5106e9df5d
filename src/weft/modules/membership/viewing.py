"""From which state of a room somebody may read: the present one, or the one in which they left.

https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
https://spec.matrix.org/v1.19/client-server-api/#room-previews
"""

from __future__ import annotations

from typing import Final, NamedTuple

from weft.graph.snapshot import Snapshot
from weft.modules.events import Sight
from weft.modules.events.places import LAST, parse_place
from weft.modules.events.user_rooms import UserRooms
from weft.protocol.errors import Forbidden
from weft.protocol.visibility import history_visibility
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

#: How many changes of one's membership are followed back.
_MOST_CHANGES: Final = 500


class View(NamedTuple):
    """A room, and the state of it that somebody may read."""

    room: Room
    state: Snapshot
    #: The event with which the reader left; None for who reads the present state.
    left: StoredEvent | None = None


class Viewing:
    """Decides what state a user may read."""

    def __init__(self, engine: Engine, user_rooms: UserRooms, sight: Sight) -> None:
        self._engine = engine
        self._user_rooms = user_rooms
        self._sight = sight

    async def view(self, room_id: str, user_id: str) -> View:
        """Raises `Forbidden` for a room that the user was never in, has forgotten, or that is not known."""
        rooms = self._engine.rooms
        room = rooms.cached(room_id) or await rooms.find(room_id)
        if room is None:
            raise not_in_room()
        membership = room.memberships.get(user_id)
        if membership == "join":
            return View(room, room.current)
        if membership is not None:
            left = await self._left(room, user_id)
            if left is not None and left.snapshot is not None:
                return View(room, await rooms.snapshot(room, left.snapshot), left)
        if await self.is_world_readable(room):
            return View(room, room.current)
        raise not_in_room()

    async def view_at(self, room_id: str, user_id: str, token: str) -> View:
        """As `view`, at the place in the room's history that a paging token means."""
        view = await self.view(room_id, user_id)
        newest = await self._engine.database.read(_newest_at, view.room.number, token)
        if newest is None or newest.snapshot is None or not await self._sight.may_see(view.room, user_id, newest):
            raise Forbidden("You may not see the room's members at that time.")
        if view.left is not None and view.left.order <= newest.order:
            return view
        return View(view.room, await self._engine.rooms.snapshot(view.room, newest.snapshot))

    async def is_world_readable(self, room: Room) -> bool:
        """Whether anybody may look into the room as it is now."""
        event = await self._engine.rooms.state_event(room, "m.room.history_visibility")
        return history_visibility(event.content if event is not None else None) == "world_readable"

    async def _left(self, room: Room, user_id: str) -> StoredEvent | None:
        """The event that ended the user's last stay in the room, if there was one that is not forgotten."""
        seat = (await self._user_rooms.of(user_id)).get(room.id)
        if seat is not None and seat.forgotten:
            return None
        after: StoredEvent | None = None
        event_id = room.state_id("m.room.member", user_id)
        for _ in range(_MOST_CHANGES):
            stored = await self._engine.rooms.event(event_id) if event_id is not None else None
            if stored is None:
                return None
            if stored.event.membership == "join":
                return after
            after, event_id = stored, stored.replaces
        return None


def not_in_room() -> Forbidden:
    """One answer for a room that is closed to the user and for one that does not exist."""
    return Forbidden("You are not in that room.")


def _newest_at(tx: Transaction, room: int, token: str) -> StoredEvent | None:
    place = parse_place(token)
    if place.order == LAST and place.cut is not None:
        return events.newest_within(tx, room, place.cut)
    found = events.page(tx, room, start=place.order, backwards=True, limit=1, cut=place.cut)
    return found[0] if found else None
