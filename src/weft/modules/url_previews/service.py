"""Previews: looked for once, kept for a while, with their picture as media of this server.

What a page says of itself comes from its OpenGraph properties, the oEmbed document that it names, or its text. A link
to a picture is a preview with that picture.
"""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

from weft.http.client import StreamedReply
from weft.modules.media import Picture, Pictures
from weft.modules.media.pictures import TYPES
from weft.modules.media.workers import WorkerFailedError, Workers
from weft.modules.url_previews import store
from weft.modules.url_previews.fetching import Fetcher, beginning
from weft.modules.url_previews.page_worker import Page, tidy
from weft.protocol.errors import InvalidParam, MatrixError, NotNow, PeerError, TooLarge, Unreachable
from weft.protocol.identifiers import Mxc
from weft.rooms.engine import Engine

#: Bytes of a page that are looked at, of an oEmbed document, of a picture.
MAX_PAGE: Final = 1 << 20
_MAX_OEMBED: Final = 256 << 10
_MAX_PICTURE: Final = 10 << 20
#: A server may say that it sends so much of a page; what is looked at is less.
_MAX_SENT: Final = 1 << 40
#: Pages that are looked at at the same time, and that may wait for it.
_AT_ONCE: Final = 8
_MOST_WAITING: Final = 200
#: What reads pages, how many at a time, and for how many seconds one.
_READER: Final = Path(__file__).with_name("page_worker.py")
_READERS: Final = 2
_READING_SECONDS: Final = 5.0
#: How long a page that could not be had is not asked for again, and how many such are remembered.
_FAILED_MS: Final = 5 * 60_000
_MOST_FAILED: Final = 1_000
#: How long pictures are kept after their previews ended.
_PICTURES_MS: Final = 48 * 3_600_000
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_ACCEPT: Final = "text/html,application/xhtml+xml;q=0.9,image/*;q=0.8,*/*;q=0.1"


