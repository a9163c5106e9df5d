"""Rooms, as administrators look through them. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from weft.protocol.api.client import history
from weft.protocol.api.client.membership import RoomIdResponse
from weft.protocol.api.endpoint import Empty, Path, Query, Raw, Struct
from weft.protocol.api.events import EventJson
from weft.protocol.api.synapse_admin.declaring import Number, PageLimit, SearchTerm, admin
from weft.protocol.api.types import Direction, EventId, RoomId, RoomIdOrAlias, Timestamp, UserId

RoomOrder = Literal[
    "alphabetical",
    "size",
    "name",
    "canonical_alias",
    "joined_members",
    "joined_local_members",
    "version",
    "creator",
    "encryption",
    "federatable",
    "public",
    "join_rules",
    "guest_access",
    "history_visibility",
    "state_events",
]


class ListRoomsRequest(Struct, kw_only=True):
    """`from_` is the `next_batch` of the page before. The search is in names, aliases' localparts and room ids."""

    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    order_by: Query[RoomOrder] = "name"
    dir: Query[Literal["f", "b"]] = "f"
    search_term: Query[SearchTerm | None] = None
    public_rooms: Query[bool | None] = None
    empty_rooms: Query[bool | None] = None


class ListedRoom(Struct, omit_defaults=False):
    room_id: str
    name: str | None
    canonical_alias: str | None
    joined_members: int
    joined_local_members: int
    version: str
    creator: str | None
    encryption: str | None
    federatable: bool
    public: bool
    join_rules: str | None
    guest_access: str | None
    history_visibility: str | None
    state_events: int
    room_type: str | None


class ListRoomsResponse(Struct):
    """`next_batch` is absent on the last page, `prev_batch` on the first."""

    rooms: list[ListedRoom]
    offset: int
    total_rooms: int
    next_batch: int | None = None
    prev_batch: int | None = None


class AdministeredRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class RoomDetails(ListedRoom, omit_defaults=False):
    """`forgotten`: whether all local users have forgotten it."""

    avatar: str | None
    topic: str | None
    joined_local_devices: int
    forgotten: bool
    tombstoned: bool
    replacement_room: str | None


class RoomMembersResponse(Struct):
    members: list[str]
    total: int


class RoomStateRequest(Struct):
    """`type`: only state of this type."""

    room_id: Path[RoomId] = field(name="roomId")
    type: Query[Annotated[str, Meta(max_length=255)] | None] = None


class RoomStateResponse(Struct):
    state: list[EventJson]


class RoomEventAtTimeRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    ts: Query[Timestamp]
    dir: Query[Direction] = "f"


class FetchEventRequest(Struct):
    event_id: Path[EventId] = field(name="eventId")


class FetchEventResponse(Struct):
    """The event as it travels between servers, with its id."""

    event: dict[str, Any]


class SetRoomBlockRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    block: bool


class RoomBlock(Struct, omit_defaults=True):
    """`user_id`: who blocked it."""

    block: bool
    user_id: str | None = None


class RoomByNameRequest(Struct):
    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")


class ForwardExtremity(Struct, omit_defaults=False):
    """An event that nothing builds on yet. `state_group` names the state after it. When it came is not kept."""

    event_id: str
    state_group: int | None
    depth: int
    received_ts: int | None


class ForwardExtremitiesResponse(Struct):
    count: int
    results: list[ForwardExtremity]


class JoinUserRequest(Struct):
    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")
    user_id: UserId


class MakeRoomAdminRequest(Struct):
    """Without `user_id` it is whoever asks."""

    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")
    user_id: UserId | None = None


_ONE = "v1/rooms/{roomId}"
_BY_NAME = "v1/rooms/{roomIdOrAlias}"

LIST_ROOMS = admin("listRooms", "GET", "v1/rooms", request=ListRoomsRequest, response=ListRoomsResponse)
ROOM_DETAILS = admin("roomDetails", "GET", _ONE, request=AdministeredRoomRequest, response=RoomDetails)
ROOM_MEMBERS = admin(
    "roomMembers", "GET", f"{_ONE}/members", request=AdministeredRoomRequest, response=RoomMembersResponse
)
ROOM_STATE = admin("roomState", "GET", f"{_ONE}/state", request=RoomStateRequest, response=RoomStateResponse)
ROOM_MESSAGES = admin("roomMessages", "GET", f"{_ONE}/messages", request=history.GetRoomEventsRequest, response=Raw)
ROOM_CONTEXT = admin(
    "roomContext", "GET", f"{_ONE}/context/{{eventId}}", request=history.GetEventContextRequest, response=Raw
)
ROOM_EVENT_AT_TIME = admin(
    "roomEventAtTime",
    "GET",
    f"{_ONE}/timestamp_to_event",
    request=RoomEventAtTimeRequest,
    response=history.GetEventByTimestampResponse,
)
FETCH_EVENT = admin(
    "fetchEvent", "GET", "v1/fetch_event/{eventId}", request=FetchEventRequest, response=FetchEventResponse
)
GET_ROOM_BLOCK = admin("getRoomBlock", "GET", f"{_ONE}/block", request=AdministeredRoomRequest, response=RoomBlock)
SET_ROOM_BLOCK = admin("setRoomBlock", "PUT", f"{_ONE}/block", request=SetRoomBlockRequest, response=RoomBlock)
FORWARD_EXTREMITIES = admin(
    "forwardExtremities",
    "GET",
    f"{_BY_NAME}/forward_extremities",
    request=RoomByNameRequest,
    response=ForwardExtremitiesResponse,
)
JOIN_USER = admin("joinUser", "POST", "v1/join/{roomIdOrAlias}", request=JoinUserRequest, response=RoomIdResponse)
MAKE_ROOM_ADMIN = admin(
    "makeRoomAdmin", "POST", f"{_BY_NAME}/make_room_admin", request=MakeRoomAdminRequest, response=Empty
)

ENDPOINTS = (
    LIST_ROOMS,
    ROOM_DETAILS,
    ROOM_MEMBERS,
    ROOM_STATE,
    ROOM_MESSAGES,
    ROOM_CONTEXT,
    ROOM_EVENT_AT_TIME,
    FETCH_EVENT,
    GET_ROOM_BLOCK,
    SET_ROOM_BLOCK,
    FORWARD_EXTREMITIES,
    JOIN_USER,
    MAKE_ROOM_ADMIN,
)
