"""Media for other servers: what was uploaded here, and nothing else.

https://spec.matrix.org/v1.19/server-server-api/#content-repository
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, Stream, route
from weft.modules.media import content_types, multipart
from weft.modules.media.service import MediaService, Wish
from weft.modules.media.thumbnails import Thumbnails
from weft.protocol.api.federation import media as api
from weft.rooms.engine import Engine


class FederationApi:
    def __init__(self, engine: Engine, media: MediaService, thumbnails: Thumbnails) -> None:
        self._outside = engine.outside
        self._media = media
        self._thumbnails = thumbnails

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_CONTENT, self.download), route(api.GET_CONTENT_THUMBNAIL, self.thumbnail)]

    async def download(self, call: Call[api.GetContentRequest]) -> Stream:
        wish = Wish(allow_remote=False, timeout_ms=call.args.timeout_ms)
        medium = await self._media.find(await self._media.own(call.args.media_id), wish)
        self._media.used(medium)
        content_type = medium.content_type or content_types.DEFAULT
        return multipart.answer(
            await self._media.read(medium.hash or "", 0, medium.size),
            medium.size,
            content_type=content_type,
            disposition=content_types.disposition(content_type, medium.file_name),
            boundary=self._outside.token(32),
        )

    async def thumbnail(self, call: Call[api.GetContentThumbnailRequest]) -> Stream:
        args = call.args
        content = await self._thumbnails.find(
            await self._media.own(args.media_id),
            Wish(allow_remote=False, timeout_ms=args.timeout_ms),
            width=args.width,
            height=args.height,
            method=args.method,
            animated=bool(args.animated),
        )
        return multipart.answer(
            await self._media.read(content.hash, 0, content.size),
            content.size,
            content_type=content.content_type,
            disposition=content.disposition,
            boundary=self._outside.token(32),
        )
