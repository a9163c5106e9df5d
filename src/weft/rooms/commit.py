"""Writes events that were decided on, with what follows from them, in one transaction.

Local and remote events come here alike. The ends of the graph that the database knows are the truth; what a caller
believed of the room's front counts for nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from weft.graph.outcome import Outcome
from weft.graph.snapshot import Snapshot
from weft.protocol.event import Event, StateKey
from weft.protocol.power_levels import PowerLevels
from weft.protocol.redaction import may_redact
from weft.protocol.room_versions import RoomVersion
from weft.storage import current_state, events, front, gaps, resolutions, snapshots
from weft.storage import rooms as room_store
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import StoredEvent

#: More writes for the same transaction, given the events with their positions.
Also = Callable[[WriteTransaction, Sequence[StoredEvent]], None]


class RoomMoved(Exception):
    """The room's front is no longer what was built on; build again."""


@dataclass(slots=True)
class Made:
    """An event that is decided on and waits for its commit."""

    stored: StoredEvent
    #: The state after it; None where that is a state that is stored already, and `stored.snapshot` names it.
    snapshot: Snapshot | None
    #: What it redacts, if it may.
    redacts: StoredEvent | None = None
    #: States that are not stored yet, each after the one that it builds on: `snapshot`, and what was resolved for it.
    fresh: Sequence[Snapshot] = ()
    #: Events that it builds on and that are not here.
    gaps: Sequence[str] = ()
    #: Whether those are to be fetched unasked.
    gaps_wanted: bool = False
    #: Came from another server, so that something may have waited for it.
    received: bool = False
    #: Belongs to the past: it never becomes an end of the graph.
    is_past: bool = False
    #: Others may have been taken in without it, whose states then lack what it says: it is an end of the graph even so.
    is_late: bool = False
    #: An outlier that is given its place in the graph: its row is there.
    was_outlier: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Where events go. `number` is None for a room that is made with them."""

    room_id: str
    version: RoomVersion
    number: int | None
    #: Events of this room that the caller has at hand, by id.
    known: Mapping[str, StoredEvent] = field(default_factory=dict)


def commit(tx: WriteTransaction, row: Row, made: Sequence[Made], also: Also | None = None) -> bool:
    """Writes the events. Whether the room's state has to be resolved after this.

    Raises `RoomMoved` where an event builds on one whose write failed.
    """
    number = row.number if row.number is not None else _create(tx, row, made[0])
    positions: dict[str, int] = {}
    forked = False
    for one in made:
        one.stored.room = number
        forked |= _write(tx, row, one, positions, is_last=one is made[-1])
    if also is not None:
        also(tx, [one.stored for one in made])
    return forked and front.is_forked(tx, number)


def _create(tx: WriteTransaction, row: Row, first: Made) -> int:
    number = room_store.create(tx, row.room_id, row.version.identifier)
    root = first.snapshot.parent if first.snapshot is not None else None
    if root is not None:
        snapshots.insert(tx, number, root)
    return number


def _write(tx: WriteTransaction, row: Row, made: Made, positions: dict[str, int], *, is_last: bool) -> bool:
    """Writes one event. Whether the room's state may have to be resolved after it."""
    stored, event = made.stored, made.stored.event
    if made.was_outlier:
        events.place(tx, stored)
    else:
        stored.position = events.insert(tx, stored)
    positions[event.event_id] = stored.position
    is_accepted = stored.outcome is Outcome.ACCEPTED
    below = gaps.fill(tx, stored.room, event.event_id) if made.received else None
    is_followed = below is not None
    if made.gaps:
        gaps.add(tx, stored.room, event, made.gaps, wanted=made.gaps_wanted, followed=is_accepted or is_followed)
    is_front = is_accepted and not made.is_past and (made.is_late or not is_followed)
    linear: bool | None = False
    has_moved = False
    is_told = made.was_outlier or bool(made.gaps)
    before = room_store.applied(tx, stored.room) if is_told else None
    if is_front:
        late = made.is_late and is_followed
        linear = front.extend(tx, stored.room, event, has_gap=bool(made.gaps), late=late)
        if linear is None:
            raise RoomMoved
    elif below is not None:
        # Whoever hears that the event came takes it for an end, if it is news.
        has_moved = front.leave(tx, stored.room, event, below) or (is_accepted and not made.is_past)
    for snapshot in made.fresh:
        snapshots.insert(tx, stored.room, snapshot, positions)
    # A new room's tables are made once, from all of its first events.
    is_due = is_last if row.number is None else event.state_key is not None or len(event.prev_events) > 1
    if linear and is_due:
        _make_current(tx, row, made)
    if stored.outcome is Outcome.ACCEPTED:
        _redact(tx, made)
    if has_moved or (is_front and is_told):
        # The room's ends, or the state after this one, are others than who follows the log would think.
        resolutions.tell(tx, stored.room, room_store.applied(tx, stored.room) or 0, before)
    return has_moved or (is_front and not linear)


def _make_current(tx: WriteTransaction, row: Row, made: Made) -> None:
    """The room's tables hold the state after the only end of its graph."""
    stored, snapshot = made.stored, made.snapshot
    if snapshot is not None:
        current_state.make_current(tx, stored.room, snapshot, row.known)
    elif stored.snapshot is not None and room_store.applied(tx, stored.room) != stored.snapshot:
        current_state.make_current(tx, stored.room, snapshots.load(tx, stored.snapshot), row.known)


def _redact(tx: WriteTransaction, made: Made) -> None:
    """Applies the redaction that an event is, and those of it that came before it."""
    stored, event = made.stored, made.stored.event
    if made.redacts is not None:
        events.apply_redaction(tx, made.redacts, event.event_id)
    if not made.received:
        return
    if event.redacts is not None and made.redacts is None and events.by_id(tx, event.redacts) is None:
        events.add_pending_redactions(tx, event.redacts, [event.event_id])
    for redaction_id in events.pending_redactions(tx, event.event_id):
        redaction = events.by_id(tx, redaction_id)
        if redaction is not None and _may(tx, redaction, stored):
            events.apply_redaction(tx, stored, redaction_id)
            break


def _may(tx: Transaction, redaction: StoredEvent, target: StoredEvent) -> bool:
    if redaction.snapshot is None or redaction.outcome is not Outcome.ACCEPTED:
        return False
    keys = [("m.room.create", ""), ("m.room.power_levels", "")]
    ids = snapshots.entries(tx, redaction.snapshot, keys)
    found = events.by_ids(tx, ids.values())

    def state(key: StateKey) -> Event | None:
        stored = found.get(ids.get(key, ""))
        return stored.event if stored is not None else None

    return redactable(redaction.event, target, state) is not None


def redactable(
    redaction: Event, target: StoredEvent | None, state: Callable[[StateKey], Event | None]
) -> StoredEvent | None:
    """The target of a redaction, if the state allows that it is redacted."""
    if target is None or target.event.room_id != redaction.room_id:
        return None
    create = state(("m.room.create", ""))
    if create is None:
        return None
    levels = PowerLevels.of(state(("m.room.power_levels", "")), create, redaction.version)
    return target if may_redact(redaction, target.event, levels) else None
