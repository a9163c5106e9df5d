"""Sending to a room, and reading its present state.

https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
https://spec.matrix.org/v1.19/client-server-api/#redactions
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Body, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import EventId, Membership, Milliseconds, Reason, RoomId, StreamToken, TransactionId
from weft.protocol.stickiness import LONGEST_MS

StickyMilliseconds = Annotated[int, Meta(ge=0, le=LONGEST_MS)]


class EventIdResponse(Struct):
    event_id: str


class SendMessageRequest(Struct, kw_only=True):
    """`ts` is for application services: when the event is said to have happened, in milliseconds since 1970.

    `delay` has it sent later, after as many milliseconds (MSC4140); `sticky_ms` has it sticky for as many (MSC4354).
    """

    room_id: Path[RoomId] = field(name="roomId")
    event_type: Path[str] = field(name="eventType")
    txn_id: Path[TransactionId] = field(name="txnId")
    ts: Query[int | None] = None
    delay: Query[Milliseconds | None] = field(default=None, name="org.matrix.msc4140.delay")
    sticky_ms: Query[StickyMilliseconds | None] = field(default=None, name="org.matrix.msc4354.sticky_duration_ms")
    content: Body[dict[str, Any]]


class SetRoomStateWithKeyRequest(Struct, kw_only=True):
    """A path without the last part means the empty state key, as an empty last part does.

    `delay` has it sent later, after as many milliseconds (MSC4140); `sticky_ms` has it sticky for as many (MSC4354).
    """

    room_id: Path[RoomId] = field(name="roomId")
    event_type: Path[str] = field(name="eventType")
    state_key: Path[str] = field(default="", name="stateKey")
    ts: Query[int | None] = None
    delay: Query[Milliseconds | None] = field(default=None, name="org.matrix.msc4140.delay")
    sticky_ms: Query[StickyMilliseconds | None] = field(default=None, name="org.matrix.msc4354.sticky_duration_ms")
    content: Body[dict[str, Any]]


class RedactEventRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    txn_id: Path[TransactionId] = field(name="txnId")
    ts: Query[int | None] = None
    reason: Reason | None = None


class GetOneRoomEventRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")


class GetRoomStateRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class GetRoomStateWithKeyRequest(Struct):
    """A path without the last part means the empty state key. `format` decides on the content alone or the event."""

    room_id: Path[RoomId] = field(name="roomId")
    event_type: Path[str] = field(name="eventType")
    state_key: Path[str] = field(default="", name="stateKey")
    format: Query[Literal["content", "event"]] = "content"


class GetMembersByRoomRequest(Struct):
    """`at` is a place in the history, as `prev_batch` of `/sync` gives it; without it: now."""

    room_id: Path[RoomId] = field(name="roomId")
    at: Query[StreamToken | None] = None
    membership: Query[Membership | None] = None
    not_membership: Query[Membership | None] = None


class GetMembersByRoomResponse(Struct):
    chunk: list[EventJson]


class GetJoinedMembersByRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class RoomMember(Struct):
    display_name: str | None = None
    avatar_url: str | None = None


class GetJoinedMembersByRoomResponse(Struct):
    """By user id."""

    joined: dict[str, RoomMember]


STATE_PATHS = (
    *client("/rooms/{roomId}/state/{eventType}/{stateKey}"),
    *client("/rooms/{roomId}/state/{eventType}"),
)

SEND_MESSAGE = Endpoint(
    operation_id="sendMessage",
    method="PUT",
    paths=client("/rooms/{roomId}/send/{eventType}/{txnId}"),
    request=SendMessageRequest,
    response=EventIdResponse,
    auth=Auth.GUEST,
    rate_limit="message",
)

SET_ROOM_STATE_WITH_KEY = Endpoint(
    operation_id="setRoomStateWithKey",
    method="PUT",
    paths=STATE_PATHS,
    request=SetRoomStateWithKeyRequest,
    response=EventIdResponse,
    auth=Auth.GUEST,
    rate_limit="message",
)

# A suspended user may redact what they sent themselves; the room's code checks that.
REDACT_EVENT = Endpoint(
    operation_id="redactEvent",
    method="PUT",
    paths=client("/rooms/{roomId}/redact/{eventId}/{txnId}"),
    request=RedactEventRequest,
    response=EventIdResponse,
    auth=Auth.SUSPENDED,
    rate_limit="message",
)

GET_ONE_ROOM_EVENT = Endpoint(
    operation_id="getOneRoomEvent",
    method="GET",
    paths=client("/rooms/{roomId}/event/{eventId}"),
    request=GetOneRoomEventRequest,
    response=EventJson,
    auth=Auth.GUEST_SUSPENDED,
)

GET_ROOM_STATE: Endpoint[GetRoomStateRequest, list[msgspec.Raw]] = Endpoint(
    operation_id="getRoomState",
    method="GET",
    paths=client("/rooms/{roomId}/state"),
    request=GetRoomStateRequest,
    response=list[msgspec.Raw],
    auth=Auth.GUEST_SUSPENDED,
)

GET_ROOM_STATE_WITH_KEY = Endpoint(
    operation_id="getRoomStateWithKey",
    method="GET",
    paths=STATE_PATHS,
    request=GetRoomStateWithKeyRequest,
    response=msgspec.Raw,
    auth=Auth.GUEST_SUSPENDED,
)

GET_MEMBERS_BY_ROOM = Endpoint(
    operation_id="getMembersByRoom",
    method="GET",
    paths=client("/rooms/{roomId}/members"),
    request=GetMembersByRoomRequest,
    response=GetMembersByRoomResponse,
    auth=Auth.GUEST_SUSPENDED,
)

GET_JOINED_MEMBERS_BY_ROOM = Endpoint(
    operation_id="getJoinedMembersByRoom",
    method="GET",
    paths=client("/rooms/{roomId}/joined_members"),
    request=GetJoinedMembersByRoomRequest,
    response=GetJoinedMembersByRoomResponse,
    auth=Auth.SUSPENDED,
)

ENDPOINTS = (
    SEND_MESSAGE,
    SET_ROOM_STATE_WITH_KEY,
    REDACT_EVENT,
    GET_ONE_ROOM_EVENT,
    GET_ROOM_STATE,
    GET_ROOM_STATE_WITH_KEY,
    GET_MEMBERS_BY_ROOM,
    GET_JOINED_MEMBERS_BY_ROOM,
)
