"""Snapshots of rooms' states on disk: one small row for each change of state, read in O(log n) rows.

A row keeps the positions of the events that changed, packed; a negative position says that the event's key is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import immutables
import msgspec

from weft.graph.snapshot import Changes, Snapshot, State, apply
from weft.protocol.event import StateKey
from weft.storage.database import Transaction, WriteTransaction

_decode = msgspec.msgpack.Decoder(list[int]).decode
_encode = msgspec.msgpack.Encoder().encode

#: Differences up to this long are read whole.
_FEW = 32


def insert(
    tx: WriteTransaction, room: int, snapshot: Snapshot, known: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Writes a snapshot whose events are stored already; `known` are positions that the caller has at hand."""
    parent, base = snapshot.parent, snapshot.base
    is_parent = base is None or base.id == snapshot.parent_id
    tx.put(
        """INSERT INTO snapshots (snapshot, room, depth, parent, base, changes, skip)
           VALUES (:snapshot, :room, :depth, :parent, :base, :changes, :skip)""",
        snapshot=snapshot.id,
        room=room,
        depth=snapshot.depth,
        parent=snapshot.parent_id,
        base=base.id if base is not None else None,
        changes=_pack(tx, snapshot.changes, parent.state if parent is not None else immutables.Map(), known),
        skip=None if is_parent or base is None else _pack(tx, snapshot.skip, base.state, known),
    )


def load(tx: Transaction, snapshot: int) -> Snapshot:
    """Reads a snapshot. Raises KeyError where there is none."""
    return load_many(tx, [snapshot])[snapshot]


def load_many(
    tx: Transaction, wanted: Collection[int], known: Mapping[int, tuple[str, str, str]] = MappingProxyType({})
) -> dict[int, Snapshot]:
    """Reads snapshots by id, in as many statements as the longest chain of bases has links. Raises KeyError.

    `known` are type, state key and id of events by their position, as far as the caller has them at hand.
    """
    rows = _with_bases(tx, wanted)
    deltas = {
        row.snapshot: (_decode(row.changes), None if row.skip is None else _decode(row.skip)) for row in rows.values()
    }
    positions = {abs(position) for pair in deltas.values() for delta in pair if delta for position in delta}
    places = {**known, **_events_at(tx, positions - known.keys())}
    read: dict[int, Snapshot] = {}
    for id_ in wanted:
        chain: list[_Row] = []
        following: int | None = id_
        while following is not None and following not in read:
            chain.append(rows[following])
            following = rows[following].base
        node = read[following] if following is not None else None
        for row in reversed(chain):
            changes, skip = deltas[row.snapshot]
            own = _unpack(changes, places)
            jump = own if skip is None else _unpack(skip, places)
            state = apply(node.state if node is not None else immutables.Map(), jump)
            node = Snapshot(row.snapshot, row.depth, state, parent_id=row.parent, base=node, changes=own, skip=jump)
            read[row.snapshot] = node
    return {id_: read[id_] for id_ in wanted}


def entries(tx: Transaction, snapshot: int, keys: Iterable[StateKey]) -> dict[StateKey, str]:
    """The event ids in some places of a state, without reading all of it."""
    wanted = set(keys)
    found: dict[StateKey, str | None] = {}
    places: dict[int, tuple[str, str, str]] = {}
    row = _row(tx, snapshot)
    while row is not None and wanted:
        delta = _jump(row)
        if len(delta) <= _FEW:
            here = _events_at(tx, {abs(position) for position in delta})
        else:
            # Far fewer events ever stood in these places than a long difference holds.
            here = places = places or _events_in_places(tx, row.room, wanted)
        for key, event_id in _unpack([p for p in delta if abs(p) in here], here).items():
            if key in wanted:
                wanted.discard(key)
                found[key] = event_id
        row = _row(tx, row.base) if row.base is not None else None
    return {key: event_id for key, event_id in found.items() if event_id is not None}


