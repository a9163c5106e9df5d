"""The form of events that clients get, as bytes that are made once and spliced into every answer.

An event's bytes are kept without `room_id`, `unsigned` and the closing brace; `spliced` adds those for one answer.

Format: https://spec.matrix.org/v1.19/client-server-api/#room-event-format
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from weft.protocol import canonical_json
from weft.protocol.event import Event
from weft.protocol.stickiness import FIELD as STICKY


def client_json(event: Event) -> bytes:
    """The event's client form without `room_id`, `unsigned` and the closing brace."""
    form: dict[str, Any] = {
        "content": event.content,
        "event_id": event.event_id,
        "origin_server_ts": event.origin_server_ts,
        "sender": event.sender,
        "type": event.type,
    }
    if event.state_key is not None:
        form["state_key"] = event.state_key
    redacts = event.redacts
    if redacts is not None and event.type == "m.room.redaction":
        # Clients of either shape find it: the one place is the room version's, the other for compatibility.
        form["redacts"] = redacts
        if isinstance(event.content, dict) and "redacts" not in event.content:
            form["content"] = {**event.content, "redacts": redacts}
    sticky = event.pdu.get(STICKY)
    if isinstance(sticky, dict):
        form[STICKY] = sticky
    return dumps(form)[:-1]


def spliced(client: bytes, unsigned: bytes | None, room_id: str | None = None) -> bytes:
    """The whole event: `unsigned` is a JSON object, or None; `room_id` is left out where the place implies it."""
    room = b',"room_id":' + orjson.dumps(room_id) if room_id is not None else b""
    if unsigned is None:
        return client + room + b"}"
    return client + room + b',"unsigned":' + unsigned + b"}"


def in_room(event: bytes, room_id: str) -> bytes:
    """A whole event, which is a JSON object with members, with its `room_id`."""
    return spliced(event[:-1], None, room_id)


def stripped(event: Event) -> dict[str, Any]:
    """The event as those see it who are not in the room.

    https://spec.matrix.org/v1.19/client-server-api/#stripped-state
    """
    return {
        "content": event.content,
        "sender": event.sender,
        "state_key": event.state_key or "",
        "type": event.type,
    }


def dumps(value: Mapping[str, Any]) -> bytes:
    """JSON of what an event holds: old room versions know integers that are longer than 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return canonical_json.encode_lax(value)
