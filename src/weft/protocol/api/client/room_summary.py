"""What a room shows of itself to somebody who may join it, and the rooms of a space.

https://spec.matrix.org/v1.19/client-server-api/#room-previews
https://spec.matrix.org/v1.19/client-server-api/#spaces
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.client.directory import PublicRoomsChunk
from weft.protocol.api.client.membership import Via
from weft.protocol.api.endpoint import Auth, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Limit, Membership, RoomId, RoomIdOrAlias, StreamToken


class RoomSummary(PublicRoomsChunk):
    """`allowed_room_ids` are the rooms whose members may join, where the join rule is a restricted one."""

    allowed_room_ids: list[str] | None = None
    encryption: str | None = None
    room_version: str | None = None


class GetRoomSummaryRequest(Struct):
    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")
    via: Query[Via] = field(default_factory=list)


class GetRoomSummaryResponse(RoomSummary):
    """`membership` is that of whoever asks. The last two are spellings from before v1.15."""

    membership: Membership | None = None
    unstable_encryption: str | None = field(default=None, name="im.nheko.summary.encryption")
    unstable_room_version: str | None = field(default=None, name="im.nheko.summary.room_version")


class GetSpaceHierarchyRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    suggested_only: Query[bool] = False
    limit: Query[Limit | None] = None
    max_depth: Query[Limit | None] = None
    from_: Query[StreamToken | None] = field(default=None, name="from")


class SpaceHierarchyRoomsChunk(RoomSummary, kw_only=True):
    """`children_state` has the room's `m.space.child` events, stripped, with their `origin_server_ts`."""

    children_state: list[EventJson]


class GetSpaceHierarchyResponse(Struct):
    rooms: list[SpaceHierarchyRoomsChunk]
    next_batch: str | None = None


GET_ROOM_SUMMARY = Endpoint(
    operation_id="getRoomSummary",
    method="GET",
    paths=client(
        "/room_summary/{roomIdOrAlias}",
        v="v1",
        unstable=(
            "unstable/im.nheko.summary/summary/{roomIdOrAlias}",
            "unstable/im.nheko.summary/rooms/{roomIdOrAlias}/summary",
        ),
    ),
    request=GetRoomSummaryRequest,
    response=GetRoomSummaryResponse,
    auth=Auth.OPTIONAL,
    rate_limit="directory",
)

GET_SPACE_HIERARCHY = Endpoint(
    operation_id="getSpaceHierarchy",
    method="GET",
    paths=client(
        "/rooms/{roomId}/hierarchy",
        v="v1",
        unstable=("unstable/org.matrix.msc2946/rooms/{roomId}/hierarchy",),
    ),
    request=GetSpaceHierarchyRequest,
    response=GetSpaceHierarchyResponse,
    auth=Auth.SUSPENDED,
    rate_limit="history",
)

ENDPOINTS = (GET_ROOM_SUMMARY, GET_SPACE_HIERARCHY)
