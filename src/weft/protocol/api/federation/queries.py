"""Asking a server about its own aliases and users.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Query, Struct, federation
from weft.protocol.api.types import RoomAlias, UserId


class QueryRoomDirectoryRequest(Struct):
    room_alias: Query[RoomAlias]


class QueryRoomDirectoryResponse(Struct):
    """`servers` know the room."""

    room_id: str
    servers: list[str]


class QueryProfileRequest(Struct):
    """`field` is the one that is asked for; all of them without it."""

    user_id: Query[UserId]
    field: Query[str | None] = None


QUERY_ROOM_DIRECTORY = Endpoint(
    operation_id="queryRoomDirectory",
    method="GET",
    paths=federation("/query/directory"),
    request=QueryRoomDirectoryRequest,
    response=QueryRoomDirectoryResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

QUERY_PROFILE = Endpoint(
    operation_id="queryProfile",
    method="GET",
    paths=federation("/query/profile"),
    request=QueryProfileRequest,
    response=dict[str, Any],
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
)

ENDPOINTS = (QUERY_ROOM_DIRECTORY, QUERY_PROFILE)
