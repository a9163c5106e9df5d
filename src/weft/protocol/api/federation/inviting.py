"""Inviting a user of another server.

The first form, for room versions 1 and 2, has the stripped state in the event's `unsigned` and answers with an array.

https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Body, Endpoint, Path, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT, Pdu, StrippedPdu
from weft.protocol.api.types import EventId, RoomId


class SendInviteV1Request(Struct):
    """`event` is the whole body."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    event: Body[Pdu]


class SendInviteV2Request(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    room_version: str
    event: Pdu
    invite_room_state: list[StrippedPdu] = field(default_factory=list)


class SendInviteV2Response(Struct):
    """The invite with the invited server's signature."""

    event: Pdu


SEND_INVITE_V1 = Endpoint(
    operation_id="sendInviteV1",
    method="PUT",
    paths=federation("/invite/{roomId}/{eventId}"),
    request=SendInviteV1Request,
    response=tuple[int, SendInviteV2Response],
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

SEND_INVITE_V2 = Endpoint(
    operation_id="sendInviteV2",
    method="PUT",
    paths=federation("/invite/{roomId}/{eventId}", v="v2"),
    request=SendInviteV2Request,
    response=SendInviteV2Response,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_ONE_EVENT,
)

ENDPOINTS = (SEND_INVITE_V1, SEND_INVITE_V2)
