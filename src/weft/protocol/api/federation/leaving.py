"""Leaving a room, or refusing an invitation to it, through a server that is in it.

The first form of `send_leave` answers with an array of the status and an empty object.

https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Body, Empty, Endpoint, Path, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT, NO_PDU, Pdu
from weft.protocol.api.types import EventId, RoomId, UserId


class MakeLeaveRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    user_id: Path[UserId] = field(name="userId")


class MakeLeaveResponse(Struct):
    """`event` is a template. Without `room_version` it is of version 1 or 2."""

    room_version: str | None = None
    event: Pdu = NO_PDU


class SendLeaveV2Request(Struct):
    """`event` is the whole body."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    event: Body[Pdu]


class SendLeaveV1Request(SendLeaveV2Request):
    """The same."""


MAKE_LEAVE = Endpoint(
    operation_id="makeLeave",
    method="GET",
    paths=federation("/make_leave/{roomId}/{userId}"),
    request=MakeLeaveRequest,
    response=MakeLeaveResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

SEND_LEAVE_V2 = Endpoint(
    operation_id="sendLeaveV2",
    method="PUT",
    paths=federation("/send_leave/{roomId}/{eventId}", v="v2"),
    request=SendLeaveV2Request,
    response=Empty,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
)

SEND_LEAVE_V1 = Endpoint(
    operation_id="sendLeaveV1",
    method="PUT",
    paths=federation("/send_leave/{roomId}/{eventId}"),
    request=SendLeaveV1Request,
    response=tuple[int, Empty],
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
    deprecated=True,
)

ENDPOINTS = (MAKE_LEAVE, SEND_LEAVE_V2, SEND_LEAVE_V1)
