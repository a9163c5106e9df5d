"""The shapes that events have in answers to clients.

A server splices events into its answers as bytes that were made once (`EventJson`); the types below say what is in
those bytes, for whoever reads such answers or makes them by hand.

https://spec.matrix.org/v1.19/client-server-api/#room-event-format
https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from weft.protocol.api.endpoint import Struct

#: A whole JSON object, already encoded: it is copied into the answer as it is.
EventJson: TypeAlias = msgspec.Raw
#: An event's content: free-form JSON whose keys depend on the event's type.
Content: TypeAlias = dict[str, Any]


class UnsignedData(Struct):
    """What the server tells about an event that is not covered by its signature.

    `transaction_id` is for the device that sent the event alone. `relations` are the aggregations bundled with it.
    """

    age: int | None = None
    membership: str | None = None
    prev_content: Content | None = None
    redacted_because: dict[str, Any] | None = None
    relations: dict[str, Any] | None = msgspec.field(default=None, name="m.relations")
    replaces_state: str | None = None
    transaction_id: str | None = None


class ClientEventWithoutRoomId(Struct):
    """A room event where what it lies in says which room, as in `/sync`."""

    type: str
    content: Content
    event_id: str
    sender: str
    origin_server_ts: int
    state_key: str | None = None
    unsigned: UnsignedData | None = None


class ClientEvent(ClientEventWithoutRoomId, kw_only=True):
    """A room event as clients see it."""

    room_id: str


class StrippedStateEvent(Struct):
    """What somebody outside a room gets to see of its state."""

    type: str
    state_key: str
    content: Content
    sender: str


class EventWithoutSender(Struct):
    """What isn't an event of a room's history: account data, a receipt, somebody typing."""

    type: str
    content: Content
