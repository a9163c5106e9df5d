"""Making rooms, replacing them, and the list of those that one is in.

https://spec.matrix.org/v1.19/client-server-api/#creation
https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from weft.protocol.api.client.third_party_ids import Address, IdAccessToken
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import Content
from weft.protocol.api.types import RoomId, RoomVisibility, ServerName, StreamToken, UserId


class StateEvent(Struct):
    """A state event to be."""

    type: str
    content: Content
    state_key: str = ""


class Invite3pid(Struct):
    """Somebody to invite by what an identity server knows about them."""

    id_server: ServerName
    id_access_token: IdAccessToken
    medium: str
    address: Address


class CreateRoomRequest(Struct):
    """`room_alias_name` is the localpart of an alias.

    The bounds on the lists are ours: each entry is an event, and all are sent before the answer.
    """

    visibility: RoomVisibility | None = None
    preset: Literal["private_chat", "public_chat", "trusted_private_chat"] | None = None
    room_version: Annotated[str, Meta(max_length=255)] | None = None
    room_alias_name: Annotated[str, Meta(max_length=255)] | None = None
    name: str | None = None
    topic: str | None = None
    invite: Annotated[list[UserId], Meta(max_length=1000)] | None = None
    invite_3pid: Annotated[list[Invite3pid], Meta(max_length=1000)] | None = None
    initial_state: Annotated[list[StateEvent], Meta(max_length=10_000)] | None = None
    creation_content: Content | None = None
    power_level_content_override: Content | None = None
    is_direct: bool | None = None


class CreateRoomResponse(Struct):
    """`room_alias` is what older clients look for."""

    room_id: str
    room_alias: str | None = None


class UpgradeRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    new_version: Annotated[str, Meta(max_length=255)]
    additional_creators: Annotated[list[UserId], Meta(max_length=1000)] | None = None


class UpgradeRoomResponse(Struct):
    replacement_room: str


class GetJoinedRoomsResponse(Struct):
    joined_rooms: list[str]


class GetMutualRoomsRequest(Struct):
    """`batch_token` is `from` in the unstable version."""

    user_id: Query[UserId]
    from_: Query[StreamToken | None] = field(default=None, name="from")
    batch_token: Query[StreamToken | None] = None


class GetMutualRoomsResponse(Struct):
    """`next_batch_token` is `next_batch` in the unstable version."""

    joined: list[str]
    count: int
    next_batch: str | None = None
    next_batch_token: str | None = None


CREATE_ROOM = Endpoint(
    operation_id="createRoom",
    method="POST",
    paths=client("/createRoom"),
    request=CreateRoomRequest,
    response=CreateRoomResponse,
    auth=Auth.TOKEN,
    rate_limit="room_creation",
)

UPGRADE_ROOM = Endpoint(
    operation_id="upgradeRoom",
    method="POST",
    paths=client("/rooms/{roomId}/upgrade"),
    request=UpgradeRoomRequest,
    response=UpgradeRoomResponse,
    auth=Auth.TOKEN,
    rate_limit="room_creation",
)

GET_JOINED_ROOMS = Endpoint(
    operation_id="getJoinedRooms",
    method="GET",
    paths=client("/joined_rooms"),
    request=Empty,
    response=GetJoinedRoomsResponse,
    auth=Auth.SUSPENDED,
)

GET_MUTUAL_ROOMS = Endpoint(
    operation_id="getMutualRooms",
    method="GET",
    paths=client("/mutual_rooms", v="v1", unstable=("unstable/uk.half-shot.msc2666/user/mutual_rooms",)),
    request=GetMutualRoomsRequest,
    response=GetMutualRoomsResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

ENDPOINTS = (CREATE_ROOM, UPGRADE_ROOM, GET_JOINED_ROOMS, GET_MUTUAL_ROOMS)
