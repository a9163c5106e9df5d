"""Which events lie where in a room's history: only their ids and places, since most events are in memory already."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from itertools import islice
from typing import NamedTuple

from weft.storage.database import Transaction
from weft.storage.positions import WRITER_SHIFT, Vector, within

Order = tuple[int, int]


class Row(NamedTuple):
    """An event and its place in graph order."""

    event_id: str
    depth: int
    position: int

    @property
    def order(self) -> Order:
        return self.depth, self.position


def before(tx: Transaction, room: int, order: Order, limit: int, cut: Vector | None) -> list[Row]:
    """The newest accepted events below a place in graph order, newest first. A `cut` leaves out what is beyond it."""
    return _page(tx, room, order, limit, cut, "<", "DESC")


def following(tx: Transaction, room: int, order: Order, limit: int, cut: Vector | None) -> list[Row]:
    """The oldest accepted events from a place in graph order on, oldest first."""
    return _page(tx, room, order, limit, cut, ">=", "ASC")


def _page(
    tx: Transaction, room: int, order: Order, limit: int, cut: Vector | None, comparison: str, direction: str
) -> list[Row]:
    inside = f"AND {within(cut)}" if cut is not None else ""
    rows = tx.all(
        f"""SELECT event_id, depth, position FROM events
            WHERE room = :room AND (depth, position) {comparison} (:depth, :position) AND outcome = 0 {inside}
            ORDER BY depth {direction}, position {direction} LIMIT :limit""",
        room=room,
        depth=order[0],
        position=order[1],
        limit=limit,
    )
    return [Row(*row) for row in rows]


def arrived(tx: Transaction, rooms: Collection[int], since: Vector, upto: Vector, limit: int) -> list[Row]:
    """The first accepted events of some rooms beyond a vector, each writer's in the order of its numbers.

    So `since` advanced by any number of them, from the first on, is a cut that has no hole.
    """
    condition = "room = :room" if len(rooms) == 1 else "room IN :rooms"
    found: list[list[Row]] = []
    for writer, number in upto:
        if number <= since.number(writer):
            continue
        rows = tx.all(
            f"""SELECT event_id, depth, position FROM events
                WHERE {condition} AND position > :after AND position <= :upto AND outcome = 0
                ORDER BY position LIMIT :limit""",
            after=(writer << WRITER_SHIFT) + since.number(writer),
            upto=(writer << WRITER_SHIFT) + number,
            limit=limit,
            **({"room": next(iter(rooms))} if len(rooms) == 1 else {"rooms": list(rooms)}),
        )
        found.append([Row(*row) for row in rows])
    return list(islice(heapq.merge(*found, key=_depth), limit))


def _depth(row: Row) -> int:
    return row.depth


def lowest_beyond(tx: Transaction, room: int, since: Vector, upto: Vector) -> Order | None:
    """The first place in graph order of what came to a room between two vectors."""
    lowest: list[Order] = []
    for writer, number in upto:
        if number <= since.number(writer):
            continue
        # What came to be read is walked through, not the whole room: the plus signs keep the other index out.
        row = tx.one(
            """SELECT depth, position FROM events
               WHERE room = :room AND position > :after AND position <= :upto AND outcome = 0
               ORDER BY +depth, +position LIMIT 1""",
            room=room,
            after=(writer << WRITER_SHIFT) + since.number(writer),
            upto=(writer << WRITER_SHIFT) + number,
        )
        if row is not None:
            lowest.append((row[0], row[1]))
    return min(lowest, default=None)


def around_time(
    tx: Transaction, room: int, time_ms: int, backwards: bool, limit: int, beyond: Order | None
) -> list[tuple[str, int, int]]:
    """Events nearest to a time, on one side of it (the time itself counts), as id, time and position.

    `beyond` is the time and the position of the last one that was looked at.
    """
    comparison, strictly, direction = ("<=", "<", "DESC") if backwards else (">=", ">", "ASC")
    condition, bounds = f"origin_server_ts {comparison} :time", {"time": time_ms}
    if beyond is not None:
        condition = f"(origin_server_ts, position) {strictly} (:time, :position)"
        bounds = {"time": beyond[0], "position": beyond[1]}
    rows = tx.all(
        f"""SELECT event_id, origin_server_ts, position FROM events WHERE room = :room AND {condition} AND outcome = 0
            ORDER BY origin_server_ts {direction}, position {direction} LIMIT :limit""",
        room=room,
        limit=limit,
        **bounds,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def related(
    tx: Transaction,
    room: int,
    targets: Sequence[str],
    rel_types: Collection[str] | None,
    senders: Collection[str] | None,
) -> set[str]:
    """Which of some events others relate to: with one of the `rel_types`, by one of the `senders` (None: any)."""
    conditions, lists = "", {"targets": list(targets)}
    if rel_types is not None:
        conditions += " AND rel_type IN :rel_types"
        lists["rel_types"] = list(rel_types)
    if senders is not None:
        conditions += " AND sender IN :senders"
        lists["senders"] = list(senders)
    rows = tx.all(
        f"SELECT DISTINCT target FROM relations WHERE target IN :targets AND room = :room {conditions}",
        room=room,
        **lists,
    )
    return {target for (target,) in rows}
