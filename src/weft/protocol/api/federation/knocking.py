"""Asking to be let into a room through a server that is in it.

https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Body, Endpoint, Path, Query, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT, Pdu, StrippedPdu
from weft.protocol.api.types import EventId, RoomId, UserId


class MakeKnockRequest(Struct):
    """`ver` are the room versions that the knocking server knows."""

    room_id: Path[RoomId] = field(name="roomId")
    user_id: Path[UserId] = field(name="userId")
    ver: Query[list[str]]


class MakeKnockResponse(Struct):
    """`event` is a template."""

    room_version: str
    event: Pdu


class SendKnockRequest(Struct):
    """`event` is the whole body."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    event: Body[Pdu]


class SendKnockResponse(Struct, omit_defaults=False):
    """What the room shows of itself to who knocks."""

    knock_room_state: list[StrippedPdu] = field(default_factory=list)


MAKE_KNOCK = Endpoint(
    operation_id="makeKnock",
    method="GET",
    paths=federation("/make_knock/{roomId}/{userId}"),
    request=MakeKnockRequest,
    response=MakeKnockResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

SEND_KNOCK = Endpoint(
    operation_id="sendKnock",
    method="PUT",
    paths=federation("/send_knock/{roomId}/{eventId}"),
    request=SendKnockRequest,
    response=SendKnockResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
)

ENDPOINTS = (MAKE_KNOCK, SEND_KNOCK)
