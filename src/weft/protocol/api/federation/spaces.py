"""One room of a space, and what it shows of those below it.

https://spec.matrix.org/v1.19/server-server-api/#spaces
"""

from __future__ import annotations

import msgspec
from msgspec import field

from weft.protocol.api.client.room_summary import RoomSummary
from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Struct, federation
from weft.protocol.api.types import RoomId


class GetSpaceHierarchyRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    suggested_only: Query[bool] = False


class SpaceHierarchyParentRoom(RoomSummary, kw_only=True):
    """`children_state` has the room's `m.space.child` events, stripped, with their `origin_server_ts`."""

    children_state: list[msgspec.Raw]


class GetSpaceHierarchyResponse(Struct, omit_defaults=False):
    """`inaccessible_children` can't be seen by the server that asks; of what is in neither list, nothing is known."""

    room: SpaceHierarchyParentRoom
    children: list[RoomSummary] = field(default_factory=list)
    inaccessible_children: list[str] = field(default_factory=list)


GET_SPACE_HIERARCHY = Endpoint(
    operation_id="getSpaceHierarchy",
    method="GET",
    paths=federation("/hierarchy/{roomId}"),
    request=GetSpaceHierarchyRequest,
    response=GetSpaceHierarchyResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=4 << 20,
)

ENDPOINTS = (GET_SPACE_HIERARCHY,)
