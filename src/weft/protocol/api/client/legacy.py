"""What `/sync` replaced: `/events` and `/initialSync`, which previews of world-readable rooms still use.

https://spec.matrix.org/v1.19/client-server-api/#room-previews
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Auth, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import EventId, Limit, Milliseconds, RoomId, RoomVisibility, StreamToken

#: These endpoints are older than knocking: a room that was knocked on is not in their answers.
PastMembership = Literal["invite", "join", "leave", "ban"]


class GetEventsRequest(Struct):
    """With `room_id` the stream is that of one room, which the user need not be in (the operation `peekEvents`)."""

    from_: Query[StreamToken | None] = field(default=None, name="from")
    timeout: Query[Milliseconds] = 0
    room_id: Query[RoomId | None] = None


class PaginationChunk(Struct):
    start: str
    end: str
    chunk: list[EventJson]


class InitialSyncRequest(Struct):
    """`limit` is how many messages of each room to give, `archived` whether rooms that were left count."""

    limit: Query[Limit] = 10
    archived: Query[bool] = False


class RoomInfo(Struct):
    """A room at a glance. `membership` is absent if the user never was in it."""

    room_id: str
    membership: PastMembership | None = None
    messages: PaginationChunk | None = None
    state: list[EventJson] | None = None
    visibility: RoomVisibility | None = None
    account_data: list[EventJson] | None = None
    presence: list[EventJson] | None = None
    receipts: list[EventJson] | None = None


class InitialSyncRoom(Struct):
    """A room of the user's; `invite` is there if that is their membership."""

    room_id: str
    membership: PastMembership
    invite: EventJson | None = None
    messages: PaginationChunk | None = None
    state: list[EventJson] | None = None
    visibility: RoomVisibility | None = None
    account_data: list[EventJson] | None = None


class InitialSyncResponse(Struct):
    end: str
    presence: list[EventJson]
    rooms: list[InitialSyncRoom]
    account_data: list[EventJson]
    receipts: list[EventJson] | None = None


class GetOneEventRequest(Struct):
    event_id: Path[EventId] = field(name="eventId")


class RoomInitialSyncRequest(Struct):
    """`limit` is how many messages to give."""

    room_id: Path[RoomId] = field(name="roomId")
    limit: Query[Limit] = 10


GET_EVENTS = Endpoint(
    operation_id="getEvents",
    method="GET",
    paths=client("/events"),
    request=GetEventsRequest,
    response=PaginationChunk,
    auth=Auth.GUEST_SUSPENDED,
    long_poll=True,
    deprecated=True,
)

INITIAL_SYNC = Endpoint(
    operation_id="initialSync",
    method="GET",
    paths=client("/initialSync"),
    request=InitialSyncRequest,
    response=InitialSyncResponse,
    auth=Auth.SUSPENDED,
    deprecated=True,
)

GET_ONE_EVENT = Endpoint(
    operation_id="getOneEvent",
    method="GET",
    paths=client("/events/{eventId}"),
    request=GetOneEventRequest,
    response=EventJson,
    auth=Auth.SUSPENDED,
    deprecated=True,
)

ROOM_INITIAL_SYNC = Endpoint(
    operation_id="roomInitialSync",
    method="GET",
    paths=client("/rooms/{roomId}/initialSync"),
    request=RoomInitialSyncRequest,
    response=RoomInfo,
    auth=Auth.GUEST_SUSPENDED,
)

ENDPOINTS = (GET_EVENTS, INITIAL_SYNC, GET_ONE_EVENT, ROOM_INITIAL_SYNC)
