"""Rooms that this server is not in: what is known of them is an invite to one of its users, or a knock of theirs.

Such a room has a state of its own here, which holds just those users' member events, and no graph; what it looks like
is told by the stripped state that came along. When somebody joins, the real state takes the place of this one, and
those events get theirs in the graph as other events do.

https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from weft.graph.outcome import Outcome
from weft.graph.snapshot import Snapshot
from weft.protocol.event import Event
from weft.protocol.room_versions import RoomVersion
from weft.rooms.rooms import Rooms
from weft.storage import current_state, events, front, resolutions, snapshots
from weft.storage import rooms as room_store
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.events import StoredEvent


class OutsideRooms:
    def __init__(self, database: Database, rooms: Rooms) -> None:
        self._database = database
        self._rooms = rooms

    async def put(
        self, version: RoomVersion, event: Event, stripped_state: Sequence[dict[str, Any]] | None = None
    ) -> None:
        """Makes a member event the present one of its user, in a room that this server is not in.

        `stripped_state` is what the user is shown of the room; None: what they were shown before.
        """
        view = None if stripped_state is None else orjson.dumps(stripped_state)
        await self._database.write(_put, version, event, view, self._rooms.new_snapshot_id)
        self._rooms.drop(event.room_id)

    async def view(self, room_number: int, user_id: str) -> list[Any] | None:
        """The stripped state that a user was shown; None where there is none."""
        found = await self._database.get(_view, room_number, user_id)
        return None if found is None else orjson.loads(found)


def ensure_room(tx: WriteTransaction, room_id: str, version: RoomVersion) -> int:
    """The number of a room; one that nobody here was ever in is given the version that is known to be its own."""
    row = room_store.by_id(tx, room_id)
    if row is None:
        return room_store.create(tx, room_id, version.identifier)
    if row.version != version.identifier and not front.ends(tx, row.room):
        room_store.set_version(tx, row.room, version.identifier)
    return row.room


def unplace(tx: WriteTransaction, room: int) -> None:
    """Makes outliers of the events that came while this server was not in the room.

    What stands as the state after them is what was known from outside. Nothing in the room may be judged by that.
    """
    ids = [event_id for (event_id,) in tx.all("SELECT event_id FROM outside_events WHERE room = :room", room=room)]
    if ids:
        tx.put(
            "UPDATE events SET outcome = :outlier, snapshot = NULL WHERE event_id IN :ids",
            outlier=int(Outcome.OUTLIER),
            ids=ids,
        )
        tx.put("DELETE FROM outside_events WHERE room = :room", room=room)
    for event_id in ids:
        tx.append("unplaced", room=room, key=event_id)


def _put(
    tx: WriteTransaction,
    version: RoomVersion,
    event: Event,
    view: bytes | None,
    new_snapshot_id: Callable[[], int],
) -> None:
    room = ensure_room(tx, event.room_id, version)
    state_key = event.key[1]
    applied = room_store.applied(tx, room)
    if applied is None:
        base = Snapshot.root(new_snapshot_id())
        snapshots.insert(tx, room, base)
    else:
        base = snapshots.load(tx, applied)
    if base.state.get(event.key) != event.event_id:
        snapshot = base.child(new_snapshot_id(), {event.key: event.event_id})
        known = events.by_id(tx, event.event_id)
        if known is None:
            replaced = base.state.get(event.key)
            stored = StoredEvent(
                event,
                room=room,
                snapshot=snapshot.id,
                # The state here is not the one that the graph has: should the event ever be built on, it must be
                # given its place first.
                outcome=Outcome.OUTLIER,
                replaces=events.by_id(tx, replaced) if replaced is not None else None,
                transactions={},
                passing=events.HANDED_OVER,
            )
            stored.position = events.insert(tx, stored)
            tx.run("INSERT INTO outside_events (room, event_id) VALUES (:room, :id)", room=room, id=event.event_id)
        snapshots.insert(tx, room, snapshot)
        current_state.make_current(tx, room, snapshot)
        resolutions.tell(tx, room, snapshot.id)
    if view is not None:
        tx.put(
            """INSERT INTO outside_views (room, user_id, event_id, stripped_state)
               VALUES (:room, :user_id, :event_id, :view)
               ON CONFLICT (room, user_id) DO UPDATE SET
                   event_id = excluded.event_id, stripped_state = excluded.stripped_state""",
            room=room,
            user_id=state_key,
            event_id=event.event_id,
            view=view,
        )


def _view(tx: Transaction, room: int, user_id: str) -> bytes | None:
    found = tx.value(
        "SELECT stripped_state FROM outside_views WHERE room = :room AND user_id = :user_id", room=room, user_id=user_id
    )
    return None if found is None else bytes(found)
