"""Backups of room keys on the server, encrypted by clients.

https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.types import RoomId
from weft.protocol.canonical_json import MAX_INTEGER

#: Bytes of a request with many keys.
MAX_REQUEST = 16 << 20

Version = Annotated[str, Meta(max_length=64)]
SessionId = Annotated[str, Meta(min_length=1, max_length=512)]
Algorithm = Annotated[str, Meta(max_length=255)]
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class KeyBackupData(Struct, omit_defaults=False):
    """A key. `session_data` is up to the backup's algorithm."""

    first_message_index: Count
    forwarded_count: Count
    is_verified: bool
    session_data: dict[str, Any]


class RoomKeyBackup(Struct):
    """The keys of a room, by session id."""

    sessions: dict[SessionId, KeyBackupData]


class PostRoomKeysVersionRequest(Struct):
    algorithm: Algorithm
    auth_data: dict[str, Any]


class PostRoomKeysVersionResponse(Struct):
    version: str


class GetRoomKeysVersionRequest(Struct):
    version: Path[Version]


class GetRoomKeysVersionResponse(Struct):
    """`count` is the number of keys; `etag` changes whenever any of them does."""

    algorithm: str
    auth_data: msgspec.Raw
    count: int
    etag: str
    version: str


class PutRoomKeysVersionRequest(Struct):
    """The body may have a `version`, too, which has to be the path's: whoever handles the request looks."""

    version: Path[Version]
    algorithm: Algorithm
    auth_data: dict[str, Any]


class RoomKeysRequest(Struct):
    version: Query[Version]


class RoomKeysByRoomIdRequest(Struct):
    version: Query[Version]
    room_id: Path[RoomId] = field(name="roomId")


class RoomKeyBySessionIdRequest(Struct):
    version: Query[Version]
    room_id: Path[RoomId] = field(name="roomId")
    session_id: Path[SessionId] = field(name="sessionId")


class PutRoomKeysRequest(Struct):
    version: Query[Version]
    rooms: dict[RoomId, RoomKeyBackup]


class PutRoomKeysByRoomIdRequest(Struct):
    version: Query[Version]
    room_id: Path[RoomId] = field(name="roomId")
    sessions: dict[SessionId, KeyBackupData]


class PutRoomKeyBySessionIdRequest(Struct):
    version: Query[Version]
    room_id: Path[RoomId] = field(name="roomId")
    session_id: Path[SessionId] = field(name="sessionId")
    first_message_index: Count
    forwarded_count: Count
    is_verified: bool
    session_data: dict[str, Any]


class RoomKeysUpdateResponse(Struct, omit_defaults=False):
    """What the backup holds now."""

    count: int
    etag: str


class StoredKey(Struct, omit_defaults=False):
    """A key as it is kept."""

    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: msgspec.Raw


class StoredRoom(Struct, omit_defaults=False):
    sessions: dict[str, StoredKey]


class GetRoomKeysResponse(Struct, omit_defaults=False):
    rooms: dict[str, StoredRoom]


def _paths(path: str) -> tuple[str, ...]:
    return client(f"/room_keys{path}", unstable=(f"unstable/room_keys{path}",))


POST_ROOM_KEYS_VERSION = Endpoint(
    operation_id="postRoomKeysVersion",
    method="POST",
    paths=_paths("/version"),
    request=PostRoomKeysVersionRequest,
    response=PostRoomKeysVersionResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ROOM_KEYS_VERSION_CURRENT = Endpoint(
    operation_id="getRoomKeysVersionCurrent",
    method="GET",
    paths=_paths("/version"),
    request=Empty,
    response=GetRoomKeysVersionResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

GET_ROOM_KEYS_VERSION = Endpoint(
    operation_id="getRoomKeysVersion",
    method="GET",
    paths=_paths("/version/{version}"),
    request=GetRoomKeysVersionRequest,
    response=GetRoomKeysVersionResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

PUT_ROOM_KEYS_VERSION = Endpoint(
    operation_id="putRoomKeysVersion",
    method="PUT",
    paths=_paths("/version/{version}"),
    request=PutRoomKeysVersionRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DELETE_ROOM_KEYS_VERSION = Endpoint(
    operation_id="deleteRoomKeysVersion",
    method="DELETE",
    paths=_paths("/version/{version}"),
    request=GetRoomKeysVersionRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ROOM_KEYS = Endpoint(
    operation_id="getRoomKeys",
    method="GET",
    paths=_paths("/keys"),
    request=RoomKeysRequest,
    response=GetRoomKeysResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

PUT_ROOM_KEYS = Endpoint(
    operation_id="putRoomKeys",
    method="PUT",
    paths=_paths("/keys"),
    request=PutRoomKeysRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
    max_body=MAX_REQUEST,
)

DELETE_ROOM_KEYS = Endpoint(
    operation_id="deleteRoomKeys",
    method="DELETE",
    paths=_paths("/keys"),
    request=RoomKeysRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ROOM_KEYS_BY_ROOM_ID = Endpoint(
    operation_id="getRoomKeysByRoomId",
    method="GET",
    paths=_paths("/keys/{roomId}"),
    request=RoomKeysByRoomIdRequest,
    response=StoredRoom,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

PUT_ROOM_KEYS_BY_ROOM_ID = Endpoint(
    operation_id="putRoomKeysByRoomId",
    method="PUT",
    paths=_paths("/keys/{roomId}"),
    request=PutRoomKeysByRoomIdRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
    max_body=MAX_REQUEST,
)

DELETE_ROOM_KEYS_BY_ROOM_ID = Endpoint(
    operation_id="deleteRoomKeysByRoomId",
    method="DELETE",
    paths=_paths("/keys/{roomId}"),
    request=RoomKeysByRoomIdRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_ROOM_KEY_BY_SESSION_ID = Endpoint(
    operation_id="getRoomKeyBySessionId",
    method="GET",
    paths=_paths("/keys/{roomId}/{sessionId}"),
    request=RoomKeyBySessionIdRequest,
    response=StoredKey,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

PUT_ROOM_KEY_BY_SESSION_ID = Endpoint(
    operation_id="putRoomKeyBySessionId",
    method="PUT",
    paths=_paths("/keys/{roomId}/{sessionId}"),
    request=PutRoomKeyBySessionIdRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DELETE_ROOM_KEY_BY_SESSION_ID = Endpoint(
    operation_id="deleteRoomKeyBySessionId",
    method="DELETE",
    paths=_paths("/keys/{roomId}/{sessionId}"),
    request=RoomKeyBySessionIdRequest,
    response=RoomKeysUpdateResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

ENDPOINTS = (
    POST_ROOM_KEYS_VERSION,
    GET_ROOM_KEYS_VERSION_CURRENT,
    GET_ROOM_KEYS_VERSION,
    PUT_ROOM_KEYS_VERSION,
    DELETE_ROOM_KEYS_VERSION,
    GET_ROOM_KEYS,
    PUT_ROOM_KEYS,
    DELETE_ROOM_KEYS,
    GET_ROOM_KEYS_BY_ROOM_ID,
    PUT_ROOM_KEYS_BY_ROOM_ID,
    DELETE_ROOM_KEYS_BY_ROOM_ID,
    GET_ROOM_KEY_BY_SESSION_ID,
    PUT_ROOM_KEY_BY_SESSION_ID,
    DELETE_ROOM_KEY_BY_SESSION_ID,
)
