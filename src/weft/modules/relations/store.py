"""What relates to an event, and the threads of a room: ids and places of events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from weft.modules.events.places import Place
from weft.storage.database import Transaction
from weft.storage.positions import within

Order = tuple[int, int]


class Row(NamedTuple):
    """An event and its place in graph order."""

    event_id: str
    depth: int
    position: int

    @property
    def order(self) -> Order:
        return self.depth, self.position


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """Which events are looked for: those that relate to `target`, directly or over up to `levels` relations.

    With `backwards` those before `start` and not before `until`, newest first; else those not before `start` and
    before `until`, oldest first.
    """

    room: int
    target: str
    start: Place
    until: Place | None
    backwards: bool
    rel_type: str | None = None
    event_type: str | None = None
    levels: int = 1


def children(tx: Transaction, wanted: Children, limit: int) -> list[Row]:
    """The first `limit` of them."""
    lower, upper = (wanted.until, wanted.start) if wanted.backwards else (wanted.start, wanted.until)
    conditions = [f"NOT {_before(lower, 'lower')}"] if lower is not None else []
    conditions += [_before(upper, "upper")] if upper is not None else []
    direction = "DESC" if wanted.backwards else "ASC"
    rows = tx.all(
        f"""{_FOUND.format(kind=_kind(wanted))}
            SELECT DISTINCT event_id, depth, position FROM found WHERE {" AND ".join(conditions) or "1 = 1"}
            ORDER BY depth {direction}, position {direction} LIMIT :limit""",
        room=wanted.room,
        target=wanted.target,
        levels=wanted.levels,
        limit=limit,
        **_bounds(lower, "lower"),
        **_bounds(upper, "upper"),
        **({"rel_type": wanted.rel_type} if wanted.rel_type is not None else {}),
        **({"event_type": wanted.event_type} if wanted.event_type is not None else {}),
    )
    return [Row(*row) for row in rows]


# A chain of relations that bites its own tail, as old room versions allow it, ends with the levels.
_FOUND = """WITH RECURSIVE found (event_id, depth, position, level) AS (
        SELECT e.event_id, l.depth, l.position, 1 FROM relations l JOIN events e ON e.position = l.position
        WHERE l.target = :target AND l.room = :room AND e.outcome = 0 {kind}
        UNION
        SELECT e.event_id, l.depth, l.position, f.level + 1
        FROM found f JOIN relations l ON l.target = f.event_id JOIN events e ON e.position = l.position
        WHERE f.level < :levels AND l.room = :room AND e.outcome = 0 {kind})"""


def _kind(wanted: Children) -> str:
    conditions = "AND l.rel_type = :rel_type " if wanted.rel_type is not None else ""
    return conditions + ("AND l.type = :event_type" if wanted.event_type is not None else "")


def _before(place: Place, name: str) -> str:
    condition = f"(depth, position) < (:{name}_depth, :{name}_position)"
    return f"({condition} AND {within(place.cut)})" if place.cut is not None else f"({condition})"


def _bounds(place: Place | None, name: str) -> dict[str, int]:
    return {f"{name}_depth": place.order[0], f"{name}_position": place.order[1]} if place is not None else {}


def threads(
    tx: Transaction,
    room: int,
    below: Order,
    limit: int,
    *,
    participant: str | None,
    ignored: Collection[str],
) -> list[Row]:
    """Roots of a room's threads with the place of each thread's newest event, the newest first.

    `participant` asks for threads whose root or any event they sent. Events of ignored users don't count.
    """
    heard = "AND {}.sender NOT IN :ignored" if ignored else ""
    took_part = """AND (r.sender = :participant OR EXISTS (SELECT 1 FROM relations p WHERE p.target = l.target
                   AND p.rel_type = 'm.thread' AND p.room = l.room AND p.sender = :participant))"""
    rows = tx.all(
        f"""SELECT l.target, l.depth, l.position FROM relations l JOIN events r ON r.event_id = l.target
            WHERE l.room = :room AND l.rel_type = 'm.thread' AND (l.depth, l.position) < (:depth, :position)
              AND r.room = l.room AND r.outcome = 0 {heard.format("l")} {took_part if participant is not None else ""}
              AND NOT EXISTS (SELECT 1 FROM relations n WHERE n.target = l.target AND n.rel_type = 'm.thread'
                              AND n.room = l.room AND (n.depth, n.position) > (l.depth, l.position)
                              {heard.format("n")})
            ORDER BY l.depth DESC, l.position DESC LIMIT :limit""",
        room=room,
        depth=below[0],
        position=below[1],
        limit=limit,
        **({"ignored": list(ignored)} if ignored else {}),
        **({"participant": participant} if participant is not None else {}),
    )
    return [Row(*row) for row in rows]
