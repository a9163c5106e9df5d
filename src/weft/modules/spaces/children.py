"""What a space says of one of its rooms: an `m.space.child` event, ours or as another server tells it.

https://spec.matrix.org/v1.19/client-server-api/#mspacechild
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from weft.protocol.client_event import dumps, stripped
from weft.protocol.event import Event
from weft.protocol.identifiers import is_valid_room_id

_MAX_ORDER: Final = 50
#: How many rooms of a space are looked at.
MAX_CHILDREN: Final = 1_000


class Child(NamedTuple):
    room_id: str
    #: Servers that are in the room, as the space says.
    via: tuple[str, ...]
    suggested: bool
    #: Where it stands in the space.
    order: tuple[bool, str, int, str]
    #: The event, stripped, with its time.
    json: bytes


class _Stripped(msgspec.Struct):
    content: dict[str, Any]
    state_key: str
    sender: str
    type: str
    origin_server_ts: int


_decode: Final = msgspec.json.Decoder(_Stripped).decode


def of_events(events: Iterable[Event]) -> list[Child]:
    """The children that the events of a room name, in order."""
    found = [_child(event.content, event.state_key or "", event.origin_server_ts, _json(event)) for event in events]
    return _in_order(found)


def of_stripped(events: Iterable[msgspec.Raw]) -> list[Child]:
    """As `of_events`, for what another server tells: what is not of the right shape is left out."""
    found: list[Child | None] = []
    for raw in events:
        try:
            one = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if one.type == "m.space.child":
            json = msgspec.json.encode(one)
            found.append(_child(one.content, one.state_key, one.origin_server_ts, json))
    return _in_order(found[:MAX_CHILDREN])


def _in_order(children: Iterable[Child | None]) -> list[Child]:
    return sorted((child for child in children if child is not None), key=lambda child: child.order)


def _child(content: dict[str, Any], room_id: str, time_ms: int, json: bytes) -> Child | None:
    """Without `via` a room is no child any more; people write what they like into the rest."""
    via = content.get("via")
    is_listed = isinstance(via, list) and bool(via) and all(isinstance(server, str) for server in via)
    if not is_listed or not is_valid_room_id(room_id):
        return None
    return Child(room_id, tuple(via or ()), content.get("suggested") is True, _order(content, time_ms, room_id), json)


def _order(content: dict[str, Any], time_ms: int, room_id: str) -> tuple[bool, str, int, str]:
    """https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space"""
    order = content.get("order")
    is_ordered = (
        isinstance(order, str)
        and len(order) <= _MAX_ORDER
        and all("\x20" <= character <= "\x7e" for character in order)
    )
    return not is_ordered, str(order) if is_ordered else "", time_ms, room_id


def _json(event: Event) -> bytes:
    return dumps({**stripped(event), "origin_server_ts": event.origin_server_ts})
