"""Events that hold just what the store looks at: no hashes, no signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weft.graph.outcome import Outcome
from weft.protocol.event import Event
from weft.protocol.room_versions import RoomVersion, room_version
from weft.storage import events, rooms
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent

VERSION = room_version("10")


def event(
    name: str,
    event_type: str = "m.room.message",
    *,
    state_key: str | None = None,
    content: Mapping[str, Any] | None = None,
    prev: Sequence[str] = (),
    auth: Sequence[str] = (),
    depth: int = 1,
    sender: str = "@alice:a",
    room_id: str = "!room:a",
    redacts: str | None = None,
    version: RoomVersion = VERSION,
) -> Event:
    """An event with the id `$name`."""
    pairs = version.format.references_are_pairs

    def references(names: Sequence[str]) -> list[Any]:
        return [[f"${n}", {"sha256": "x"}] if pairs else f"${n}" for n in names]

    pdu: dict[str, Any] = {
        "type": event_type,
        "room_id": room_id,
        "sender": sender,
        "content": dict(content or {}),
        "depth": depth,
        "origin_server_ts": depth,
        "prev_events": references(prev),
        "auth_events": references(auth),
        "hashes": {"sha256": "x"},
        "signatures": {},
    }
    if state_key is not None:
        pdu["state_key"] = state_key
    if redacts is not None:
        pdu["redacts"] = redacts
    return Event.stored(pdu, version, f"${name}")


def store(
    tx: WriteTransaction, room: int, made: Event, *, snapshot: int | None = None, outcome: Outcome = Outcome.ACCEPTED
) -> StoredEvent:
    """The event, inserted."""
    stored = StoredEvent(made, room=room, snapshot=snapshot, outcome=outcome)
    stored.position = events.insert(tx, stored)
    return stored


def room(tx: WriteTransaction, room_id: str = "!room:a") -> int:
    """The number of a new room."""
    return rooms.create(tx, room_id, VERSION.identifier)
