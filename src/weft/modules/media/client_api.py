"""The endpoints of the content repository.

https://spec.matrix.org/v1.19/client-server-api/#content-repository
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from weft.http.call import Call, Route, Stream, route
from weft.modules.media import content_types
from weft.modules.media.service import MediaService, Upload, Wish, checked_mxc
from weft.modules.media.serving import Content, answer
from weft.modules.media.thumbnails import Thumbnails
from weft.protocol.api.client import media as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.identifiers import Mxc, domain_of
from weft.settings import Media as MediaSettings


class MediaApi:
    def __init__(self, media: MediaService, thumbnails: Thumbnails, settings: MediaSettings) -> None:
        self._media = media
        self._thumbnails = thumbnails
        self._max_size = int(settings.max_upload_size)

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(replace(api.UPLOAD_CONTENT, max_body=self._max_size), self.upload),
            route(replace(api.UPLOAD_CONTENT_TO_MXC, max_body=self._max_size), self.upload_to),
            route(api.CREATE_CONTENT, self.create),
            route(api.GET_CONTENT_AUTHED, self.download),
            route(api.GET_CONTENT_OVERRIDE_NAME_AUTHED, self.download_as),
            route(api.GET_CONTENT, self.download_openly),
            route(api.GET_CONTENT_OVERRIDE_NAME, self.download_openly_as),
            route(api.GET_CONTENT_THUMBNAIL_AUTHED, self.thumbnail),
            route(api.GET_CONTENT_THUMBNAIL, self.thumbnail_openly),
            route(api.GET_CONFIG_AUTHED, self.config),
            route(api.GET_CONFIG, self.config),
        ]

    async def config(self, call: Call[Empty]) -> api.GetConfigResponse:
        return api.GetConfigResponse(upload_size=self._max_size)

    # -- uploading

    async def create(self, call: Call[Empty]) -> api.CreateContentResponse:
        medium = await self._media.create(call.user_id, domain_of(call.user_id))
        return api.CreateContentResponse(
            content_uri=str(Mxc(medium.server_name, medium.media_id)), unused_expires_at=medium.expires_ms or 0
        )

    async def upload(self, call: Call[api.UploadContentRequest]) -> api.UploadContentResponse:
        server_name = domain_of(call.user_id)
        mxc = await self._media.upload(call.user_id, server_name, call.chunks(), _described(call))
        return api.UploadContentResponse(content_uri=str(mxc))

    async def upload_to(self, call: Call[api.UploadContentToMxcRequest]) -> Empty:
        mxc = checked_mxc(call.args.server_name, call.args.media_id)
        await self._media.upload_to(call.user_id, mxc, call.chunks(), _described(call))
        return Empty()

    # -- downloading

    async def download(self, call: Call[api.GetContentAuthedRequest]) -> Raw | Stream:
        return await self._download(call, Wish(timeout_ms=call.args.timeout_ms))

    async def download_as(self, call: Call[api.GetContentOverrideNameAuthedRequest]) -> Raw | Stream:
        return await self._download(call, Wish(timeout_ms=call.args.timeout_ms), call.args.file_name)

    async def download_openly(self, call: Call[api.GetContentRequest]) -> Raw | Stream:
        return await self._download(call, _openly(call.args))

    async def download_openly_as(self, call: Call[api.GetContentOverrideNameRequest]) -> Raw | Stream:
        return await self._download(call, _openly(call.args), call.args.file_name)

    async def _download(self, call: Call[Any], wish: Wish, file_name: str | None = None) -> Raw | Stream:
        mxc = checked_mxc(call.args.server_name, call.args.media_id)
        medium = await self._media.find(mxc, wish)
        self._media.used(medium)
        name = content_types.checked_name(file_name) or medium.file_name
        content_type = medium.content_type or content_types.DEFAULT
        content = Content(
            hash=medium.hash or "",
            size=medium.size,
            content_type=content_type,
            disposition=content_types.disposition(content_type, name),
        )
        return await answer(content, call.headers, partial(self._media.read, content.hash))

    # -- thumbnails

    async def thumbnail(self, call: Call[api.GetContentThumbnailAuthedRequest]) -> Raw | Stream:
        return await self._thumbnail(call, Wish(timeout_ms=call.args.timeout_ms))

    async def thumbnail_openly(self, call: Call[api.GetContentThumbnailRequest]) -> Raw | Stream:
        return await self._thumbnail(call, _openly(call.args))

    async def _thumbnail(self, call: Call[Any], wish: Wish) -> Raw | Stream:
        args = call.args
        content = await self._thumbnails.find(
            checked_mxc(args.server_name, args.media_id),
            wish,
            width=args.width,
            height=args.height,
            method=args.method,
            animated=bool(args.animated),
        )
        return await answer(content, call.headers, partial(self._media.read, content.hash))


def _openly(args: api.GetContentRequest | api.GetContentThumbnailRequest) -> Wish:
    """What somebody without a token wishes for. A redirect that they would allow is never needed."""
    return Wish(authenticated=False, allow_remote=args.allow_remote, timeout_ms=args.timeout_ms)


def _described(call: Call[api.UploadContentRequest] | Call[api.UploadContentToMxcRequest]) -> Upload:
    declared = call.headers.get("content-length", "")
    return Upload(
        content_type=call.args.content_type,
        file_name=call.args.filename,
        length=int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else None,
    )