def changes_between(tx: Transaction, older: int, newer: int) -> dict[StateKey, tuple[str | None, str | None]]:
    """What differs between two states: for each key the event id in `older` and in `newer`.

    Reads rows in proportion to what differs and to the logarithm of the distance.
    """
    a, b = _row(tx, older), _row(tx, newer)
    candidates: set[int] = set()
    while a is not None and b is not None and a.snapshot != b.snapshot:
        if a.depth == b.depth and a.base is not None and b.base is not None and a.base != b.base:
            # Branches at one depth have their bases at one depth too: both may jump.
            candidates.update(_jump(a))
            candidates.update(_jump(b))
            a, b = _row(tx, a.base), _row(tx, b.base)
        elif a.depth >= b.depth:
            a = _step(tx, a, b.depth, candidates)
        else:
            b = _step(tx, b, a.depth, candidates)
    keys = set(_unpack(list(candidates), _events_at(tx, {abs(position) for position in candidates})))
    old, new = entries(tx, older, keys), entries(tx, newer, keys)
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


_COLUMNS = "snapshot, room, depth, parent, base, changes, skip"


class _Row(NamedTuple):
    snapshot: int
    room: int
    depth: int
    parent: int | None
    base: int | None
    changes: bytes
    skip: bytes | None


def _row(tx: Transaction, snapshot: int) -> _Row | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM snapshots WHERE snapshot = :snapshot", snapshot=snapshot)
    return _Row(*row) if row else None


def _jump(row: _Row) -> list[int]:
    """What differs from the base."""
    return _decode(row.skip if row.skip is not None else row.changes)


def _step(tx: Transaction, row: _Row, down_to: int, candidates: set[int]) -> _Row | None:
    """One step towards the root: to the base while that is not above `down_to`, else to the parent."""
    if row.base is not None and (row.depth & (row.depth - 1)) >= down_to:
        candidates.update(_jump(row))
        return _row(tx, row.base)
    candidates.update(_decode(row.changes))
    return _row(tx, row.parent) if row.parent is not None else None


def _with_bases(tx: Transaction, wanted: Collection[int]) -> dict[int, _Row]:
    """Snapshots' rows, with those of their bases, of these bases' bases, and so on."""
    rows: dict[int, _Row] = {}
    following = set(wanted)
    while following:
        found = tx.all(f"SELECT {_COLUMNS} FROM snapshots WHERE snapshot IN :snapshots", snapshots=list(following))
        rows.update((row[0], _Row(*row)) for row in found)
        following = {row[4] for row in found if row[4] is not None} - rows.keys()
    return rows


def _pack(tx: Transaction, changes: Changes, before: State, known: Mapping[str, int]) -> bytes:
    """The positions of what was put, and the negative positions of what stood before in a place that is now empty."""
    put = [event_id for event_id in changes.values() if event_id is not None]
    gone = [before[key] for key, event_id in changes.items() if event_id is None and key in before]
    positions = dict(known)
    missing = [event_id for event_id in (*put, *gone) if event_id not in known]
    if missing:
        positions.update(tx.all("SELECT event_id, position FROM events WHERE event_id IN :ids", ids=missing))
    return _encode([*(positions[event_id] for event_id in put), *(-positions[event_id] for event_id in gone)])


def _events_at(tx: Transaction, positions: Iterable[int]) -> dict[int, tuple[str, str, str]]:
    return {
        position: (event_type, state_key, event_id)
        for position, event_type, state_key, event_id in tx.all(
            "SELECT position, type, state_key, event_id FROM events WHERE position IN :positions",
            positions=list(positions),
        )
    }


def _events_in_places(tx: Transaction, room: int, keys: Iterable[StateKey]) -> dict[int, tuple[str, str, str]]:
    """Every event that ever was in some places of a room's state."""
    return {
        position: (event_type, state_key, event_id)
        for event_type, state_key in keys
        for position, event_id in tx.all(
            """SELECT position, event_id FROM events
               WHERE room = :room AND type = :type AND state_key = :state_key AND state_key IS NOT NULL""",
            room=room,
            type=event_type,
            state_key=state_key,
        )
    }


def _unpack(delta: list[int], events: Mapping[int, tuple[str, str, str]]) -> dict[StateKey, str | None]:
    unpacked: dict[StateKey, str | None] = {}
    for position in delta:
        event_type, state_key, event_id = events[abs(position)]
        unpacked[event_type, state_key] = event_id if position > 0 else None
    return unpacked
