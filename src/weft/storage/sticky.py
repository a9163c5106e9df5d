"""Events that are still sticky: written with the event, in the same transaction.

https://github.com/matrix-org/matrix-spec-proposals/pull/4354
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from weft.protocol.identifiers import domain_of
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond, within

#: The kind of log entry that tells of a sticky event: when it came, or when it is no longer soft-failed.
KIND: Final = "sticky_event"
#: Of one sender in one room only those are sticky that will be longest: nobody floods everybody's answers.
MOST_OF_SENDER: Final = 100


class Sticky(NamedTuple):
    room: int
    position: int
    event_id: str


def insert(
    tx: WriteTransaction, room: int, event_id: str, sender: str, position: int, *, until_ms: int, hidden: bool
) -> None:
    """Notes an event. `position` is its own; one that is not hidden is told of by the log, beside the event itself.

    Hidden is what is soft-failed, or might be: it waits until the room's current state is seen to allow it.
    """
    if not hidden:
        position = tx.append(KIND, room=room, key=event_id)
    tx.put(
        """INSERT INTO sticky_events (event_id, room, sender, position, hidden, until_ms)
           VALUES (:event_id, :room, :sender, :position, :hidden, :until) ON CONFLICT DO NOTHING""",
        event_id=event_id,
        room=room,
        sender=sender,
        position=position,
        hidden=int(hidden),
        until=until_ms,
    )
    first_too_many = tx.one(
        f"""SELECT until_ms, position FROM sticky_events WHERE room = :room AND sender = :sender
            ORDER BY until_ms DESC, position DESC LIMIT 1 OFFSET {MOST_OF_SENDER}""",
        room=room,
        sender=sender,
    )
    if first_too_many is not None:
        tx.put(
            """DELETE FROM sticky_events
               WHERE room = :room AND sender = :sender AND (until_ms, position) <= (:until, :last)""",
            room=room,
            sender=sender,
            until=first_too_many[0],
            last=first_too_many[1],
        )


def show(tx: WriteTransaction, room: int, event_id: str) -> None:
    """Tells of an event that was hidden."""
    is_hidden = tx.value("SELECT 1 FROM sticky_events WHERE event_id = :event_id AND hidden = 1", event_id=event_id)
    if is_hidden is None:
        return
    tx.put(
        "UPDATE sticky_events SET hidden = 0, position = :position WHERE event_id = :event_id",
        position=tx.append(KIND, room=room, key=event_id),
        event_id=event_id,
    )


def remove(tx: WriteTransaction, event_id: str) -> None:
    tx.put("DELETE FROM sticky_events WHERE event_id = :event_id", event_id=event_id)


def remove_expired(tx: WriteTransaction, now_ms: int) -> None:
    tx.put("DELETE FROM sticky_events WHERE until_ms <= :now", now=now_ms)


def told(tx: Transaction, rooms: Collection[int], since: Vector | None, upto: Vector, now_ms: int) -> list[Sticky]:
    """What there is to tell of some rooms beyond `since` (None: from the beginning) and within `upto`, by position."""
    later = f"AND {beyond(since)}" if since is not None else ""
    rows = tx.all(
        f"""SELECT room, position, event_id FROM sticky_events
            WHERE room IN :rooms AND hidden = 0 AND until_ms > :now AND {within(upto)} {later} ORDER BY position""",
        rooms=list(rooms),
        now=now_ms,
    )
    return [Sticky(*row) for row in rows]


def hidden(tx: Transaction, now_ms: int) -> list[Sticky]:
    """All that are hidden."""
    rows = tx.all(
        "SELECT room, position, event_id FROM sticky_events WHERE until_ms > :now AND hidden = 1 ORDER BY position",
        now=now_ms,
    )
    return [Sticky(*row) for row in rows]


def own(tx: Transaction, room: int, now_ms: int, is_local: Callable[[str], bool]) -> list[str]:
    """The ids of those that users here sent in a room, oldest first: what we owe the room's servers."""
    rows = tx.all(
        """SELECT event_id, sender FROM sticky_events
           WHERE room = :room AND hidden = 0 AND until_ms > :now ORDER BY position""",
        room=room,
        now=now_ms,
    )
    return [event_id for event_id, sender in rows if is_local(domain_of(sender))]
