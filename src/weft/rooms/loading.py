"""Reading rooms from the tables: what there is in memory of a room that nobody had in use.

Many are read in hardly more statements than one, because what is asked after a start is often asked for all the rooms
of somebody's account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from weft.graph.snapshot import Snapshot
from weft.protocol.event import StateKey
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from weft.protocol.state_resolution import resolve
from weft.rooms.reader import TransactionReader
from weft.storage import current_state, events, front, resolutions, snapshots
from weft.storage import rooms as room_store
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.log import heads
from weft.storage.positions import END, Vector

_LAST = (END, END)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A room as it is in the tables."""

    row: room_store.RoomRow
    extremities: list[StoredEvent]
    snapshot: Snapshot
    memberships: dict[str, str]
    #: The newest events, oldest first.
    timeline: list[StoredEvent]
    cut: Vector
    #: Whether the snapshot is a resolved state that is not written down yet.
    resolved: bool


def load(tx: Transaction, room_id: str, newest: int, new_snapshot_id: Callable[[], int]) -> Loaded | None:
    """A room with so many of its newest events; None for one that is not here. Resolves the state of a fork."""
    row = room_store.by_id(tx, room_id)
    if row is None or row.snapshot is None:
        return None
    if not row.forked:
        return _load_all(tx, [row], newest)[room_id]
    extremities = list(events.by_ids(tx, front.ends(tx, row.room)).values())
    ends = [one.snapshot for one in extremities if one.snapshot is not None]
    snapshot = snapshots.load(tx, row.snapshot)
    merged, _ = resolve_states(tx, ROOM_VERSIONS[row.version], ends, new_snapshot_id)
    if merged.state != snapshot.state:
        snapshot = merged
    memberships = {member[1]: member[2] for member in room_store.memberships_of_rooms(tx, [row.room])}
    return Loaded(row, extremities, snapshot, memberships, _newest(tx, row.room, newest), heads(tx), resolved=True)


def load_many(tx: Transaction, room_ids: Collection[str], newest: int) -> dict[str, Loaded]:
    """As `load` for many; left out are those that are not here, and those whose state has to be resolved first."""
    rows = [row for row in room_store.by_ids(tx, room_ids) if row.snapshot is not None and not row.forked]
    return _load_all(tx, rows, newest) if rows else {}


def _load_all(tx: Transaction, rows: Sequence[room_store.RoomRow], newest: int) -> dict[str, Loaded]:
    cut = heads(tx)
    numbers = [row.room for row in rows]
    extremities: dict[int, list[StoredEvent]] = {number: [] for number in numbers}
    for stored in events.at_the_front(tx, numbers):
        extremities[stored.room].append(stored)
    memberships: dict[int, dict[str, str]] = {number: {} for number in numbers}
    known: dict[int, tuple[str, str, str]] = {}
    for number, user_id, membership, event_id, position in room_store.memberships_of_rooms(tx, numbers):
        memberships[number][user_id] = membership
        known[position] = ("m.room.member", user_id, event_id)
    states = snapshots.load_many(tx, [row.snapshot for row in rows if row.snapshot is not None], known)
    return {
        row.room_id: Loaded(
            row,
            extremities[row.room],
            states[row.snapshot],
            memberships[row.room],
            _newest(tx, row.room, newest),
            cut,
            resolved=False,
        )
        for row in rows
        if row.snapshot is not None
    }


def _newest(tx: Transaction, room: int, limit: int) -> list[StoredEvent]:
    return events.page(tx, room, start=_LAST, backwards=True, limit=limit)[::-1]


def resolve_states(
    tx: Transaction, version: RoomVersion, ids: Collection[int], new_snapshot_id: Callable[[], int]
) -> tuple[Snapshot, bool]:
    """The state that some states resolve to, and whether it is one that is not stored yet."""
    states = [snapshots.load(tx, id_) for id_ in sorted(set(ids))]
    differing: set[StateKey] = set()
    for state in states[1:]:
        differing.update(snapshots.changes_between(tx, states[0].id, state.id))
    changes = resolve(version, [state.state for state in states], differing, TransactionReader(tx))
    resolved = {key: event_id for key, event_id in changes.items() if states[0].state.get(key) != event_id}
    if not resolved:
        return states[0], False
    return states[0].child(new_snapshot_id(), resolved), True


def write_resolution(tx: WriteTransaction, loaded: Loaded) -> None:
    """Writes a resolved state down, if the room is still as it was when it was resolved."""
    room = loaded.row.room
    if tx.dialect.for_update:
        tx.put(f"SELECT 1 FROM rooms WHERE room = :room {tx.dialect.for_update}", room=room)
    ends = set(front.ends(tx, room))
    if room_store.by_number(tx, room) != loaded.row or ends != {e.event.event_id for e in loaded.extremities}:
        return
    snapshot = loaded.snapshot
    if snapshot.id not in {loaded.row.snapshot, *(e.snapshot for e in loaded.extremities)}:
        snapshots.insert(tx, room, snapshot)
    current_state.make_current(tx, room, snapshot)
    # Also where nothing came out differently: somebody may have believed an event that did not stand.
    resolutions.tell(tx, room, snapshot.id, loaded.row.snapshot)
