"""What a link leads to, for clients that show it.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Endpoint, Query, Struct, client
from weft.protocol.api.types import Timestamp


class GetUrlPreviewRequest(Struct):
    """`ts`: from when the preview should be, if there are several."""

    url: Query[Annotated[str, Meta(max_length=8192)]]
    ts: Query[Timestamp | None] = None


GET_URL_PREVIEW_AUTHED = Endpoint(
    operation_id="getUrlPreviewAuthed",
    method="GET",
    paths=client("/media/preview_url", v="v1", unstable=("unstable/org.matrix.msc3916/media/preview_url",)),
    request=GetUrlPreviewRequest,
    response=dict[str, Any],
    auth=Auth.TOKEN,
    rate_limit="preview",
    long_poll=True,
)

GET_URL_PREVIEW = Endpoint(
    operation_id="getUrlPreview",
    method="GET",
    paths=("/_matrix/media/v3/preview_url", "/_matrix/media/r0/preview_url"),
    request=GetUrlPreviewRequest,
    response=dict[str, Any],
    auth=Auth.TOKEN,
    rate_limit="preview",
    long_poll=True,
    deprecated=True,
)

ENDPOINTS = (GET_URL_PREVIEW_AUTHED, GET_URL_PREVIEW)