class UrlPreviews:
    def __init__(self, engine: Engine, fetcher: Fetcher, pictures: Pictures, *, lifetime_ms: int) -> None:
        self._engine = engine
        self._fetcher = fetcher
        self._pictures = pictures
        self._lifetime_ms = lifetime_ms
        self._looking: dict[str, asyncio.Task[bytes]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._readers = Workers(_READER, _READERS, seconds=_READING_SECONDS)
        #: Pages that could not be had, and until when they are not tried.
        self._failed: OrderedDict[str, int] = OrderedDict()

    async def preview(self, url: str, server_name: str) -> bytes:
        """What a page says of itself, as JSON. `server_name` is the domain that keeps its picture.

        Raises `InvalidParam` for what is no address or not to be asked; where a page can't be had, `M_UNKNOWN` (502).
        """
        url = self._fetcher.checked(url)
        now_ms = self._engine.outside.now_ms()
        known = await self._engine.database.get(store.find, url, now_ms)
        if known is not None:
            return known
        if self._failed.get(url, 0) > now_ms:
            raise _failure()
        task = self._looking.get(url)
        if task is None:
            if len(self._looking) >= _MOST_WAITING:
                raise NotNow("too many pages are being looked at", retry_after_ms=5_000)
            task = self._looking[url] = asyncio.create_task(self._look(url, server_name))
            task.add_done_callback(lambda done: self._ended(url, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._readers.close()

    async def prune(self) -> None:
        """Removes what is old."""
        now_ms = self._engine.outside.now_ms()
        await self._engine.database.write(store.prune, now_ms)
        while pictures := await self._engine.database.read(store.old_pictures, now_ms, 100):
            await self._pictures.remove(Mxc(*picture) for picture in pictures)
            await self._engine.database.write(store.pictures_removed, pictures)

    def _ended(self, url: str, task: asyncio.Task[bytes]) -> None:
        self._looking.pop(url, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _look(self, url: str, server_name: str) -> bytes:
        try:
            async with self._places:
                page, picture = await self._looked(url, server_name)
        except (PeerError, Unreachable, InvalidParam) as error:
            self._failed[url] = self._engine.outside.now_ms() + _FAILED_MS
            self._failed.move_to_end(url)
            if len(self._failed) > _MOST_FAILED:
                self._failed.popitem(last=False)
            raise _failure() from error
        json = msgspec.json.encode(_told(page, picture))
        now_ms = self._engine.outside.now_ms()
        expires_ms = now_ms + self._lifetime_ms
        await self._engine.database.write(store.put, url, json, now_ms, expires_ms)
        if picture is not None:
            await self._engine.database.write(store.add_picture, *picture.mxc, expires_ms + _PICTURES_MS)
        return json

    async def _looked(self, url: str, server_name: str) -> tuple[Page, Picture | None]:
        async with self._fetcher.get(url, max_bytes=_MAX_SENT, accept=_ACCEPT) as reply:
            kind, charset = _content_type(reply)
            if kind in TYPES:
                return Page(), await self._take(reply, kind, server_name)
            if kind not in _HTML:
                return Page(), None
            body = await beginning(reply, MAX_PAGE)
        page = await self._read(body, charset, reply.url)
        if page.oembed is not None:
            await self._add_oembed(page, page.oembed)
        return page, await self._picture(page.image, server_name)

    async def _read(self, body: bytes, charset: str | None, url: str) -> Page:
        asked = {"body": base64.b64encode(body).decode(), "charset": charset, "url": url}
        try:
            return msgspec.convert(await self._readers.ask(asked), Page)
        except WorkerFailedError as error:
            raise PeerError("the page can't be read") from error

    async def _add_oembed(self, page: Page, url: str) -> None:
        """What the oEmbed document of a page says, where the page itself says nothing. https://oembed.com"""
        try:
            async with self._fetcher.get(url, max_bytes=_MAX_OEMBED, accept="application/json") as reply:
                said = msgspec.json.decode(await beginning(reply, _MAX_OEMBED))
        except (PeerError, Unreachable, InvalidParam, ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        for name, key in (("og:title", "title"), ("og:site_name", "provider_name"), ("og:description", "author_name")):
            if name not in page.og and (value := tidy(said.get(key))):
                page.og[name] = value
        photo = said.get("url") if said.get("type") == "photo" else None
        address = photo or said.get("thumbnail_url")
        if page.image is None and isinstance(address, str):
            page.image = address

    async def _picture(self, url: str | None, server_name: str) -> Picture | None:
        """A page's picture; a page without it is still worth a preview."""
        if url is None:
            return None
        try:
            async with self._fetcher.get(url, max_bytes=_MAX_PICTURE, accept="image/*") as reply:
                kind, _ = _content_type(reply)
                return await self._take(reply, kind, server_name) if kind in TYPES else None
        except (PeerError, Unreachable, InvalidParam, TooLarge):
            return None

    async def _take(self, reply: StreamedReply, kind: str, server_name: str) -> Picture | None:
        return await self._pictures.take(server_name, bounded(reply), kind)


async def bounded(reply: StreamedReply) -> AsyncIterator[bytes]:
    """A picture's bytes. Raises `PeerError` if there are too many."""
    size = 0
    async for chunk in reply.chunks:
        size += len(chunk)
        if size > _MAX_PICTURE:
            raise PeerError("the picture is too large")
        yield chunk


def _content_type(reply: StreamedReply) -> tuple[str, str | None]:
    """The type in small letters, and the charset that is named."""
    header = reply.headers.get("Content-Type", "")[:500]
    kind, _, rest = header.partition(";")
    named = [part.partition("=")[2].strip(" \"'") for part in rest.split(";") if part.strip().lower()[:8] == "charset="]
    return kind.strip().lower(), named[0] if named else None


def _told(page: Page, picture: Picture | None) -> dict[str, Any]:
    told: dict[str, Any] = dict(page.og)
    if picture is not None:
        told |= {
            "og:image": str(picture.mxc),
            "og:image:type": picture.content_type,
            "og:image:width": picture.width,
            "og:image:height": picture.height,
            "matrix:image:size": picture.size,
        }
    return told


def _failure() -> MatrixError:
    """Says nothing of why: that would tell about the network that this server is in."""
    return MatrixError("The page can't be looked at.", status=502)
