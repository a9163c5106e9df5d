"""The ends of a room's graph (its forward extremities): the accepted events that no accepted event follows.

An event follows those that it builds on, and what lies behind those with nothing but refused events in between.
Two kinds of accepted events are no ends though nothing that is here follows them: what was before this server came
into the room, and single events of the past that somebody asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import Final

from weft.graph.outcome import Outcome
from weft.protocol.event import Event
from weft.storage import gaps
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import by_ids

#: How many events are looked at on the way through refused ones.
_MOST_REFUSED: Final = 1_000
_WHICH_ARE_REFUSED: Final = f"""
    SELECT event_id FROM events WHERE event_id IN :ids
    AND outcome IN ({Outcome.SOFT_FAILED:d}, {Outcome.REJECTED:d}, {Outcome.REJECTED_BY_STATE:d})"""


def extend(tx: WriteTransaction, room: int, event: Event, *, has_gap: bool = False, late: bool = False) -> bool | None:
    """Puts a stored event at the room's front. Whether it is now the only end; if not, the graph has a fork.

    None where an event that it builds on is not stored: that one's write failed; `has_gap`: it is known that some
    are missing. `late`: it is an end though others follow it, whose states lack what it says; it stays one until
    something is built on it that knows it. A fork is noted in the room's row (`is_forked`) until its state is resolved.
    On a shared database, this process has the room for itself from here to the end of the transaction.
    """
    _lock(tx, room)
    prev = event.prev_events
    if len(prev) == 1:
        tx.put(
            """UPDATE forward_extremities SET event_id = :event_id, late = :late
               WHERE room = :room AND event_id = :prev""",
            event_id=event.event_id,
            late=int(late),
            room=room,
            prev=prev[0],
        )
    else:
        tx.put("DELETE FROM forward_extremities WHERE room = :room AND event_id IN :prev", room=room, prev=list(prev))
    front = tx.all("SELECT event_id FROM forward_extremities WHERE room = :room LIMIT 2", room=room)
    if front == [(event.event_id,)]:
        return True
    if (event.event_id,) not in tx.all(_IN_FRONT, room=room, event_id=event.event_id):
        if (
            not has_gap
            and prev
            and tx.value("SELECT COUNT(*) FROM events WHERE event_id IN :prev", prev=list(prev)) < len(set(prev))
        ):
            return None
        tx.put(
            "INSERT INTO forward_extremities (room, event_id, late) VALUES (:room, :event_id, :late)",
            room=room,
            event_id=event.event_id,
            late=int(late),
        )
    for ids in _behind(tx, room, prev):
        tx.put("DELETE FROM forward_extremities WHERE room = :room AND event_id IN :ids", room=room, ids=ids)
    if not front:
        return True
    _note_fork(tx, room)
    return False


def leave(tx: WriteTransaction, room: int, event: Event, below: int) -> bool:
    """What an event follows is no end of the graph, where that event itself is followed and so is none.

    Whether there was any such end. One that is late stays: those that follow the event don't know it. `below` is the
    depth of what follows. Where event ids are no hashes, ill-willed servers can have events follow each other in a
    circle: an end that is not below stays, and so does the last one.
    """
    _lock(tx, room)
    followed = {*event.prev_events, *chain.from_iterable(_behind(tx, room, event.prev_events))}
    rows = tx.all(
        """SELECT f.event_id, f.late, e.depth FROM forward_extremities f JOIN events e ON e.event_id = f.event_id
           WHERE f.room = :room""",
        room=room,
    )
    left = [event_id for event_id, late, depth in rows if event_id in followed and not late and depth < below]
    if not left or len(left) == len(rows):
        return False
    tx.put("DELETE FROM forward_extremities WHERE room = :room AND event_id IN :ids", room=room, ids=left)
    _note_fork(tx, room)
    return True


def _behind(tx: WriteTransaction, room: int, event_ids: Collection[str]) -> list[list[str]]:
    """What lies behind some events that are followed, with nothing but refused ones in between.

    A refused event takes nothing from the front when it comes; who builds on it does. What is missing there is
    followed from now on.
    """
    agenda, met = list(event_ids), set(event_ids)
    found: list[list[str]] = []
    while agenda and len(met) < _MOST_REFUSED:
        refused = by_ids(tx, [one for (one,) in tx.all(_WHICH_ARE_REFUSED, ids=agenda)]).values()
        agenda = list(dict.fromkeys(id_ for one in refused for id_ in one.event.prev_events if id_ not in met))
        met.update(agenda)
        if agenda:
            gaps.follow(tx, room, agenda)
            found.append(agenda)
    return found


_IN_FRONT = "SELECT event_id FROM forward_extremities WHERE room = :room AND event_id = :event_id"


def _lock(tx: WriteTransaction, room: int) -> None:
    if tx.dialect.for_update:
        tx.put(f"SELECT 1 FROM rooms WHERE room = :room {tx.dialect.for_update}", room=room)


def enter(tx: WriteTransaction, room: int, event_id: str) -> None:
    """Makes a stored event the only end, whatever there was before: the server enters the room here."""
    tx.put("DELETE FROM forward_extremities WHERE room = :room", room=room)
    tx.put(
        "INSERT INTO forward_extremities (room, event_id, late) VALUES (:room, :event_id, 0)",
        room=room,
        event_id=event_id,
    )


def ends(tx: Transaction, room: int) -> list[str]:
    return [
        event_id for (event_id,) in tx.all("SELECT event_id FROM forward_extremities WHERE room = :room", room=room)
    ]


def _note_fork(tx: WriteTransaction, room: int) -> None:
    """Ends of the graph that all have the state of the room's tables need no resolving."""
    tx.put(
        """UPDATE rooms SET forked = 1 WHERE room = :room AND forked = 0 AND EXISTS (
               SELECT 1 FROM forward_extremities f JOIN events e ON e.event_id = f.event_id
               WHERE f.room = rooms.room AND (e.snapshot IS NULL OR e.snapshot <> rooms.snapshot))""",
        room=room,
    )


def is_forked(tx: Transaction, room: int) -> bool:
    """Whether the ends of the room's graph have states that are not resolved into the tables' yet."""
    return bool(tx.value("SELECT forked FROM rooms WHERE room = :room", room=room))
