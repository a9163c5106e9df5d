"""Another server's directory of published rooms.

https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
"""

from __future__ import annotations

from weft.protocol.api.client.directory import PublicRoomsAsked, PublicRoomsResponse
from weft.protocol.api.endpoint import Api, Auth, Endpoint, Query, Struct, federation
from weft.protocol.api.types import Limit, StreamToken


class GetPublicRoomsRequest(Struct):
    limit: Query[Limit | None] = None
    since: Query[StreamToken | None] = None
    include_all_networks: Query[bool] = False
    third_party_instance_id: Query[str | None] = None


class QueryPublicRoomsRequest(PublicRoomsAsked):
    """As clients ask."""


GET_PUBLIC_ROOMS = Endpoint(
    operation_id="getPublicRooms",
    method="GET",
    paths=federation("/publicRooms"),
    request=GetPublicRoomsRequest,
    response=PublicRoomsResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=4 << 20,
)

QUERY_PUBLIC_ROOMS = Endpoint(
    operation_id="queryPublicRooms",
    method="POST",
    paths=federation("/publicRooms"),
    request=QueryPublicRoomsRequest,
    response=PublicRoomsResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=4 << 20,
)

ENDPOINTS = (GET_PUBLIC_ROOMS, QUERY_PUBLIC_ROOMS)
