"""What is bundled with an event: its newest edit, its thread, the events that refer to it.

Kept in memory per event and made anew when something relates to it; a redaction in a room forgets all of that room's.
Whom the viewer ignores is left out when it is shown, so that one answer serves every viewer.

https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry
from weft.storage.purging import HISTORY_PURGED, ROOM_DELETED

_REFERENCES = 100
#: The newest edits of an event that are looked at for one that counts.
_EDITS = 8
_KEPT_ROOMS = 500
_KEPT_EVENTS = 2_000
_TRIES = 5


class Part(NamedTuple):
    """What one user wrote in a thread: how many events, and the place of the newest."""

    total: int
    newest: tuple[int, int]


@dataclass(slots=True)
class Thread:
    """A thread as it stands. `known` are events of it that are at hand, by position."""

    parts: dict[str, Part]
    known: dict[int, StoredEvent]

    def count(self, ignored: Collection[str] = ()) -> int:
        """How many events it has, without its root and without those of ignored users."""
        return sum(part.total for sender, part in self.parts.items() if sender not in ignored)

    def latest_position(self, ignored: Collection[str] = ()) -> int | None:
        """The position of its newest event in graph order."""
        orders = [part.newest for sender, part in self.parts.items() if sender not in ignored]
        return max(orders)[1] if orders else None

    def latest(self, ignored: Collection[str] = ()) -> StoredEvent | None:
        """Its newest event, if that is at hand."""
        return self.known.get(self.latest_position(ignored) or 0)

    def add(self, stored: StoredEvent) -> bool:
        """Takes in an event that was just written in it. False where it may have been counted already."""
        before = self.parts.get(stored.event.sender, Part(0, (-1, 0)))
        if stored.order <= before.newest:
            return False
        self.parts[stored.event.sender] = Part(before.total + 1, stored.order)
        kept = {part.newest[1] for part in self.parts.values()}
        self.known = {position: one for position, one in self.known.items() if position in kept}
        self.known[stored.position] = stored
        return True


class Reference(NamedTuple):
    event_id: str
    sender: str


@dataclass(slots=True)
class Aggregation:
    """All that is bundled with one event."""

    edit: StoredEvent | None = None
    thread: Thread | None = None
    references: list[Reference] = field(default_factory=list)


_NOTHING: Mapping[str, Aggregation | None] = {}


class Aggregations:
    """Asks the tables for what relates to events, and remembers the answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rooms: OrderedDict[int, dict[str, Aggregation | None]] = OrderedDict()
        #: Counts what may have made an answer wrong while it was on its way.
        self._changes = 0

    def now(self, room: int, event_id: str) -> tuple[bool, Aggregation | None]:
        """Whether it is known without asking, and what it is."""
        known = self._rooms.get(room)
        if known is None or event_id not in known:
            return False, None
        return True, known[event_id]

    def of_room(self, room: int) -> Mapping[str, Aggregation | None]:
        """What is known of a room's events, by their ids; None for those that have nothing bundled."""
        return self._rooms.get(room, _NOTHING)

    async def load(self, room: int, stored: Iterable[StoredEvent]) -> None:
        """Makes `now` know these events."""
        known = self._rooms.get(room, {})
        missing = [one for one in stored if one.event.event_id not in known]
        if not missing:
            return
        found = await self._found(missing)
        kept = self._rooms.setdefault(room, {})
        self._rooms.move_to_end(room)
        if len(kept) > _KEPT_EVENTS:
            kept.clear()
        for one in missing:
            kept[one.event.event_id] = found.get(one.event.event_id)
        while len(self._rooms) > _KEPT_ROOMS:
            self._rooms.popitem(last=False)

    async def _found(self, missing: Sequence[StoredEvent]) -> dict[str, Aggregation]:
        for _ in range(_TRIES):
            changes = self._changes
            found = await self._engine.database.get(of_events, missing)
            if changes == self._changes:
                break
        return found

    async def load_latest(self, threads: Iterable[Thread], ignored: Collection[str]) -> None:
        """Has each thread's newest event at hand, as somebody sees it who ignores some users."""
        wanted = {
            position: thread
            for thread in threads
            if (position := thread.latest_position(ignored)) is not None and position not in thread.known
        }
        if wanted:
            for position, stored in (await self._engine.database.get(events.by_positions, list(wanted))).items():
                wanted[position].known[position] = stored

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what new events and redactions change."""
        for entry in entries:
            if entry.kind in ("redacted", ROOM_DELETED, HISTORY_PURGED) and entry.room is not None:
                self._changes += 1
                self._rooms.pop(entry.room, None)
            elif entry.kind == "event" and entry.room is not None and isinstance(entry.payload, StoredEvent):
                self._event(entry.room, entry.payload)

    def _event(self, room: int, stored: StoredEvent) -> None:
        event = stored.event
        known = self._rooms.get(room)
        rel_type, target = relation_of(event.content)
        if target is not None:
            self._changes += 1
            aggregation = known.get(target) if known is not None else None
            thread = aggregation.thread if aggregation is not None and rel_type == "m.thread" else None
            if known is not None and not (thread is not None and thread.add(stored)):
                known.pop(target, None)
        # What relates to an event of another server may have come before it.
        if known is not None and len(known) < _KEPT_EVENTS and self._engine.is_local(event.sender):
            known[event.event_id] = None


def relation_of(content: dict[str, object]) -> tuple[str | None, str | None]:
    """The `rel_type` with which an event relates to another, and that one's id; both None if it does not."""
    relates_to = content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        return None, None
    rel_type, target = relates_to.get("rel_type"), relates_to.get("event_id")
    if not (isinstance(rel_type, str) and isinstance(target, str)):
        return None, None
    return rel_type, target


