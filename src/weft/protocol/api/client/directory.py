"""Room aliases, and the directory of published rooms.

https://spec.matrix.org/v1.19/client-server-api/#room-aliases
https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.types import Limit, RoomAlias, RoomId, RoomVisibility, ServerName, StreamToken


class GetRoomIdByAliasRequest(Struct):
    room_alias: Path[RoomAlias] = field(name="roomAlias")


class GetRoomIdByAliasResponse(Struct):
    """`servers` know the room."""

    room_id: str
    servers: list[str]


class SetRoomAliasRequest(Struct):
    room_alias: Path[RoomAlias] = field(name="roomAlias")
    room_id: RoomId


class DeleteRoomAliasRequest(Struct):
    room_alias: Path[RoomAlias] = field(name="roomAlias")


class GetLocalAliasesRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class GetLocalAliasesResponse(Struct):
    aliases: list[str]


class GetRoomVisibilityOnDirectoryRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class GetRoomVisibilityOnDirectoryResponse(Struct):
    visibility: RoomVisibility


class SetRoomVisibilityOnDirectoryRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    visibility: RoomVisibility = "public"


class PublicRoomsChunk(Struct):
    """What the directory shows of a room. `join_rule` is `public` where it is absent."""

    room_id: str
    num_joined_members: int
    world_readable: bool
    guest_can_join: bool
    canonical_alias: str | None = None
    name: str | None = None
    topic: str | None = None
    avatar_url: str | None = None
    join_rule: str | None = None
    room_type: str | None = None


class PublicRoomsResponse(Struct):
    chunk: list[PublicRoomsChunk]
    next_batch: str | None = None
    prev_batch: str | None = None
    total_room_count_estimate: int | None = None


class GetPublicRoomsRequest(Struct):
    """`server` is whose directory to show, if not ours."""

    limit: Query[Limit | None] = None
    since: Query[StreamToken | None] = None
    server: Query[ServerName | None] = None


class PublicRoomsFilter(Struct):
    """In `room_types`, null is a room without a type."""

    generic_search_term: Annotated[str, Meta(max_length=1024)] | None = None
    room_types: Annotated[list[str | None], Meta(max_length=100)] | None = None


class PublicRoomsAsked(Struct):
    """What is wanted of a directory, by whomever."""

    limit: Limit | None = None
    since: StreamToken | None = None
    filter: PublicRoomsFilter | None = None
    include_all_networks: bool = False
    third_party_instance_id: str | None = None


class QueryPublicRoomsRequest(PublicRoomsAsked):
    server: Query[ServerName | None] = None


GET_ROOM_ID_BY_ALIAS = Endpoint(
    operation_id="getRoomIdByAlias",
    method="GET",
    paths=client("/directory/room/{roomAlias}"),
    request=GetRoomIdByAliasRequest,
    response=GetRoomIdByAliasResponse,
    auth=Auth.NONE,
    rate_limit="directory",
)

SET_ROOM_ALIAS = Endpoint(
    operation_id="setRoomAlias",
    method="PUT",
    paths=client("/directory/room/{roomAlias}"),
    request=SetRoomAliasRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="directory",
)

DELETE_ROOM_ALIAS = Endpoint(
    operation_id="deleteRoomAlias",
    method="DELETE",
    paths=client("/directory/room/{roomAlias}"),
    request=DeleteRoomAliasRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="directory",
)

GET_LOCAL_ALIASES = Endpoint(
    operation_id="getLocalAliases",
    method="GET",
    paths=client("/rooms/{roomId}/aliases"),
    request=GetLocalAliasesRequest,
    response=GetLocalAliasesResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

GET_ROOM_VISIBILITY_ON_DIRECTORY = Endpoint(
    operation_id="getRoomVisibilityOnDirectory",
    method="GET",
    paths=client("/directory/list/room/{roomId}"),
    request=GetRoomVisibilityOnDirectoryRequest,
    response=GetRoomVisibilityOnDirectoryResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

SET_ROOM_VISIBILITY_ON_DIRECTORY = Endpoint(
    operation_id="setRoomVisibilityOnDirectory",
    method="PUT",
    paths=client("/directory/list/room/{roomId}"),
    request=SetRoomVisibilityOnDirectoryRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="directory",
)

GET_PUBLIC_ROOMS = Endpoint(
    operation_id="getPublicRooms",
    method="GET",
    paths=client("/publicRooms"),
    request=GetPublicRoomsRequest,
    response=PublicRoomsResponse,
    auth=Auth.NONE,
    rate_limit="directory",
)

QUERY_PUBLIC_ROOMS = Endpoint(
    operation_id="queryPublicRooms",
    method="POST",
    paths=client("/publicRooms"),
    request=QueryPublicRoomsRequest,
    response=PublicRoomsResponse,
    auth=Auth.SUSPENDED,
    rate_limit="directory",
)

ENDPOINTS = (
    GET_ROOM_ID_BY_ALIAS,
    SET_ROOM_ALIAS,
    DELETE_ROOM_ALIAS,
    GET_LOCAL_ALIASES,
    GET_ROOM_VISIBILITY_ON_DIRECTORY,
    SET_ROOM_VISIBILITY_ON_DIRECTORY,
    GET_PUBLIC_ROOMS,
    QUERY_PUBLIC_ROOMS,
)
