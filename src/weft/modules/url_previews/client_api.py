"""The endpoints of previews.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.url_previews.service import UrlPreviews
from weft.protocol.api.client import url_previews as api
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import Unrecognized
from weft.protocol.identifiers import domain_of


class UrlPreviewsApi:
    def __init__(self, previews: UrlPreviews, *, enabled: bool) -> None:
        self._previews = previews
        self._enabled = enabled

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_URL_PREVIEW_AUTHED, self.preview), route(api.GET_URL_PREVIEW, self.preview)]

    async def preview(self, call: Call[api.GetUrlPreviewRequest]) -> Raw:
        """What there is of a page is from one time only, so `ts` chooses nothing."""
        if not self._enabled:
            raise Unrecognized("This server makes no previews of links.")
        return Raw(body=await self._previews.preview(call.args.url, domain_of(call.user_id)))
