"""What administrators do with media.

Times are milliseconds since 1970, sizes bytes.
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.client.media import MediaId
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct
from weft.protocol.api.synapse_admin.declaring import Number
from weft.protocol.api.types import Limit, RoomId, ServerName, UserId


class MediaRequest(Struct):
    server_name: Path[ServerName] = field(name="serverName")
    media_id: Path[MediaId] = field(name="mediaId")


class OwnMediaRequest(Struct):
    """Media of one of this server's domains."""

    media_id: Path[MediaId] = field(name="mediaId")


class RoomMediaRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class UserMediaRequest(Struct, kw_only=True):
    """`from_` is the `next_token` of the page before. Without order and direction the newest comes first."""

    user_id: Path[UserId] = field(name="userId")
    from_: Query[Number] = field(default=0, name="from")
    limit: Query[Limit] = 100
    order_by: Query[
        Literal[
            "media_id",
            "upload_name",
            "created_ts",
            "last_access_ts",
            "media_length",
            "media_type",
            "quarantined_by",
            "safe_from_quarantine",
        ]
        | None
    ] = None
    dir: Query[Literal["f", "b"] | None] = None


class QuarantineUserMediaRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class DeleteMediaByDateRequest(Struct, kw_only=True):
    """What was last looked at before `before_ts`, is larger than `size_gt`, and (`keep_profiles`) nobody's picture."""

    before_ts: Query[Number]
    size_gt: Query[Number] = 0
    keep_profiles: Query[bool] = True


class DeleteMediaOfServerByDateRequest(DeleteMediaByDateRequest, kw_only=True):
    server_name: Path[ServerName] = field(name="serverName")


class PurgeMediaCacheRequest(Struct):
    before_ts: Query[Number]


class UserMedia(Struct, omit_defaults=False):
    media_id: str
    media_type: str | None
    media_length: int
    upload_name: str | None
    created_ts: int
    last_access_ts: int | None
    quarantined_by: str | None
    safe_from_quarantine: bool


class UserMediaResponse(Struct):
    """`next_token` is absent on the last page."""

    media: list[UserMedia]
    total: int
    next_token: int | None = None


class MediaInfo(Struct, omit_defaults=False):
    media_origin: str
    media_id: str
    user_id: str | None
    media_type: str | None
    media_length: int
    upload_name: str | None
    created_ts: int
    filesystem_id: str | None
    url_cache: str | None
    last_access_ts: int | None
    quarantined_by: str | None
    authenticated: bool
    safe_from_quarantine: bool
    sha256: str | None


class MediaInfoResponse(Struct):
    media_info: MediaInfo


class DeletedMediaResponse(Struct):
    """Media ids."""

    deleted_media: list[str]
    total: int


class RoomMediaResponse(Struct):
    """`mxc://` URIs."""

    local: list[str]
    remote: list[str]


class QuarantinedResponse(Struct):
    num_quarantined: int


class PurgedResponse(Struct):
    deleted: int


_ROOT = "/_synapse/admin/v1"

GET_MEDIA_INFO = Endpoint(
    operation_id="getMediaInfo",
    method="GET",
    paths=(f"{_ROOT}/media/{{serverName}}/{{mediaId}}",),
    request=MediaRequest,
    response=MediaInfoResponse,
    auth=Auth.ADMIN,
)

DELETE_MEDIA = Endpoint(
    operation_id="deleteMedia",
    method="DELETE",
    paths=(f"{_ROOT}/media/{{serverName}}/{{mediaId}}",),
    request=MediaRequest,
    response=DeletedMediaResponse,
    auth=Auth.ADMIN,
)

DELETE_MEDIA_BY_DATE = Endpoint(
    operation_id="deleteMediaByDate",
    method="POST",
    paths=(f"{_ROOT}/media/delete",),
    request=DeleteMediaByDateRequest,
    response=DeletedMediaResponse,
    auth=Auth.ADMIN,
)

