"""What is bundled with an event: its newest edit, its thread, the events that refer to it.

Kept in memory per event and made anew when something relates to it; a redaction in a room forgets all of that room's.

https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry

_REFERENCES = 100
_KEPT_ROOMS = 500
_KEPT_EVENTS = 2_000


@dataclass(slots=True)
class Thread:
    """`latest` is the newest event of the thread, `participants` are those who wrote in it (or its root)."""

    latest: StoredEvent
    count: int
    participants: frozenset[str]


@dataclass(slots=True)
class Aggregation:
    """All that is bundled with one event."""

    edit: StoredEvent | None = None
    thread: Thread | None = None
    references: list[str] = field(default_factory=list)


class Aggregations:
    """Asks the tables for what relates to events, and remembers the answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rooms: OrderedDict[int, dict[str, Aggregation | None]] = OrderedDict()

    def now(self, room: int, event_id: str) -> tuple[bool, Aggregation | None]:
        """Whether it is known without asking, and what it is."""
        known = self._rooms.get(room)
        if known is None or event_id not in known:
            return False, None
        return True, known[event_id]

    async def load(self, room: int, stored: Iterable[StoredEvent]) -> None:
        """Makes `now` know these events."""
        known = self._rooms.get(room, {})
        missing = [s for s in stored if s.event.event_id not in known]
        if not missing:
            return
        found = await self._engine.database.get(of_events, missing)
        kept = self._rooms.setdefault(room, {})
        self._rooms.move_to_end(room)
        if len(kept) > _KEPT_EVENTS:
            kept.clear()
        for one in missing:
            kept[one.event.event_id] = found.get(one.event.event_id)
        while len(self._rooms) > _KEPT_ROOMS:
            self._rooms.popitem(last=False)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what new events and redactions change; a new event itself has nothing bundled yet."""
        for entry in entries:
            if entry.kind == "redacted" and entry.room is not None:
                self._rooms.pop(entry.room, None)
            elif entry.kind == "event" and entry.room is not None and isinstance(entry.payload, StoredEvent):
                known = self._rooms.get(entry.room)
                if known is None:
                    continue
                event = entry.payload.event
                target = relation_target(event.content)
                if target is not None:
                    known.pop(target, None)
                if len(known) < _KEPT_EVENTS:
                    known[event.event_id] = None


def relation_target(content: dict[str, object]) -> str | None:
    """The event that an event relates to, with some `rel_type`."""
    relates_to = content.get("m.relates_to")
    if not isinstance(relates_to, dict) or not isinstance(relates_to.get("rel_type"), str):
        return None
    target = relates_to.get("event_id")
    return target if isinstance(target, str) else None


def of_events(tx: Transaction, targets: Sequence[StoredEvent]) -> dict[str, Aggregation]:
    """What is bundled with each of some events; those without anything are left out."""
    by_id = {stored.event.event_id: stored for stored in targets}
    rows = tx.all(
        """SELECT l.target, l.rel_type, l.type, l.sender, l.position FROM relations l
           JOIN events e ON e.position = l.position
           WHERE l.target IN :targets AND l.rel_type IN ('m.replace', 'm.thread', 'm.reference') AND e.outcome = 0
           ORDER BY l.depth, l.position""",
        targets=list(by_id),
    )
    found: dict[str, Aggregation] = {}
    edits: dict[str, list[int]] = {}
    threads: dict[str, list[tuple[str, int]]] = {}
    references: dict[str, list[int]] = {}
    for target, rel_type, event_type, sender, position in rows:
        event = by_id[target].event
        if rel_type == "m.thread":
            threads.setdefault(target, []).append((sender, position))
        elif rel_type == "m.reference":
            references.setdefault(target, []).append(position)
        elif sender == event.sender and event_type == event.type and event.state_key is None:
            edits.setdefault(target, []).append(position)
    wanted = [position for positions in edits.values() for position in positions]
    wanted += [members[-1][1] for members in threads.values()]
    wanted += [position for positions in references.values() for position in positions[:_REFERENCES]]
    stored = events.by_positions(tx, wanted) if wanted else {}
    for target in {*edits, *threads, *references}:
        root = by_id[target]
        aggregation = Aggregation(
            edit=_newest_edit(root, [stored[p] for p in edits.get(target, ()) if p in stored]),
            references=[stored[p].event.event_id for p in references.get(target, ())[:_REFERENCES] if p in stored],
        )
        members = threads.get(target)
        if members and members[-1][1] in stored:
            participants = frozenset({root.event.sender, *(sender for sender, _ in members)})
            aggregation.thread = Thread(stored[members[-1][1]], len(members), participants)
        found[target] = aggregation
    return found


def _newest_edit(root: StoredEvent, edits: Collection[StoredEvent]) -> StoredEvent | None:
    """The edit that counts: https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events"""
    if root.redacted_by is not None or _is_edit(root):
        return None
    valid = [e for e in edits if isinstance(e.event.content.get("m.new_content"), dict) or _is_encrypted(e)]
    valid = [e for e in valid if e.event.room_id == root.event.room_id and e.event.state_key is None]
    return max(valid, key=lambda e: (e.event.origin_server_ts, e.event.event_id), default=None)


def _is_encrypted(stored: StoredEvent) -> bool:
    return stored.event.type == "m.room.encrypted"


def _is_edit(stored: StoredEvent) -> bool:
    relates_to = stored.event.content.get("m.relates_to")
    return isinstance(relates_to, dict) and relates_to.get("rel_type") == "m.replace"
