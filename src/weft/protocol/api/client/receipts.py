"""How far somebody has read.

https://spec.matrix.org/v1.19/client-server-api/#receipts
https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import EventId, RoomId


class SetReadMarkerRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    fully_read: EventId | None = field(default=None, name="m.fully_read")
    read: EventId | None = field(default=None, name="m.read")
    read_private: EventId | None = field(default=None, name="m.read.private")


class PostReceiptRequest(Struct):
    """`thread_id` is the thread's root or `main`; without it the receipt is for the room as a whole."""

    room_id: Path[RoomId] = field(name="roomId")
    receipt_type: Path[Literal["m.fully_read", "m.read", "m.read.private"]] = field(name="receiptType")
    event_id: Path[EventId] = field(name="eventId")
    thread_id: EventId | None = None


SET_READ_MARKER = Endpoint(
    operation_id="setReadMarker",
    method="POST",
    paths=client("/rooms/{roomId}/read_markers"),
    request=SetReadMarkerRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="receipt",
)

POST_RECEIPT = Endpoint(
    operation_id="postReceipt",
    method="POST",
    paths=client("/rooms/{roomId}/receipt/{receiptType}/{eventId}"),
    request=PostReceiptRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="receipt",
)

ENDPOINTS = (SET_READ_MARKER, POST_RECEIPT)
