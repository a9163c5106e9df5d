"""Where a room's history goes on beyond this server: events that others build on and that are not here."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from weft.protocol.event import Event
from weft.storage.database import Transaction, WriteTransaction


class Gap(NamedTuple):
    """A missing event, and the depth that it is below."""

    event_id: str
    depth: int


def add(
    tx: WriteTransaction, room: int, event: Event, missing: Collection[str], *, wanted: bool, followed: bool
) -> None:
    """Notes events that an event builds on and that are not here.

    `wanted`: they are to be fetched unasked. `followed`: the event that builds on them was accepted, or is followed by
    one that was.
    """
    tx.many(
        """INSERT INTO missing_events (room, event_id, depth, wanted, accepted)
           VALUES (:room, :event_id, :depth, :wanted, :accepted)
           ON CONFLICT (room, event_id) DO UPDATE SET
               depth = CASE WHEN missing_events.depth < excluded.depth
                            THEN excluded.depth ELSE missing_events.depth END,
               wanted = CASE WHEN excluded.wanted = 1 THEN 1 ELSE missing_events.wanted END,
               accepted = CASE WHEN excluded.accepted = 1 THEN 1 ELSE missing_events.accepted END""",
        [
            {"room": room, "event_id": one, "depth": event.depth, "wanted": int(wanted), "accepted": int(followed)}
            for one in missing
        ],
    )


def fill(tx: WriteTransaction, room: int, event_id: str) -> int | None:
    """What is here now is missing no longer. The depth below which it lies; None where nothing accepted follows it."""
    row = tx.one(
        "DELETE FROM missing_events WHERE room = :room AND event_id = :event_id RETURNING accepted, depth",
        room=room,
        event_id=event_id,
    )
    return row[1] if row is not None and row[0] else None


def follow(tx: WriteTransaction, room: int, event_ids: Collection[str]) -> None:
    """Notes that an event which was accepted follows some events, those of them that are missing."""
    tx.put(
        "UPDATE missing_events SET accepted = 1 WHERE room = :room AND event_id IN :ids AND accepted = 0",
        room=room,
        ids=list(event_ids),
    )


def which_are_followed(tx: Transaction, room: int, event_ids: Collection[str]) -> list[str]:
    """Those of some events that are not here and that accepted ones follow."""
    rows = tx.all(
        "SELECT event_id FROM missing_events WHERE room = :room AND event_id IN :ids AND accepted = 1",
        room=room,
        ids=list(event_ids),
    )
    return [event_id for (event_id,) in rows]


def which_only_refused_follow(tx: Transaction, room: int, event_ids: Collection[str]) -> list[str]:
    """Those of some events that are not here, though others build on them, all of which were refused."""
    rows = tx.all(
        "SELECT event_id FROM missing_events WHERE room = :room AND event_id IN :ids AND accepted = 0",
        room=room,
        ids=list(event_ids),
    )
    return [event_id for (event_id,) in rows]


def below(tx: Transaction, room: int, depth: int, limit: int) -> list[Gap]:
    """The gaps that come next on the way to the past from a depth."""
    rows = tx.all(
        """SELECT event_id, depth FROM missing_events WHERE room = :room AND depth <= :depth
           ORDER BY depth DESC, event_id LIMIT :limit""",
        room=room,
        depth=depth,
        limit=limit,
    )
    return [Gap(*row) for row in rows]


def wanted(tx: Transaction, room: int, limit: int) -> list[Gap]:
    """The newest gaps of a room that are to be filled unasked."""
    rows = tx.all(
        """SELECT event_id, depth FROM missing_events WHERE room = :room AND wanted = 1
           ORDER BY depth DESC, event_id LIMIT :limit""",
        room=room,
        limit=limit,
    )
    return [Gap(*row) for row in rows]


def give_up(tx: WriteTransaction, room: int, event_ids: Collection[str]) -> None:
    """Nobody has these: they are asked for again only when somebody reads that far."""
    tx.put(
        "UPDATE missing_events SET wanted = 0 WHERE room = :room AND event_id IN :ids", room=room, ids=list(event_ids)
    )


def rooms_with_wanted(tx: Transaction) -> list[str]:
    """The rooms that have gaps to be filled unasked."""
    return [
        room_id
        for (room_id,) in tx.all(
            """SELECT DISTINCT r.room_id FROM missing_events m JOIN rooms r ON r.room = m.room WHERE m.wanted = 1"""
        )
    ]


def holders(tx: Transaction, room: int, found: Collection[Gap]) -> list[str]:
    """The senders of missing events, where these are known at least, and of those that build on them.

    Their servers had these, whoever is in the room now.
    """
    known = tx.all("SELECT sender FROM events WHERE event_id IN :ids", ids=[gap.event_id for gap in found])
    senders: dict[str, None] = dict.fromkeys(sender for (sender,) in known)
    for gap in found:
        rows = tx.all(
            "SELECT sender, json FROM events WHERE room = :room AND depth = :depth ORDER BY position LIMIT 50",
            room=room,
            depth=gap.depth,
        )
        senders.update((sender, None) for sender, json in rows if gap.event_id.encode() in bytes(json))
    return list(senders)


def known_between(tx: Transaction, room: int, low: int, high: int, limit: int) -> int:
    """How many accepted events of a room lie between two depths, counted up to `limit`."""
    count: int = tx.value(
        """SELECT COUNT(*) FROM (SELECT 1 FROM events
               WHERE room = :room AND depth >= :low AND depth <= :high AND outcome = 0 LIMIT :limit) found""",
        room=room,
        low=low,
        high=high,
        limit=limit,
    )
    return count
