"""Looks at who shares rooms with whom, and whose devices have changed, over a stretch of the log."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from weft.storage import events, resolutions, snapshots
from weft.storage.database import Transaction
from weft.storage.positions import Entry, Vector, beyond, within

#: So many are looked at to find out who came back while a server was away.
_MOST_RESOLUTIONS: Final = 1_000

_SHARED = """FROM memberships mine JOIN memberships theirs ON theirs.room = mine.room
             WHERE mine.user_id = :user_id AND mine.membership = 'join' AND theirs.membership = 'join'"""


def who_is_or_was_in(tx: Transaction, rooms: Collection[int], since: Vector) -> set[str]:
    """Everybody who is in one of some rooms, or left it after a vector."""
    rows = tx.all(
        f"""SELECT DISTINCT user_id FROM memberships
            WHERE room IN :rooms AND (membership = 'join' OR {beyond(since)})""",
        rooms=list(rooms),
    )
    return {user_id for (user_id,) in rows}


def sharing_throughout(
    tx: Transaction, user_id: str, others: Collection[str], since: Vector, but_rooms: Collection[int]
) -> set[str]:
    """Which of the others have shared a room with a user ever since a vector, as far as some rooms don't count."""
    rows = tx.all(
        f"""SELECT DISTINCT theirs.user_id {_SHARED}
              AND theirs.user_id IN :others AND mine.room NOT IN :but_rooms
              AND {within(since, "mine.position")} AND {within(since, "theirs.position")}""",
        user_id=user_id,
        others=list(others),
        but_rooms=list(but_rooms),
    )
    return {other for (other,) in rows}


def who_came_or_went(tx: Transaction, user_id: str, since: Vector) -> set[str]:
    """Everybody of whom a user may have begun or ceased to share a room after a vector, by member events."""
    rows = tx.all(
        f"""SELECT DISTINCT theirs.user_id FROM memberships mine JOIN memberships theirs ON theirs.room = mine.room
            WHERE mine.user_id = :user_id AND (
                (mine.membership = 'join' AND {beyond(since, "theirs.position")})
                OR (mine.membership IN ('join', 'leave', 'ban') AND {beyond(since, "mine.position")}
                    AND (theirs.membership = 'join' OR {beyond(since, "theirs.position")}))
            )""",
        user_id=user_id,
    )
    return {other for (other,) in rows}


def rooms_resolved_since(tx: Transaction, user_id: str, since: Vector) -> list[int]:
    """The rooms of a user whose state was resolved after a vector."""
    rows = tx.all(
        f"""SELECT DISTINCT l.room FROM log l
            JOIN memberships m ON m.room = l.room AND m.user_id = :user_id
            WHERE l.kind = 'resolution' AND {beyond(since, "l.position")}""",
        user_id=user_id,
    )
    return [room for (room,) in rows]


def resolutions_since(tx: Transaction, since: Vector) -> list[Entry]:
    """The newest entries beyond a vector that tell of resolved states."""
    rows = tx.all(
        f"""SELECT position, kind, room, user_id, key FROM log WHERE kind = :kind AND {beyond(since)}
            ORDER BY position DESC LIMIT {_MOST_RESOLUTIONS}""",
        kind=resolutions.KIND,
    )
    return [Entry(*row) for row in rows]


def whose_membership_changed(tx: Transaction, before: int, now: int) -> set[str]:
    """Whose membership differs between two snapshots."""
    differences = snapshots.changes_between(tx, before, now)
    return {state_key for event_type, state_key in differences if event_type == "m.room.member"}


def who_differs(tx: Transaction, room: int, since: Vector, now: int) -> set[str] | None:
    """Whose membership differs between a room's state as of a vector and a snapshot; None where that is not known."""
    then = events.newest_within(tx, room, since)
    if then is None or then.snapshot is None:
        return None
    return whose_membership_changed(tx, then.snapshot, now)


def devices_changed_since(tx: Transaction, user_id: str, since: Vector) -> set[str]:
    """Whose device lists have changed after a vector: of those who share a room with a user, and their own."""
    rows = tx.all(
        f"""SELECT user_id FROM device_lists d WHERE {beyond(since, "d.position")} AND (
                d.user_id = :user_id OR EXISTS (SELECT 1 {_SHARED} AND theirs.user_id = d.user_id)
            )""",
        user_id=user_id,
    )
    return {other for (other,) in rows}
