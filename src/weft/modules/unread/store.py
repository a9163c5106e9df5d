"""Tallies of unread events on disk: what was counted once is not counted again after a start.

A row says of which part of the log it is the tally (`cut`), and is taken up by counting what has come since. It holds
as long as everything else that it was made from does (`made_from`). One that is missing or outdated costs time and
nothing else, so rows are written now and then, and nobody waits for that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from weft.graph.outcome import Outcome
from weft.modules.receipts import store as receipts
from weft.modules.receipts.store import Place
from weft.storage import events
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector, ranges_beyond

#: More new events in a room than this are not looked at: the tally is made anew.
_MANY = 200

#: For each thread, how many events notify and how many are highlights.
Threads = dict[str, tuple[int, int]]

_decode = msgspec.msgpack.Decoder(Threads).decode
_encode = msgspec.msgpack.Encoder().encode


class Kept(NamedTuple):
    """A tally as it was, and the accepted events that the log has had since, oldest first."""

    made_from: bytes
    threads: Threads
    news: Sequence[StoredEvent]


class Inputs(NamedTuple):
    """What the tables say of one user and one room: how far each thread is read, and what was counted before."""

    places: dict[str, Place]
    kept: Kept | None


def inputs(tx: Transaction, user_id: str, rooms: Sequence[int], head: Vector) -> dict[int, Inputs]:
    """The inputs for some rooms. Events beyond `head` are not among the news."""
    places = receipts.places_of_user(tx, user_id, rooms)
    rows = tx.all(
        "SELECT room, cut, made_from, threads FROM unread_tallies WHERE user_id = :user_id AND room IN :rooms",
        user_id=user_id,
        rooms=rooms,
    )
    by_cut: dict[str, list[int]] = defaultdict(list)
    for room, cut, _, _ in rows:
        by_cut[cut].append(room)
    news: dict[int, list[StoredEvent]] = {}
    for cut, counted in by_cut.items():
        news.update(_news(tx, counted, Vector.parse(cut), head))
    kept = {
        room: Kept(bytes(made_from), _decode(bytes(threads)), news[room])
        for room, _, made_from, threads in rows
        if room in news
    }
    return {room: Inputs(places[room], kept.get(room)) for room in rooms}


def _news(tx: Transaction, rooms: Sequence[int], cut: Vector, head: Vector) -> dict[int, list[StoredEvent]]:
    """The accepted events between two vectors by room, oldest first. Rooms are left out for which it takes a new count.

    Those are the ones with very many, and with redactions, which may be about events that were counted.
    """
    ranges = ranges_beyond(cut)
    condition = " OR ".join(f"(position > :a_{i} AND position < :b_{i})" for i in range(len(ranges)))
    bounds = {f"{name}_{i}": bound for i, pair in enumerate(ranges) for name, bound in zip("ab", pair, strict=True)}
    most = _MANY * len(rooms)
    rows = tx.all(
        f"SELECT position FROM events WHERE room IN :rooms AND ({condition}) LIMIT :most",
        rooms=rooms,
        most=most,
        **bounds,
    )
    if len(rows) == most:
        return {}
    news: dict[int, list[StoredEvent]] = {room: [] for room in rooms}
    positions = [position for (position,) in rows if position in head]
    for stored in events.by_positions(tx, positions).values() if positions else ():
        if stored.outcome is Outcome.ACCEPTED:
            news[stored.room].append(stored)
    for found in news.values():
        found.sort(key=lambda stored: stored.order)
    return {
        room: found
        for room, found in news.items()
        if len(found) <= _MANY and not any(stored.event.type == "m.room.redaction" for stored in found)
    }


def keep(tx: WriteTransaction, user_id: str, room: int, cut: Vector, made_from: bytes, threads: Threads) -> None:
    """Puts a tally down in the place of the one before."""
    tx.put(
        """INSERT INTO unread_tallies (user_id, room, cut, made_from, threads)
           VALUES (:user_id, :room, :cut, :made_from, :threads)
           ON CONFLICT (user_id, room) DO UPDATE SET
               cut = excluded.cut, made_from = excluded.made_from, threads = excluded.threads""",
        user_id=user_id,
        room=room,
        cut=cut.spell(),
        made_from=made_from,
        threads=_encode(threads),
    )


def forget_rooms(tx: WriteTransaction, rooms: Collection[int]) -> None:
    """Has every tally of some rooms made anew."""
    tx.run("DELETE FROM unread_tallies WHERE room IN :rooms", rooms=list(rooms))


def forget_user(tx: WriteTransaction, user_id: str) -> None:
    """Forgets all tallies of a user."""
    tx.run("DELETE FROM unread_tallies WHERE user_id = :user_id", user_id=user_id)
