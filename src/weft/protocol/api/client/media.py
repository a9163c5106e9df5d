"""The content repository: files that people send to rooms or use as their picture.

What is uploaded and downloaded are bytes as they are; handlers read and send them piece by piece. `timeout_ms` is how
long the client waits for content that was announced and is not here yet.

https://spec.matrix.org/v1.19/client-server-api/#content-repository
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Header, Path, Query, Raw, Struct, client
from weft.protocol.api.types import Milliseconds, ServerName

MediaId = Annotated[str, Meta(max_length=255)]
#: The bounds are ours.
FileName = Annotated[str, Meta(max_length=1024)]
ContentType = Annotated[str, Meta(max_length=1024)]
#: What somebody wishes; what it is good for is checked where pictures are made.
Pixels = Annotated[int, Meta(ge=-(1 << 31), le=1 << 31)]
ThumbnailMethod = Literal["crop", "scale"]

DEFAULT_TIMEOUT_MS = 20_000


class UploadContentRequest(Struct):
    """The body is the content."""

    filename: Query[FileName | None] = None
    content_type: Header[ContentType | None] = None


class UploadContentResponse(Struct):
    content_uri: str


class UploadContentToMxcRequest(Struct, kw_only=True):
    """The body is the content. Server name and id are those of a URI that was created before."""

    server_name: Path[ServerName] = field(name="serverName")
    media_id: Path[MediaId] = field(name="mediaId")
    filename: Query[FileName | None] = None
    content_type: Header[ContentType | None] = None


class CreateContentResponse(Struct):
    """`unused_expires_at` is milliseconds since 1970."""

    content_uri: str
    unused_expires_at: int


class GetContentAuthedRequest(Struct, kw_only=True):
    server_name: Path[ServerName] = field(name="serverName")
    media_id: Path[MediaId] = field(name="mediaId")
    timeout_ms: Query[Milliseconds] = DEFAULT_TIMEOUT_MS


class GetContentOverrideNameAuthedRequest(GetContentAuthedRequest, kw_only=True):
    file_name: Path[FileName] = field(name="fileName")


class GetContentThumbnailAuthedRequest(GetContentAuthedRequest, kw_only=True):
    """The size is the smallest that the client would like. Nobody is shown an animation without asking for it."""

    width: Query[Pixels]
    height: Query[Pixels]
    method: Query[ThumbnailMethod | None] = None
    animated: Query[bool | None] = None


class GetContentRequest(GetContentAuthedRequest, kw_only=True):
    """`allow_remote` false: only what is here or cached. `allow_redirect` allows an answer that leads elsewhere."""

    allow_remote: Query[bool] = True
    allow_redirect: Query[bool] = False


class GetContentOverrideNameRequest(GetContentRequest, kw_only=True):
    file_name: Path[FileName] = field(name="fileName")


class GetContentThumbnailRequest(GetContentThumbnailAuthedRequest, kw_only=True):
    allow_remote: Query[bool] = True
    allow_redirect: Query[bool] = False


class GetConfigResponse(Struct):
    """The most bytes that an upload may have."""

    upload_size: int = field(name="m.upload.size")


def _old(path: str, *, v1: bool = True) -> tuple[str, ...]:
    """The paths from before media moved below `/_matrix/client`."""
    versions = ("v3", "r0", "v1") if v1 else ("v3", "r0")
    return tuple(f"/_matrix/media/{version}{path}" for version in versions)


def _authed(path: str) -> tuple[str, ...]:
    return client(path, v="v1", unstable=(f"unstable/org.matrix.msc3916{path}",))


# `max_body` of the two is what the server's settings say (weft.modules.media).
UPLOAD_CONTENT = Endpoint(
    operation_id="uploadContent",
    method="POST",
    paths=_old("/upload"),
    request=UploadContentRequest,
    response=UploadContentResponse,
    auth=Auth.TOKEN,
    rate_limit="upload",
    stream_body=True,
)

UPLOAD_CONTENT_TO_MXC = Endpoint(
    operation_id="uploadContentToMXC",
    method="PUT",
    paths=(
        "/_matrix/media/v3/upload/{serverName}/{mediaId}",
        "/_matrix/media/unstable/fi.mau.msc2246/upload/{serverName}/{mediaId}",
    ),
    request=UploadContentToMxcRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="upload",
    stream_body=True,
)

CREATE_CONTENT = Endpoint(
    operation_id="createContent",
    method="POST",
    paths=("/_matrix/media/v1/create", "/_matrix/media/unstable/fi.mau.msc2246/create"),
    request=Empty,
    response=CreateContentResponse,
    auth=Auth.TOKEN,
    rate_limit="upload",
)

GET_CONTENT_AUTHED = Endpoint(
    operation_id="getContentAuthed",
    method="GET",
    paths=_authed("/media/download/{serverName}/{mediaId}"),
    request=GetContentAuthedRequest,
    response=Raw,
    auth=Auth.GUEST,
    rate_limit="download",
    long_poll=True,
)

GET_CONTENT_OVERRIDE_NAME_AUTHED = Endpoint(
    operation_id="getContentOverrideNameAuthed",
    method="GET",
    paths=_authed("/media/download/{serverName}/{mediaId}/{fileName}"),
    request=GetContentOverrideNameAuthedRequest,
    response=Raw,
    auth=Auth.GUEST,
    rate_limit="download",
    long_poll=True,
)

GET_CONTENT_THUMBNAIL_AUTHED = Endpoint(
    operation_id="getContentThumbnailAuthed",
    method="GET",
    paths=_authed("/media/thumbnail/{serverName}/{mediaId}"),
    request=GetContentThumbnailAuthedRequest,
    response=Raw,
    auth=Auth.GUEST,
    rate_limit="download",
    long_poll=True,
)

GET_CONFIG_AUTHED = Endpoint(
    operation_id="getConfigAuthed",
    method="GET",
    paths=_authed("/media/config"),
    request=Empty,
    response=GetConfigResponse,
    auth=Auth.GUEST,
    rate_limit="lookup",
)

GET_CONTENT = Endpoint(
    operation_id="getContent",
    method="GET",
    paths=_old("/download/{serverName}/{mediaId}"),
    request=GetContentRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="download",
    long_poll=True,
    deprecated=True,
)

GET_CONTENT_OVERRIDE_NAME = Endpoint(
    operation_id="getContentOverrideName",
    method="GET",
    paths=_old("/download/{serverName}/{mediaId}/{fileName}"),
    request=GetContentOverrideNameRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="download",
    long_poll=True,
    deprecated=True,
)

GET_CONTENT_THUMBNAIL = Endpoint(
    operation_id="getContentThumbnail",
    method="GET",
    paths=_old("/thumbnail/{serverName}/{mediaId}"),
    request=GetContentThumbnailRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="download",
    long_poll=True,
    deprecated=True,
)

GET_CONFIG = Endpoint(
    operation_id="getConfig",
    method="GET",
    paths=_old("/config", v1=False),
    request=Empty,
    response=GetConfigResponse,
    auth=Auth.GUEST,
    rate_limit="lookup",
    deprecated=True,
)

ENDPOINTS = (
    UPLOAD_CONTENT,
    UPLOAD_CONTENT_TO_MXC,
    CREATE_CONTENT,
    GET_CONTENT_AUTHED,
    GET_CONTENT_OVERRIDE_NAME_AUTHED,
    GET_CONTENT_THUMBNAIL_AUTHED,
    GET_CONFIG_AUTHED,
    GET_CONTENT,
    GET_CONTENT_OVERRIDE_NAME,
    GET_CONTENT_THUMBNAIL,
    GET_CONFIG,
)
