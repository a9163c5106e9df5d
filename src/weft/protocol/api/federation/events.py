"""Single events, and the state of a room at one.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
https://spec.matrix.org/v1.19/server-server-api/#retrieving-event-authorisation-information
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT, MAX_STATE, Pdu, Transaction
from weft.protocol.api.types import Direction, EventId, RoomId, Timestamp


class GetEventRequest(Struct):
    event_id: Path[EventId] = field(name="eventId")


class GetEventAuthRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")


class GetEventAuthResponse(Struct, omit_defaults=False):
    auth_chain: list[Pdu] = field(default_factory=list)


class GetRoomStateRequest(Struct):
    """The state before `event_id`."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Query[EventId]


class GetRoomStateResponse(Struct, omit_defaults=False):
    """`pdus` is the state, `auth_chain` all that authorises it."""

    auth_chain: list[Pdu] = field(default_factory=list)
    pdus: list[Pdu] = field(default_factory=list)


class GetRoomStateIdsRequest(Struct):
    """The state before `event_id`."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Query[EventId]


class GetRoomStateIdsResponse(Struct, omit_defaults=False):
    auth_chain_ids: list[str] = field(default_factory=list)
    pdu_ids: list[str] = field(default_factory=list)


class GetEventByTimestampRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    ts: Query[Timestamp]
    dir: Query[Direction]


class GetEventByTimestampResponse(Struct):
    event_id: str
    origin_server_ts: int


GET_EVENT = Endpoint(
    operation_id="getEvent",
    method="GET",
    paths=federation("/event/{eventId}"),
    request=GetEventRequest,
    response=Transaction,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_ONE_EVENT,
)

GET_EVENT_AUTH = Endpoint(
    operation_id="getEventAuth",
    method="GET",
    paths=federation("/event_auth/{roomId}/{eventId}"),
    request=GetEventAuthRequest,
    response=GetEventAuthResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_STATE,
)

GET_ROOM_STATE = Endpoint(
    operation_id="getRoomState",
    method="GET",
    paths=federation("/state/{roomId}"),
    request=GetRoomStateRequest,
    response=GetRoomStateResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_STATE,
)

GET_ROOM_STATE_IDS = Endpoint(
    operation_id="getRoomStateIds",
    method="GET",
    paths=federation("/state_ids/{roomId}"),
    request=GetRoomStateIdsRequest,
    response=GetRoomStateIdsResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_STATE,
)

GET_EVENT_BY_TIMESTAMP = Endpoint(
    operation_id="getEventByTimestamp",
    method="GET",
    paths=federation("/timestamp_to_event/{roomId}"),
    request=GetEventByTimestampRequest,
    response=GetEventByTimestampResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

ENDPOINTS = (GET_EVENT, GET_EVENT_AUTH, GET_ROOM_STATE, GET_ROOM_STATE_IDS, GET_EVENT_BY_TIMESTAMP)
