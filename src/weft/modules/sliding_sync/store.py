"""The rows of connections: what each client was told of which room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector

#: How many connections a device may have; the one that was not used for longest goes.
MAX_CONNECTIONS = 10


class Told(NamedTuple):
    """What a connection was told of a room. `upto` None: everything up to where the client is."""

    config: int
    upto: Vector | None = None


class Key(NamedTuple):
    """Whose connection, and under what name."""

    user_id: str
    device_id: str
    conn_id: str


class Row(NamedTuple):
    """A connection as it was at a generation. `rooms` are by number."""

    connection: int
    generation: int
    configs: bytes
    used_ms: int
    rooms: dict[int, Told]


def begin(tx: WriteTransaction, key: Key, now_ms: int) -> int:
    """Makes a connection, in the place of the one of that name; returns its number."""
    rows = tx.all(
        """SELECT connection, conn_id FROM sliding_connections
           WHERE user_id = :user_id AND device_id = :device_id ORDER BY used_ms DESC, connection DESC""",
        user_id=key.user_id,
        device_id=key.device_id,
    )
    same = [connection for connection, conn_id in rows if conn_id == key.conn_id]
    others = [connection for connection, conn_id in rows if conn_id != key.conn_id]
    _remove(tx, [*same, *others[MAX_CONNECTIONS - 1 :]])
    number: int = tx.value(
        """INSERT INTO sliding_connections (user_id, device_id, conn_id, acknowledged, latest, configs, used_ms)
           VALUES (:user_id, :device_id, :conn_id, 0, 0, :configs, :now) RETURNING connection""",
        **key._asdict(),
        configs=b"[]",
        now=now_ms,
    )
    return number


def find(tx: Transaction, key: Key, connection: int, generation: int) -> Row | None:
    """A connection as a client that comes with a generation has it; None where that is not known, or not any more."""
    row = tx.one(
        """SELECT configs, used_ms FROM sliding_connections
           WHERE connection = :connection AND user_id = :user_id AND device_id = :device_id AND conn_id = :conn_id
             AND :generation IN (acknowledged, latest)""",
        connection=connection,
        generation=generation,
        **key._asdict(),
    )
    if row is None:
        return None
    rooms = tx.all(
        """SELECT room, upto, config FROM sliding_rooms
           WHERE connection = :connection AND generation <= :generation ORDER BY generation""",
        connection=connection,
        generation=generation,
    )
    told = {room: Told(config, Vector.parse(upto) if upto is not None else None) for room, upto, config in rooms}
    return Row(connection, generation, bytes(row[0]), row[1], told)


def save(
    tx: WriteTransaction, connection: int, had: int, changes: Mapping[int, Told], configs: bytes, now_ms: int
) -> int | None:
    """Writes what an answer changed, for a client that came with the generation `had`; returns the new one.

    What was written for other answers to the same position is dropped: the client can't have processed them. None
    where the connection has moved on, or is gone.
    """
    row = tx.one(
        f"SELECT acknowledged, latest FROM sliding_connections WHERE connection = :connection {tx.dialect.for_update}",
        connection=connection,
    )
    if row is None or had not in row:
        return None
    acknowledged, latest = row
    if had < latest:
        tx.run(
            "DELETE FROM sliding_rooms WHERE connection = :connection AND generation > :had",
            connection=connection,
            had=had,
        )
    if had > acknowledged:
        tx.run(
            """DELETE FROM sliding_rooms WHERE connection = :connection AND generation <= :acknowledged AND room IN (
                   SELECT room FROM sliding_rooms WHERE connection = :connection AND generation > :acknowledged)""",
            connection=connection,
            acknowledged=acknowledged,
        )
    generation: int = latest + 1
    tx.many(
        """INSERT INTO sliding_rooms (connection, room, generation, upto, config)
           VALUES (:connection, :room, :generation, :upto, :config)""",
        [
            {
                "connection": connection,
                "room": room,
                "generation": generation,
                "upto": told.upto.spell() if told.upto is not None else None,
                "config": told.config,
            }
            for room, told in changes.items()
        ],
    )
    tx.run(
        """UPDATE sliding_connections SET acknowledged = :had, latest = :latest, configs = :configs, used_ms = :now
           WHERE connection = :connection""",
        connection=connection,
        had=had,
        latest=generation,
        configs=configs,
        now=now_ms,
    )
    return generation


def used(tx: WriteTransaction, connection: int, now_ms: int) -> None:
    tx.run(
        "UPDATE sliding_connections SET used_ms = :now WHERE connection = :connection",
        connection=connection,
        now=now_ms,
    )


def remove_of_devices(tx: WriteTransaction, user_id: str, device_ids: Iterable[str]) -> None:
    rows = tx.all(
        "SELECT connection FROM sliding_connections WHERE user_id = :user_id AND device_id IN :device_ids",
        user_id=user_id,
        device_ids=list(device_ids),
    )
    _remove(tx, [connection for (connection,) in rows])


def prune(tx: WriteTransaction, before_ms: int) -> int:
    """Removes connections that were not used since; returns how many."""
    rows = tx.all("SELECT connection FROM sliding_connections WHERE used_ms < :before LIMIT 100", before=before_ms)
    _remove(tx, [connection for (connection,) in rows])
    return len(rows)


def _remove(tx: WriteTransaction, connections: list[int]) -> None:
    if connections:
        tx.run("DELETE FROM sliding_rooms WHERE connection IN :connections", connections=connections)
        tx.run("DELETE FROM sliding_connections WHERE connection IN :connections", connections=connections)


# -- what rooms are, many at a time


def last_activity(tx: Transaction, rooms: list[int], shift: int) -> dict[int, int]:
    """When the event was sent that arrived last in each room, in milliseconds since the epoch."""
    rows = tx.all(
        """SELECT r.room, MAX((SELECT e.origin_server_ts FROM events e WHERE e.room = r.room
                   AND e.position >= CAST(w.writer AS BIGINT) << :shift
                   AND e.position < CAST(w.writer + 1 AS BIGINT) << :shift
                   ORDER BY e.position DESC LIMIT 1))
           FROM rooms r CROSS JOIN writers w WHERE r.room IN :rooms GROUP BY r.room""",
        rooms=rooms,
        shift=shift,
    )
    return {room: at_ms or 0 for room, at_ms in rows}


def creations(tx: Transaction, rooms: list[int]) -> dict[int, bytes]:
    """The create events of some rooms, as JSON."""
    rows = tx.all(
        """SELECT c.room, e.json FROM current_state c JOIN events e ON e.event_id = c.event_id
           WHERE c.type = 'm.room.create' AND c.state_key = '' AND c.room IN :rooms""",
        rooms=rooms,
    )
    return {room: bytes(json) for room, json in rows}


def encrypted(tx: Transaction, rooms: list[int]) -> set[int]:
    """Those of some rooms that are encrypted."""
    rows = tx.all(
        """SELECT room FROM current_state
           WHERE type = 'm.room.encryption' AND state_key = '' AND room IN :rooms""",
        rooms=rooms,
    )
    return {room for (room,) in rows}


def last_bump(tx: Transaction, room: int, types: list[str], looked_at: int) -> int | None:
    """When the newest event of some types was sent, among the last so many that arrived in a room."""
    at_ms: int | None = tx.value(
        """SELECT MAX(origin_server_ts) FROM (
               SELECT type, origin_server_ts FROM events WHERE room = :room ORDER BY position DESC LIMIT :looked_at
           ) recent WHERE type IN :types""",
        room=room,
        types=types,
        looked_at=looked_at,
    )
    return at_ms