DELETE_MEDIA_OF_SERVER_BY_DATE = Endpoint(
    operation_id="deleteMediaOfServerByDate",
    method="POST",
    paths=(f"{_ROOT}/media/{{serverName}}/delete",),
    request=DeleteMediaOfServerByDateRequest,
    response=DeletedMediaResponse,
    auth=Auth.ADMIN,
)

GET_USER_MEDIA = Endpoint(
    operation_id="getUserMedia",
    method="GET",
    paths=(f"{_ROOT}/users/{{userId}}/media",),
    request=UserMediaRequest,
    response=UserMediaResponse,
    auth=Auth.ADMIN,
)

DELETE_USER_MEDIA = Endpoint(
    operation_id="deleteUserMedia",
    method="DELETE",
    paths=(f"{_ROOT}/users/{{userId}}/media",),
    request=UserMediaRequest,
    response=DeletedMediaResponse,
    auth=Auth.ADMIN,
)

GET_ROOM_MEDIA = Endpoint(
    operation_id="getRoomMedia",
    method="GET",
    paths=(f"{_ROOT}/room/{{roomId}}/media",),
    request=RoomMediaRequest,
    response=RoomMediaResponse,
    auth=Auth.ADMIN,
)

QUARANTINE_MEDIA = Endpoint(
    operation_id="quarantineMedia",
    method="POST",
    paths=(f"{_ROOT}/media/quarantine/{{serverName}}/{{mediaId}}",),
    request=MediaRequest,
    response=Empty,
    auth=Auth.ADMIN,
)

UNQUARANTINE_MEDIA = Endpoint(
    operation_id="unquarantineMedia",
    method="POST",
    paths=(f"{_ROOT}/media/unquarantine/{{serverName}}/{{mediaId}}",),
    request=MediaRequest,
    response=Empty,
    auth=Auth.ADMIN,
)

QUARANTINE_ROOM_MEDIA = Endpoint(
    operation_id="quarantineRoomMedia",
    method="POST",
    paths=(f"{_ROOT}/room/{{roomId}}/media/quarantine", f"{_ROOT}/quarantine_media/{{roomId}}"),
    request=RoomMediaRequest,
    response=QuarantinedResponse,
    auth=Auth.ADMIN,
)

QUARANTINE_USER_MEDIA = Endpoint(
    operation_id="quarantineUserMedia",
    method="POST",
    paths=(f"{_ROOT}/user/{{userId}}/media/quarantine",),
    request=QuarantineUserMediaRequest,
    response=QuarantinedResponse,
    auth=Auth.ADMIN,
)

PROTECT_MEDIA = Endpoint(
    operation_id="protectMedia",
    method="POST",
    paths=(f"{_ROOT}/media/protect/{{mediaId}}",),
    request=OwnMediaRequest,
    response=Empty,
    auth=Auth.ADMIN,
)

UNPROTECT_MEDIA = Endpoint(
    operation_id="unprotectMedia",
    method="POST",
    paths=(f"{_ROOT}/media/unprotect/{{mediaId}}",),
    request=OwnMediaRequest,
    response=Empty,
    auth=Auth.ADMIN,
)

PURGE_MEDIA_CACHE = Endpoint(
    operation_id="purgeMediaCache",
    method="POST",
    paths=(f"{_ROOT}/purge_media_cache",),
    request=PurgeMediaCacheRequest,
    response=PurgedResponse,
    auth=Auth.ADMIN,
)

ENDPOINTS = (
    GET_MEDIA_INFO,
    DELETE_MEDIA,
    DELETE_MEDIA_BY_DATE,
    DELETE_MEDIA_OF_SERVER_BY_DATE,
    GET_USER_MEDIA,
    DELETE_USER_MEDIA,
    GET_ROOM_MEDIA,
    QUARANTINE_MEDIA,
    UNQUARANTINE_MEDIA,
    QUARANTINE_ROOM_MEDIA,
    QUARANTINE_USER_MEDIA,
    PROTECT_MEDIA,
    UNPROTECT_MEDIA,
    PURGE_MEDIA_CACHE,
)
