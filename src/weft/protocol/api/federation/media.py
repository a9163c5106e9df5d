"""Media of this server's users, for other servers: `multipart/mixed` of metadata (`{}`) and the content.

https://spec.matrix.org/v1.19/server-server-api/#content-repository
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.client.media import DEFAULT_TIMEOUT_MS, MediaId, Pixels, ThumbnailMethod
from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Raw, Struct, federation
from weft.protocol.api.types import Milliseconds


class GetContentRequest(Struct, kw_only=True):
    media_id: Path[MediaId] = field(name="mediaId")
    timeout_ms: Query[Milliseconds] = DEFAULT_TIMEOUT_MS


class GetContentThumbnailRequest(GetContentRequest, kw_only=True):
    width: Query[Pixels]
    height: Query[Pixels]
    method: Query[ThumbnailMethod | None] = None
    animated: Query[bool | None] = None


GET_CONTENT = Endpoint(
    operation_id="getContent",
    method="GET",
    paths=federation("/media/download/{mediaId}"),
    request=GetContentRequest,
    response=Raw,
    auth=Auth.SERVER,
    rate_limit="federation",
    long_poll=True,
    api=Api.FEDERATION,
)

GET_CONTENT_THUMBNAIL = Endpoint(
    operation_id="getContentThumbnail",
    method="GET",
    paths=federation("/media/thumbnail/{mediaId}"),
    request=GetContentThumbnailRequest,
    response=Raw,
    auth=Auth.SERVER,
    rate_limit="federation",
    long_poll=True,
    api=Api.FEDERATION,
)

ENDPOINTS = (GET_CONTENT, GET_CONTENT_THUMBNAIL)
