"""Asking whether a service has a user or an alias, which it then makes.

https://spec.matrix.org/v1.19/application-service-api/#querying
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Path, Struct, application_service
from weft.protocol.api.types import RoomAlias, UserId


class QueryUserByIdRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class QueryRoomByAliasRequest(Struct):
    room_alias: Path[RoomAlias] = field(name="roomAlias")


QUERY_USER_BY_ID = Endpoint(
    operation_id="queryUserById",
    method="GET",
    paths=application_service("/users/{userId}", before="/users/{userId}"),
    request=QueryUserByIdRequest,
    response=Empty,
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

QUERY_ROOM_BY_ALIAS = Endpoint(
    operation_id="queryRoomByAlias",
    method="GET",
    paths=application_service("/rooms/{roomAlias}", before="/rooms/{roomAlias}"),
    request=QueryRoomByAliasRequest,
    response=Empty,
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

ENDPOINTS = (QUERY_USER_BY_ID, QUERY_ROOM_BY_ALIAS)
