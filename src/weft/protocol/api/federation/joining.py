"""Joining a room through a server that is in it.

The first form of `send_join` answers with an array of the status and what the second one answers with.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Body, Endpoint, Path, Query, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT, MAX_STATE, NO_PDU, Pdu
from weft.protocol.api.types import EventId, RoomId, UserId


class MakeJoinRequest(Struct):
    """`ver` are the room versions that the joining server knows."""

    room_id: Path[RoomId] = field(name="roomId")
    user_id: Path[UserId] = field(name="userId")
    ver: Query[list[str]] = field(default_factory=lambda: ["1"])


class MakeJoinResponse(Struct):
    """`event` is a template. Without `room_version` it is of version 1 or 2."""

    room_version: str | None = None
    event: Pdu = NO_PDU


class SendJoinV2Request(Struct, kw_only=True):
    """`event` is the whole body."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    omit_members: Query[bool] = False
    event: Body[Pdu]


class SendJoinV2Response(Struct, omit_defaults=False):
    """The state before the join. `event` is the join as it was taken, with the authorising server's signature.

    `servers_in_room` is asked for where `members_omitted`.
    """

    members_omitted: bool = False
    auth_chain: list[Pdu] = field(default_factory=list)
    state: list[Pdu] = field(default_factory=list)
    event: Pdu = NO_PDU
    servers_in_room: list[str] = field(default_factory=list)


class SendJoinV1Request(Struct):
    """`event` is the whole body."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    event: Body[Pdu]


class SendJoinV1Room(Struct, omit_defaults=False):
    auth_chain: list[Pdu] = field(default_factory=list)
    state: list[Pdu] = field(default_factory=list)
    origin: str = ""


MAKE_JOIN = Endpoint(
    operation_id="makeJoin",
    method="GET",
    paths=federation("/make_join/{roomId}/{userId}"),
    request=MakeJoinRequest,
    response=MakeJoinResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

SEND_JOIN_V2 = Endpoint(
    operation_id="sendJoinV2",
    method="PUT",
    paths=federation("/send_join/{roomId}/{eventId}", v="v2"),
    request=SendJoinV2Request,
    response=SendJoinV2Response,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
    max_answer=MAX_STATE,
)

SEND_JOIN_V1 = Endpoint(
    operation_id="sendJoinV1",
    method="PUT",
    paths=federation("/send_join/{roomId}/{eventId}"),
    request=SendJoinV1Request,
    response=tuple[int, SendJoinV1Room],
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
    max_answer=MAX_STATE,
    deprecated=True,
)

ENDPOINTS = (MAKE_JOIN, SEND_JOIN_V2, SEND_JOIN_V1)
