"""What a client keeps with its account: account data, for all rooms or for one, and tags.

https://spec.matrix.org/v1.19/client-server-api/#client-config
https://spec.matrix.org/v1.19/client-server-api/#room-tagging
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import RoomId, UserId

#: The type of a piece of account data; the bound is ours.
DataType = Annotated[str, Meta(min_length=1, max_length=255)]
TagName = Annotated[str, Meta(max_length=255)]


class GetAccountDataRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    type: Path[DataType]


class SetAccountDataRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    type: Path[DataType]
    content: Body[dict[str, Any]]


class GetAccountDataPerRoomRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    room_id: Path[RoomId] = field(name="roomId")
    type: Path[DataType]


class SetAccountDataPerRoomRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    room_id: Path[RoomId] = field(name="roomId")
    type: Path[DataType]
    content: Body[dict[str, Any]]


class Tag(Struct):
    """`order` is from 0 to 1: where the room stands among others of the same tag."""

    order: float | None = None


class GetRoomTagsRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    room_id: Path[RoomId] = field(name="roomId")


class GetRoomTagsResponse(Struct):
    """By name; a tag may have keys besides `order`, and keeps them."""

    tags: dict[str, dict[str, Any]]


class SetRoomTagRequest(Struct):
    """`content` is a `Tag` and whatever else the client wants to keep in it."""

    user_id: Path[UserId] = field(name="userId")
    room_id: Path[RoomId] = field(name="roomId")
    tag: Path[TagName]
    content: Body[dict[str, Any]]


class DeleteRoomTagRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    room_id: Path[RoomId] = field(name="roomId")
    tag: Path[TagName]


GET_ACCOUNT_DATA = Endpoint(
    operation_id="getAccountData",
    method="GET",
    paths=client("/user/{userId}/account_data/{type}"),
    request=GetAccountDataRequest,
    response=msgspec.Raw,
    auth=Auth.SUSPENDED,
)

SET_ACCOUNT_DATA = Endpoint(
    operation_id="setAccountData",
    method="PUT",
    paths=client("/user/{userId}/account_data/{type}"),
    request=SetAccountDataRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ACCOUNT_DATA_PER_ROOM = Endpoint(
    operation_id="getAccountDataPerRoom",
    method="GET",
    paths=client("/user/{userId}/rooms/{roomId}/account_data/{type}"),
    request=GetAccountDataPerRoomRequest,
    response=msgspec.Raw,
    auth=Auth.SUSPENDED,
)

SET_ACCOUNT_DATA_PER_ROOM = Endpoint(
    operation_id="setAccountDataPerRoom",
    method="PUT",
    paths=client("/user/{userId}/rooms/{roomId}/account_data/{type}"),
    request=SetAccountDataPerRoomRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ROOM_TAGS = Endpoint(
    operation_id="getRoomTags",
    method="GET",
    paths=client("/user/{userId}/rooms/{roomId}/tags"),
    request=GetRoomTagsRequest,
    response=GetRoomTagsResponse,
    auth=Auth.SUSPENDED,
)

SET_ROOM_TAG = Endpoint(
    operation_id="setRoomTag",
    method="PUT",
    paths=client("/user/{userId}/rooms/{roomId}/tags/{tag}"),
    request=SetRoomTagRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DELETE_ROOM_TAG = Endpoint(
    operation_id="deleteRoomTag",
    method="DELETE",
    paths=client("/user/{userId}/rooms/{roomId}/tags/{tag}"),
    request=DeleteRoomTagRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

ENDPOINTS = (
    GET_ACCOUNT_DATA,
    SET_ACCOUNT_DATA,
    GET_ACCOUNT_DATA_PER_ROOM,
    SET_ACCOUNT_DATA_PER_ROOM,
    GET_ROOM_TAGS,
    SET_ROOM_TAG,
    DELETE_ROOM_TAG,
)
