"""The rows of messages on their way to other servers, and of what came from those."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from weft.federation import behind
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.followers import cursor
from weft.storage.positions import Vector, beyond, within

#: Something is to go to another server, whose name is the entry's key.
KIND_OUT = "to_device_out"


def put_out(tx: WriteTransaction, server_name: str, content: bytes, now_ms: int) -> None:
    """Has the content of an EDU wait for a server, behind what waits for it already."""
    position = tx.append(KIND_OUT, key=server_name)
    tx.put(
        """INSERT INTO to_device_outbox (position, server_name, created_ms, json, seq)
           VALUES (:position, :server_name, :now_ms, :json,
                   (SELECT COALESCE(MAX(seq), 0) + 1 FROM to_device_outbox WHERE server_name = :server_name))""",
        position=position,
        server_name=server_name,
        now_ms=now_ms,
        json=content,
    )


def at_positions(tx: Transaction, positions: Collection[int]) -> list[bytes]:
    """The contents of EDUs for one server, in the order in which they were sent."""
    rows = tx.all(
        "SELECT json FROM to_device_outbox WHERE position IN :positions ORDER BY seq, position",
        positions=list(positions),
    )
    return [bytes(json) for (json,) in rows]


def owed(tx: Transaction, server_name: str, since: Vector) -> list[bytes]:
    """The contents of the EDUs that a server lacks, in the order in which they were sent."""
    rows = tx.all(
        f"""SELECT json FROM to_device_outbox WHERE server_name = :server_name AND {beyond(since)}
            ORDER BY seq, position""",
        server_name=server_name,
    )
    return [bytes(json) for (json,) in rows]


def is_new(tx: WriteTransaction, origin: str, message_id: str, now_ms: int) -> bool:
    """Notes a message of another server; False if it came before."""
    return bool(
        tx.run(
            """INSERT INTO to_device_received (origin, message_id, received_ms)
               VALUES (:origin, :message_id, :now_ms) ON CONFLICT (origin, message_id) DO NOTHING""",
            origin=origin,
            message_id=message_id,
            now_ms=now_ms,
        )
    )


def prune(tx: WriteTransaction, sender_cursors: Sequence[str], *, received_before_ms: int, sent_before_ms: int) -> None:
    """Removes what other servers have, and what is old.

    Who keeps up has all that the senders have dealt with; how far others have come is written down.
    """
    tx.put("DELETE FROM to_device_received WHERE received_ms < :before", before=received_before_ms)
    tx.put("DELETE FROM to_device_outbox WHERE created_ms < :before", before=sent_before_ms)
    away = behind.read_all(tx)
    cursors = [cursor(tx, name) for name in sender_cursors]
    writers = {writer for one in cursors for writer, _ in one}
    done = Vector({writer: min(one.number(writer) for one in cursors) for writer in writers})
    tx.put(
        f"DELETE FROM to_device_outbox WHERE {within(done)} AND NOT (server_name IN :away)",
        away=list(away) or [""],
    )
    for server_name, vector in away.items():
        tx.put(
            f"DELETE FROM to_device_outbox WHERE server_name = :server_name AND {within(vector)} AND {within(done)}",
            server_name=server_name,
        )
