"""Reading a room's past: pages, what surrounds an event, what relates to it, threads, and the event at a time.

https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Auth, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Direction, EventId, Limit, RoomId, StreamToken, Timestamp


class GetRoomEventsRequest(Struct, kw_only=True):
    """`filter` is a room event filter as JSON text. Without `from` paging begins at the end that `dir` comes from.

    The default of `dir` is what the servers before us did with clients that leave it out.
    """

    room_id: Path[RoomId] = field(name="roomId")
    dir: Query[Direction] = "f"
    from_: Query[StreamToken | None] = field(default=None, name="from")
    to: Query[StreamToken | None] = None
    limit: Query[Limit] = 10
    filter: Query[str | None] = None


class GetRoomEventsResponse(Struct):
    """Without `end` there is nothing further that the user may see."""

    start: str
    chunk: list[EventJson]
    end: str | None = None
    state: list[EventJson] = field(default_factory=list)


class GetEventContextRequest(Struct):
    """`filter` is a room event filter as JSON text. `limit` counts the events before and after together."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    limit: Query[Limit] = 10
    filter: Query[str | None] = None


class GetEventContextResponse(Struct):
    """`events_before` is in reverse order. `state` is that after the last event given."""

    start: str
    end: str
    event: EventJson
    events_before: list[EventJson]
    events_after: list[EventJson]
    state: list[EventJson]


class GetEventByTimestampRequest(Struct):
    """`ts` is milliseconds since 1970."""

    room_id: Path[RoomId] = field(name="roomId")
    ts: Query[Timestamp]
    dir: Query[Direction]


class GetEventByTimestampResponse(Struct):
    event_id: str
    origin_server_ts: int


class GetRelatingEventsRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    from_: Query[StreamToken | None] = field(default=None, name="from")
    to: Query[StreamToken | None] = None
    limit: Query[Limit | None] = None
    dir: Query[Direction] = "b"
    recurse: Query[bool | None] = None


class GetRelatingEventsWithRelTypeRequest(GetRelatingEventsRequest, kw_only=True):
    rel_type: Path[str] = field(name="relType")


class GetRelatingEventsWithRelTypeAndEventTypeRequest(GetRelatingEventsWithRelTypeRequest, kw_only=True):
    event_type: Path[str] = field(name="eventType")


class GetRelatingEventsResponse(Struct):
    """`recursion_depth` is there if the client asked to recurse."""

    chunk: list[EventJson]
    next_batch: str | None = None
    prev_batch: str | None = None
    recursion_depth: int | None = None


class GetThreadRootsRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    include: Query[Literal["all", "participated"]] = "all"
    limit: Query[Limit | None] = None
    from_: Query[StreamToken | None] = field(default=None, name="from")


class GetThreadRootsResponse(Struct):
    """Most recently active thread first."""

    chunk: list[EventJson]
    next_batch: str | None = None


GET_ROOM_EVENTS = Endpoint(
    operation_id="getRoomEvents",
    method="GET",
    paths=client("/rooms/{roomId}/messages"),
    request=GetRoomEventsRequest,
    response=GetRoomEventsResponse,
    auth=Auth.GUEST_SUSPENDED,
)

GET_EVENT_CONTEXT = Endpoint(
    operation_id="getEventContext",
    method="GET",
    paths=client("/rooms/{roomId}/context/{eventId}"),
    request=GetEventContextRequest,
    response=GetEventContextResponse,
    auth=Auth.GUEST_SUSPENDED,
)

GET_EVENT_BY_TIMESTAMP = Endpoint(
    operation_id="getEventByTimestamp",
    method="GET",
    paths=client(
        "/rooms/{roomId}/timestamp_to_event",
        v="v1",
        unstable=("unstable/org.matrix.msc3030/rooms/{roomId}/timestamp_to_event",),
    ),
    request=GetEventByTimestampRequest,
    response=GetEventByTimestampResponse,
    auth=Auth.SUSPENDED,
    rate_limit="history",
)

# Before v1.3 relations were read below /unstable, and many clients still do.
GET_RELATING_EVENTS = Endpoint(
    operation_id="getRelatingEvents",
    method="GET",
    paths=client(
        "/rooms/{roomId}/relations/{eventId}",
        v="v1",
        unstable=("unstable/rooms/{roomId}/relations/{eventId}",),
    ),
    request=GetRelatingEventsRequest,
    response=GetRelatingEventsResponse,
    auth=Auth.SUSPENDED,
)

GET_RELATING_EVENTS_WITH_REL_TYPE = Endpoint(
    operation_id="getRelatingEventsWithRelType",
    method="GET",
    paths=client(
        "/rooms/{roomId}/relations/{eventId}/{relType}",
        v="v1",
        unstable=("unstable/rooms/{roomId}/relations/{eventId}/{relType}",),
    ),
    request=GetRelatingEventsWithRelTypeRequest,
    response=GetRelatingEventsResponse,
    auth=Auth.SUSPENDED,
)

GET_RELATING_EVENTS_WITH_REL_TYPE_AND_EVENT_TYPE = Endpoint(
    operation_id="getRelatingEventsWithRelTypeAndEventType",
    method="GET",
    paths=client(
        "/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}",
        v="v1",
        unstable=("unstable/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}",),
    ),
    request=GetRelatingEventsWithRelTypeAndEventTypeRequest,
    response=GetRelatingEventsResponse,
    auth=Auth.SUSPENDED,
)

GET_THREAD_ROOTS = Endpoint(
    operation_id="getThreadRoots",
    method="GET",
    paths=client(
        "/rooms/{roomId}/threads",
        v="v1",
        unstable=("unstable/org.matrix.msc3856/rooms/{roomId}/threads",),
    ),
    request=GetThreadRootsRequest,
    response=GetThreadRootsResponse,
    auth=Auth.SUSPENDED,
    rate_limit="history",
)

ENDPOINTS = (
    GET_ROOM_EVENTS,
    GET_EVENT_CONTEXT,
    GET_EVENT_BY_TIMESTAMP,
    GET_RELATING_EVENTS,
    GET_RELATING_EVENTS_WITH_REL_TYPE,
    GET_RELATING_EVENTS_WITH_REL_TYPE_AND_EVENT_TYPE,
    GET_THREAD_ROOTS,
)
