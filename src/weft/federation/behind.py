"""Servers that have not got everything, on disk: what each may lack is what lies beyond its vector.

A server that keeps up has no row here, whatever happens in its rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec

from weft.protocol.identifiers import domain_of
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.patterns import escaped
from weft.storage.positions import Vector, beyond

_DEPARTURES: Final = 5


class _Content(msgspec.Struct):
    membership: str = ""


class _Member(msgspec.Struct):
    content: _Content


_MEMBER: Final = msgspec.json.Decoder(_Member)


def read_all(tx: Transaction) -> dict[str, Vector]:
    found: dict[str, dict[int, int]] = {}
    for server_name, writer, number in tx.all("SELECT server_name, writer, number FROM behind_destinations"):
        found.setdefault(server_name, {})[writer] = number
    return {server_name: Vector(numbers) for server_name, numbers in found.items()}


def put(tx: WriteTransaction, server_name: str, vector: Vector) -> None:
    """A server has what is in the vector, and may lack the rest."""
    clear(tx, server_name)
    # Of an empty vector, too, there is a row: one for a writer that never was.
    rows = [(0, 1), *vector]
    tx.many(
        """INSERT INTO behind_destinations (server_name, writer, number) VALUES (:server_name, :writer, :number)
           ON CONFLICT DO NOTHING""",
        [{"server_name": server_name, "writer": writer, "number": number} for writer, number in rows],
    )


def clear(tx: WriteTransaction, server_name: str) -> None:
    tx.put("DELETE FROM behind_destinations WHERE server_name = :name", name=server_name)


def rooms_with_news(tx: Transaction, since: Vector) -> list[int]:
    """The rooms in which something happened beyond a vector, the newest last."""
    rows = tx.all(
        f"""SELECT room FROM log WHERE kind IN :kinds AND {beyond(since)} AND room IS NOT NULL
            GROUP BY room ORDER BY MAX(position)""",
        kinds=["event", "resolution"],
    )
    return [room for (room,) in rows]


def concerned(tx: Transaction, rooms: Collection[int], server_name: str, since: Vector) -> list[int]:
    """Which of some rooms a server is in, or was put out of beyond a vector."""
    rows = tx.all(
        f"""SELECT DISTINCT room FROM memberships
            WHERE room IN :rooms AND user_id LIKE :pattern ESCAPE '!'
              AND (membership = 'join' OR {beyond(since)})""",
        rooms=list(rooms),
        pattern=f"%:{escaped(server_name)}",
    )
    found = {room for (room,) in rows}
    return [room for room in rooms if room in found]


def newest(tx: Transaction, room: int, server_name: str, since: Vector, is_local: Callable[[str], bool]) -> list[str]:
    """The ids of the events from which a server finds whatever it missed of a room.

    One that is in the room finds it from the ends of the graph, and from those that were ends when we left it. One that
    is not has a claim only to what put it out.
    """
    pattern = f"%:{escaped(server_name)}"
    is_in = tx.value(
        """SELECT COUNT(*) FROM memberships
           WHERE room = :room AND user_id LIKE :pattern ESCAPE '!' AND membership = 'join'""",
        room=room,
        pattern=pattern,
    )
    if is_in:
        return list(dict.fromkeys([*departures(tx, room, since, is_local), *ends(tx, room)]))
    rows = tx.all(
        f"""SELECT event_id FROM memberships
            WHERE room = :room AND user_id LIKE :pattern ESCAPE '!' AND {beyond(since)}
            ORDER BY position DESC LIMIT 20""",
        room=room,
        pattern=pattern,
    )
    return [event_id for (event_id,) in rows]


def departures(tx: Transaction, room: int, since: Vector, is_local: Callable[[str], bool]) -> list[str]:
    """The ids of the events that were ends of the graph when users of ours went, beyond a vector, the newest first.

    If one was the last of us, what was said before it hangs on that alone: who comes back begins at another end. Where
    they left by themselves it is their leaving; where they were put out, by somebody who may not have had it, what we
    said last.
    """
    rows = tx.all(
        f"""SELECT position, event_id, sender, state_key, json FROM events
            WHERE room = :room AND type = 'm.room.member' AND outcome = 0 AND {beyond(since)}
            ORDER BY position DESC LIMIT 500""",
        room=room,
    )
    found: list[str | None] = []
    for position, event_id, sender, user_id, json in rows:
        if is_local(domain_of(user_id)) and _MEMBER.decode(json).content.membership in ("leave", "ban"):
            found.append(event_id if sender == user_id else _said_last(tx, room, position, is_local))
        if len(found) == _DEPARTURES:
            break
    return [event_id for event_id in found if event_id is not None]


def _said_last(tx: Transaction, room: int, before: int, is_local: Callable[[str], bool]) -> str | None:
    """The id of the last event of ours before a position, if it is among those just before."""
    rows = tx.all(
        """SELECT event_id, sender FROM events WHERE room = :room AND outcome = 0 AND position < :before
           ORDER BY position DESC LIMIT 200""",
        room=room,
        before=before,
    )
    return next((event_id for event_id, sender in rows if is_local(domain_of(sender))), None)


def ends(tx: Transaction, room: int) -> list[str]:
    rows = tx.all("SELECT event_id FROM forward_extremities WHERE room = :room ORDER BY event_id LIMIT 20", room=room)
    return [event_id for (event_id,) in rows]