def of_events(tx: Transaction, targets: Sequence[StoredEvent]) -> dict[str, Aggregation]:
    """What is bundled with each of some events; those without anything are left out."""
    by_id = {stored.event.event_id: stored for stored in targets}
    rows = tx.all(
        """SELECT DISTINCT target, rel_type FROM relations
           WHERE target IN :targets AND rel_type IN ('m.replace', 'm.thread', 'm.reference')""",
        targets=list(by_id),
    )
    found: dict[str, Aggregation] = {}
    related: dict[str, list[str]] = {}
    for target, rel_type in rows:
        # What relates to another event is neither edited nor the root of a thread.
        root = by_id[target]
        rel_of_root = relation_of(root.event.content)[0]
        if rel_type == "m.replace" and (root.redacted_by is not None or rel_of_root == "m.replace"):
            continue
        if rel_type == "m.thread" and rel_of_root is not None:
            continue
        related.setdefault(rel_type, []).append(target)
    for target, edit in _edits(tx, related.get("m.replace", [])).items():
        found.setdefault(target, Aggregation()).edit = edit
    for target, thread in _threads(tx, related.get("m.thread", [])).items():
        found.setdefault(target, Aggregation()).thread = thread
    for target, references in _references(tx, related.get("m.reference", [])).items():
        found.setdefault(target, Aggregation()).references = references
    return found


def _edits(tx: Transaction, targets: Sequence[str]) -> dict[str, StoredEvent]:
    """The edit that counts: https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events"""
    if not targets:
        return {}
    rows = tx.all(
        """SELECT target, position FROM
             (SELECT l.target, l.position, ROW_NUMBER() OVER
                 (PARTITION BY l.target ORDER BY e.origin_server_ts DESC, e.event_id DESC) AS place
              FROM relations l JOIN events e ON e.position = l.position JOIN events p ON p.event_id = l.target
              WHERE l.target IN :targets AND l.rel_type = 'm.replace' AND e.outcome = 0 AND e.state_key IS NULL
                AND p.room = l.room AND p.sender = l.sender AND p.type = l.type AND p.state_key IS NULL) ranked
           WHERE place <= :most""",
        targets=list(targets),
        most=_EDITS,
    )
    stored = events.by_positions(tx, [position for _, position in rows]) if rows else {}
    newest: dict[str, StoredEvent] = {}
    for target, position in rows:
        edit = stored.get(position)
        if edit is None or not _has_new_content(edit):
            continue
        best = newest.get(target)
        if best is None or _edit_rank(edit) > _edit_rank(best):
            newest[target] = edit
    return newest


def _edit_rank(edit: StoredEvent) -> tuple[int, str]:
    return edit.event.origin_server_ts, edit.event.event_id


def _has_new_content(edit: StoredEvent) -> bool:
    return edit.event.type == "m.room.encrypted" or isinstance(edit.event.content.get("m.new_content"), dict)


def _threads(tx: Transaction, targets: Sequence[str]) -> dict[str, Thread]:
    if not targets:
        return {}
    rows = tx.all(
        """SELECT target, sender, depth, position, total FROM
             (SELECT l.target, l.sender, l.depth, l.position,
                     COUNT(*) OVER (PARTITION BY l.target, l.sender) AS total,
                     ROW_NUMBER() OVER (PARTITION BY l.target, l.sender
                                        ORDER BY l.depth DESC, l.position DESC) AS place
              FROM relations l JOIN events p ON p.event_id = l.target
              WHERE l.target IN :targets AND l.rel_type = 'm.thread' AND p.room = l.room) ranked
           WHERE place = 1""",
        targets=list(targets),
    )
    threads: dict[str, Thread] = {}
    for target, sender, depth, position, total in rows:
        thread = threads.setdefault(target, Thread({}, {}))
        thread.parts[sender] = Part(total, (depth, position))
    wanted = {position: thread for thread in threads.values() if (position := thread.latest_position()) is not None}
    for position, stored in events.by_positions(tx, list(wanted)).items() if wanted else ():
        wanted[position].known[position] = stored
    return threads


def _references(tx: Transaction, targets: Sequence[str]) -> dict[str, list[Reference]]:
    """The oldest references to each event."""
    if not targets:
        return {}
    rows = tx.all(
        """SELECT target, event_id, sender FROM
             (SELECT l.target, e.event_id, l.sender, l.depth, l.position, ROW_NUMBER() OVER
                 (PARTITION BY l.target ORDER BY l.depth, l.position) AS place
              FROM relations l JOIN events e ON e.position = l.position JOIN events p ON p.event_id = l.target
              WHERE l.target IN :targets AND l.rel_type = 'm.reference' AND e.outcome = 0 AND p.room = l.room) ranked
           WHERE place <= :most ORDER BY depth, position""",
        targets=list(targets),
        most=_REFERENCES,
    )
    references: dict[str, list[Reference]] = {}
    for target, event_id, sender in rows:
        references.setdefault(target, []).append(Reference(event_id, sender))
    return references
