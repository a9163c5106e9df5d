"""Snapshots of rooms' states on disk: one small row for each change of state, read in O(log n) rows.

A row keeps the positions of the events that changed, packed; a negative position says that the event's key is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import immutables
import msgspec

from weft.graph.snapshot import Changes, Snapshot, State, apply
from weft.protocol.event import StateKey
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import WRITER_SHIFT

_decode = msgspec.msgpack.Decoder(list[int]).decode
_encode = msgspec.msgpack.Encoder().encode


def insert(tx: WriteTransaction, room: int, snapshot: Snapshot) -> None:
    """Writes a snapshot whose events are stored already. Writing it twice changes nothing."""
    changes = _pack(tx, room, snapshot.changes)
    is_parent = snapshot.base is None or snapshot.base.id == snapshot.parent_id
    tx.run(
        """INSERT INTO snapshots (snapshot, room, depth, parent, base, changes, skip)
           VALUES (:snapshot, :room, :depth, :parent, :base, :changes, :skip)
           ON CONFLICT (snapshot) DO NOTHING""",
        snapshot=snapshot.id,
        room=room,
        depth=snapshot.depth,
        parent=snapshot.parent_id,
        base=snapshot.base.id if snapshot.base is not None else None,
        changes=changes,
        skip=None if is_parent else _pack(tx, room, snapshot.skip),
    )


def load(tx: Transaction, snapshot: int) -> Snapshot:
    """Reads a snapshot. Raises KeyError where there is none."""
    rows = _base_chain(tx, snapshot)
    deltas = [_decode(row[4] if row[4] is not None else row[3]) for row in rows]
    events = _events_at(tx, {abs(position) for delta in deltas for position in delta})
    node: Snapshot | None = None
    state: State = immutables.Map()
    for (id_, depth, parent, packed, _skip), delta in zip(reversed(rows), reversed(deltas), strict=True):
        skip = _unpack(delta, events)
        state = apply(state, skip)
        own = skip if _skip is None else _unpack(_decode(packed), events)
        node = Snapshot(id_, depth, state, parent_id=parent, base=node, changes=own, skip=skip)
    if node is None:
        raise KeyError(snapshot)
    return node


def entries(tx: Transaction, snapshot: int, keys: Iterable[StateKey]) -> dict[StateKey, str]:
    """The event ids in some places of a state, without reading all of it."""
    wanted = set(keys)
    found: dict[StateKey, str | None] = {}
    row = _row(tx, snapshot)
    while row is not None and wanted:
        _, _, _, packed, skip, base = row
        delta = _decode(skip if skip is not None else packed)
        for key, event_id in _unpack(delta, _events_at(tx, {abs(position) for position in delta})).items():
            if key in wanted:
                wanted.discard(key)
                found[key] = event_id
        row = _row(tx, base) if base is not None else None
    return {key: event_id for key, event_id in found.items() if event_id is not None}


def changes_between(tx: Transaction, older: int, newer: int) -> dict[StateKey, tuple[str | None, str | None]]:
    """What differs between two states: for each key the event id in `older` and in `newer`.

    Reads rows in proportion to what differs and to the logarithm of the distance.
    """
    a, b = _row(tx, older), _row(tx, newer)
    candidates: set[int] = set()
    while a is not None and b is not None and a[0] != b[0]:
        if a[1] == b[1] and a[5] is not None and a[5] != b[5]:
            # Branches at one depth have their bases at one depth too: both may jump.
            candidates.update(_jump(a))
            candidates.update(_jump(b))
            a, b = _row(tx, a[5]), _row(tx, b[5]) if b[5] is not None else None
        elif a[1] >= b[1]:
            a = _step(tx, a, b[1], candidates)
        else:
            b = _step(tx, b, a[1], candidates)
    keys = set(_unpack(list(candidates), _events_at(tx, {abs(position) for position in candidates})))
    old, new = entries(tx, older, keys), entries(tx, newer, keys)
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


_SnapshotRow = tuple[int, int, int | None, bytes, bytes | None, int | None]


def _row(tx: Transaction, snapshot: int) -> _SnapshotRow | None:
    row = tx.one(
        "SELECT snapshot, depth, parent, changes, skip, base FROM snapshots WHERE snapshot = :snapshot",
        snapshot=snapshot,
    )
    return (row[0], row[1], row[2], bytes(row[3]), None if row[4] is None else bytes(row[4]), row[5]) if row else None


def _jump(row: _SnapshotRow) -> list[int]:
    return _decode(row[4] if row[4] is not None else row[3])


def _step(tx: Transaction, row: _SnapshotRow, down_to: int, candidates: set[int]) -> _SnapshotRow | None:
    """One step towards the root: to the base while that is not above `down_to`, else to the parent."""
    _, depth, parent, packed, _, base = row
    if base is not None and (depth & (depth - 1)) >= down_to:
        candidates.update(_jump(row))
        return _row(tx, base)
    candidates.update(_decode(packed))
    return _row(tx, parent) if parent is not None else None


def _base_chain(tx: Transaction, snapshot: int) -> list[tuple[int, int, int | None, bytes, bytes | None]]:
    rows = []
    following: int | None = snapshot
    while following is not None:
        row = _row(tx, following)
        if row is None:
            raise KeyError(following)
        rows.append(row[:5])
        following = row[5]
    return rows


def _pack(tx: Transaction, room: int, changes: Changes) -> bytes:
    present = [event_id for event_id in changes.values() if event_id is not None]
    positions: dict[str, int] = dict(tx.all("SELECT event_id, position FROM events WHERE event_id IN :ids", ids=present))
    packed = [positions[event_id] for event_id in present]
    gone = [key for key, event_id in changes.items() if event_id is None]
    if gone:
        packed += [-_any_position(tx, room, key) for key in gone]
    return _encode(packed)


def _any_position(tx: Transaction, room: int, key: StateKey) -> int:
    """The position of some event in this place: only its type and key are read again."""
    position: int = tx.value(
        "SELECT position FROM events WHERE room = :room AND type = :type AND state_key = :state_key LIMIT 1",
        room=room,
        type=key[0],
        state_key=key[1],
    )
    return position


def _events_at(tx: Transaction, positions: Iterable[int]) -> dict[int, tuple[str, str, str]]:
    return {
        position: (event_type, state_key, event_id)
        for position, event_type, state_key, event_id in tx.all(
            "SELECT position, type, state_key, event_id FROM events WHERE position IN :positions",
            positions=list(positions),
        )
    }


def _unpack(delta: list[int], events: Mapping[int, tuple[str, str, str]]) -> dict[StateKey, str | None]:
    unpacked: dict[StateKey, str | None] = {}
    for position in delta:
        event_type, state_key, event_id = events[abs(position)]
        unpacked[event_type, state_key] = event_id if position > 0 else None
    return unpacked


def newest_id(tx: Transaction, writer: int) -> int:
    """The highest snapshot id that a writer has used, 0 for none."""
    newest: int | None = tx.value(
        "SELECT MAX(snapshot) FROM snapshots WHERE snapshot >= :first AND snapshot < :beyond",
        first=writer << WRITER_SHIFT,
        beyond=(writer + 1) << WRITER_SHIFT,
    )
    return newest or 0
