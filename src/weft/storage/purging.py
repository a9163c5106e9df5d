"""Removing rooms and events for good, part by part, so that nobody waits long for the database.

A room that is deleted is first parted from its id, in one transaction: from then on nobody finds it, and a room of
that id which somebody joins later is another one, with a number of its own. Then its rows are removed. Of the room
itself stays the number, which is never used again.

Modules that keep rows about rooms or events add to what goes with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from weft.graph.outcome import Outcome
from weft.storage import gaps
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import add_pending_redactions, by_positions, which_are_stored

#: The kinds of log entries. A room was deleted: `key` is the id that it had. Some of a room's events were removed.
ROOM_DELETED: Final = "room_deleted"
HISTORY_PURGED: Final = "history_purged"

#: How many rows are removed in one transaction.
BATCH: Final = 500

Place = tuple[int, int]


class Purging:
    """What goes with rooms, and with events."""

    def __init__(self) -> None:
        #: Tables whose rows go with the room that their column `room` names, and the columns of their primary keys.
        self.tables: dict[str, str] = {
            "missing_events": "room, event_id",
            "staged_events": "room, event_id",
            "outside_views": "room, user_id",
            "outside_events": "room, event_id",
            "doubtful_rooms": "room",
            "sticky_events": "event_id",
            "snapshots": "snapshot",
        }
        #: The same, by the room's id in the column `room_id`.
        self.tables_by_id: dict[str, str] = {}
        #: Called with the positions of events that are being removed.
        self.with_events: list[Callable[[WriteTransaction, Sequence[int]], None]] = []

    # -- a whole room

    def part(self, tx: WriteTransaction, room: int, room_id: str) -> None:
        """Has nobody find a room any more. What is left of it is removed by `remove_some`."""
        if tx.dialect.for_update:
            tx.put(f"SELECT 1 FROM rooms WHERE room = :room {tx.dialect.for_update}", room=room)
        tx.run(
            "UPDATE rooms SET room_id = :name, snapshot = NULL, forked = 0 WHERE room = :room",
            name=f"deleted/{room}",
            room=room,
        )
        for table in ("forward_extremities", "memberships", "current_state"):
            tx.run(f"DELETE FROM {table} WHERE room = :room", room=room)
        tx.append(ROOM_DELETED, room=room, key=room_id)

    def remove_some(self, tx: WriteTransaction, room: int, room_id: str) -> int:
        """Removes a part of what is left of a room that was parted from its id; 0 when nothing is left."""
        if removed := self._remove_events(tx, room):
            return removed
        for table, key in self.tables.items():
            if removed := _remove_rows(tx, table, key, "room", room):
                return removed
        for table, key in self.tables_by_id.items():
            if removed := _remove_rows(tx, table, key, "room_id", room_id):
                return removed
        # What was made of rows that have gone meanwhile is dropped once more.
        tx.append(ROOM_DELETED, room=room, key=room_id)
        return 0

    def _remove_events(self, tx: WriteTransaction, room: int) -> int:
        rows = tx.all("SELECT position, event_id FROM events WHERE room = :room LIMIT :limit", room=room, limit=BATCH)
        positions = [position for position, _ in rows]
        if positions:
            # Who names an event as the reason why it is allowed is of the same room.
            tx.run("DELETE FROM auth_children WHERE parent IN :positions", positions=positions)
            self._remove(tx, positions, [event_id for _, event_id in rows])
        return len(rows)

    def _remove(self, tx: WriteTransaction, positions: list[int], event_ids: list[str]) -> None:
        for also in self.with_events:
            also(tx, positions)
        tx.run("DELETE FROM relations WHERE position IN :positions", positions=positions)
        tx.run("DELETE FROM transaction_ids WHERE event_id IN :ids", ids=event_ids)
        tx.run("DELETE FROM pending_redactions WHERE target IN :ids", ids=event_ids)
        tx.run("DELETE FROM events WHERE position IN :positions", positions=positions)

    # -- a room's past

    def remove_messages(
        self, tx: WriteTransaction, room: int, after: Place, below: int, is_kept: Callable[[str], bool]
    ) -> Removed:
        """Removes some of the events below a depth that are no state, in graph order from a place on.

        State stays, because the states of later times are made of it, and the ends of the graph stay. `is_kept` says
        of a sender whether what they wrote stays, too. What builds on what is gone is noted by `note_gaps`.
        """
        rows = tx.all(
            """SELECT depth, position, event_id, sender, redacted_by FROM events
               WHERE room = :room AND (depth, position) > (:depth, :position) AND depth < :below AND state_key IS NULL
                 AND event_id NOT IN (SELECT f.event_id FROM forward_extremities f WHERE f.room = :room)
               ORDER BY depth, position LIMIT :limit""",
            room=room,
            depth=after[0],
            position=after[1],
            below=below,
            limit=BATCH,
        )
        gone = [row for row in rows if not is_kept(row[3])]
        self._remove_messages(tx, room, [(row[1], row[2], row[4]) for row in gone])
        return Removed(len(gone), rows[-1][:2] if rows else None)

    def remove_expired(self, tx: WriteTransaction, room: int, after: Place, before_ms: int) -> Removed:
        """Removes some of the events from before a time that are no state, in graph order from a place on.

        As `remove_messages`; but what builds on them shall not be noted as having gaps, for nobody is to fetch them
        again. Ends where as many events as one step looks at are all younger.
        """
        rows = tx.all(
            """SELECT depth, position, event_id, redacted_by, origin_server_ts FROM events
               WHERE room = :room AND (depth, position) > (:depth, :position) AND state_key IS NULL
                 AND event_id NOT IN (SELECT f.event_id FROM forward_extremities f WHERE f.room = :room)
               ORDER BY depth, position LIMIT :limit""",
            room=room,
            depth=after[0],
            position=after[1],
            limit=BATCH,
        )
        gone = [row for row in rows if row[4] < before_ms]
        self._remove_messages(tx, room, [row[1:4] for row in gone])
        return Removed(len(gone), rows[-1][:2] if gone else None)

    def _remove_messages(self, tx: WriteTransaction, room: int, gone: Sequence[tuple[int, str, str | None]]) -> None:
        """Of each its position, its id, and the event that redacts it."""
        if not gone:
            return
        self._remove(tx, [row[0] for row in gone], [row[1] for row in gone])
        for _, event_id, redaction in gone:
            if redaction is not None:
                # Should the event come back from elsewhere, it is still redacted.
                add_pending_redactions(tx, event_id, [redaction])
        tx.append(HISTORY_PURGED, room=room)


class Removed(NamedTuple):
    """How many events went, and where to go on; None at the end."""

    events: int
    upto: Place | None


def note_gaps(tx: WriteTransaction, room: int, after: Place) -> Place | None:
    """Notes what some events of a room build on and is not here, in graph order from a place on; where to go on."""
    rows = tx.all(
        """SELECT depth, position FROM events WHERE room = :room AND (depth, position) > (:depth, :position)
           AND outcome <> :outlier ORDER BY depth, position LIMIT :limit""",
        room=room,
        depth=after[0],
        position=after[1],
        outlier=int(Outcome.OUTLIER),
        limit=BATCH,
    )
    found = by_positions(tx, [position for _, position in rows]) if rows else {}
    wanted = {event_id for one in found.values() for event_id in one.event.prev_events}
    stored = which_are_stored(tx, wanted)
    for one in found.values():
        missing = [event_id for event_id in one.event.prev_events if event_id not in stored]
        if missing:
            gaps.add(tx, room, one.event, missing, wanted=False, followed=one.outcome is Outcome.ACCEPTED)
    return rows[-1] if rows else None


def first_after(tx: Transaction, room: int, time_ms: int) -> int | None:
    """The lowest depth at which a room has something younger than a time, or its greatest depth; None: none is older.

    Who says that their event is old has nothing removed that is young.
    """
    older = tx.one(
        "SELECT 1 FROM events WHERE room = :room AND origin_server_ts <= :time AND outcome = 0 LIMIT 1",
        room=room,
        time=time_ms,
    )
    if older is None:
        return None
    depth: int | None = tx.value(
        "SELECT MIN(depth) FROM events WHERE room = :room AND origin_server_ts > :time AND outcome = 0",
        room=room,
        time=time_ms,
    )
    if depth is None:
        depth = tx.value("SELECT MAX(depth) FROM events WHERE room = :room AND outcome = 0", room=room)
    return depth


def _remove_rows(tx: WriteTransaction, table: str, key: str, column: str, value: object) -> int:
    return tx.run(
        f"""DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {column} = :value LIMIT :limit)""",
        value=value,
        limit=BATCH,
    )
