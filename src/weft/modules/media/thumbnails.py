"""Thumbnails: in a few sizes, made once, kept as files beside the media that they show.

https://spec.matrix.org/v1.19/client-server-api/#thumbnails
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from weft.modules.media import content_types, store
from weft.modules.media.files import FileMissingError
from weft.modules.media.keeping import Keeping
from weft.modules.media.metrics import MediaMetrics
from weft.modules.media.service import MISSING, MediaService, Wish
from weft.modules.media.serving import Content
from weft.modules.media.store import Medium, Thumbnail, ThumbnailKey
from weft.modules.media.thumbnailing import Thumbnailer, TooManyPixelsError, UnsuitableError
from weft.protocol.errors import MatrixError, NotFound
from weft.protocol.identifiers import Mxc
from weft.rooms.engine import Engine
from weft.settings import Media as MediaSettings
from weft.storage.database import WriteTransaction


class Size(NamedTuple):
    """At most so large ("scale"), or just this, cropped; and smaller where the picture is."""

    width: int
    height: int
    method: str


#: Whatever is asked for becomes one of these, so that nobody has the server make any number of them. The first five are
#: the specification's; the last of each method stands for all that is larger.
SIZES: Final = (
    Size(32, 32, "crop"),
    Size(96, 96, "crop"),
    Size(320, 240, "scale"),
    Size(640, 480, "scale"),
    Size(800, 600, "scale"),
    Size(256, 256, "crop"),
    Size(320, 240, "crop"),
    Size(512, 512, "crop"),
    Size(640, 480, "crop"),
    Size(800, 600, "crop"),
    Size(1600, 1200, "scale"),
    Size(2048, 2048, "crop"),
    Size(4096, 4096, "scale"),
)
#: What a picture must be said to be.
_PICTURES: Final = frozenset({"image/jpeg", "image/jpg", "image/png", "image/apng", "image/gif", "image/webp"})
_ENDINGS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp"}
#: Bytes of a picture that is looked at.
_MOST_BYTES: Final = 64 << 20
#: Pictures that no thumbnail can be made of, remembered so that they are not tried again and again.
_MOST_REMEMBERED: Final = 2_000


def size_for(width: int, height: int, method: str) -> Size:
    """The size in which a wish is fulfilled: the nearest of the same shape that is not smaller."""
    larger = [size for size in SIZES if size.method == method and size.width >= width and size.height >= height]
    if not larger:
        return max(size for size in SIZES if size.method == method)
    if method == "scale":
        return min(larger)
    return min(larger, key=lambda size: (abs(size.width * height - size.height * width) / size.height, size.width))


class Thumbnails:
    def __init__(
        self,
        engine: Engine,
        settings: MediaSettings,
        keeping: Keeping,
        metrics: MediaMetrics,
        *,
        media: MediaService,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._keeping = keeping
        self._metrics = metrics
        self._media = media
        self._thumbnailer = Thumbnailer(settings.thumbnail_processes)
        self._making: dict[tuple[Mxc, ThumbnailKey], asyncio.Task[Thumbnail]] = {}
        self._unsuitable: OrderedDict[str, type[Exception]] = OrderedDict()

    async def find(
        self, mxc: Mxc, wish: Wish, *, width: int, height: int, method: str | None, animated: bool
    ) -> Content:
        """A thumbnail of a medium; the medium's bytes themselves where they are not larger.

        Raises what finding the medium raises; `M_UNKNOWN` for what no thumbnail can be made of, `M_TOO_LARGE`.
        """
        if width < 1 or height < 1:
            raise MatrixError("A thumbnail is at least one pixel wide and high.")
        size = size_for(width, height, method or "scale")
        key = ThumbnailKey(size.width, size.height, size.method, int(animated))
        medium = await self._media.find(mxc, wish)
        thumbnail = await self._engine.database.get(store.find_thumbnail, *mxc, key)
        if thumbnail is None:
            thumbnail = await self._make_once(mxc, medium, key)
        self._media.used(medium)
        ending = _ENDINGS.get(thumbnail.content_type, "png")
        is_whole = thumbnail.hash == medium.hash
        return Content(
            hash=thumbnail.hash,
            size=medium.size if is_whole else thumbnail.size,
            content_type=thumbnail.content_type,
            disposition=f'inline; filename="thumbnail.{ending}"',
        )

    async def look(self, medium: Medium) -> tuple[str, int, int]:
        """The true type of a picture, its width and its height. Raises `UnsuitableError` and `TooManyPixelsError`."""
        location = await self._engine.database.get(store.location_of, medium.hash or "")
        if location is None or medium.size > _MOST_BYTES:
            raise UnsuitableError("no picture")
        async with self._keeping.files.local(location) as source:
            asked = {"source": str(source), "look": True, "max_pixels": self._settings.max_image_pixels}
            answer = await self._thumbnailer.make(asked)
        return answer["type"], answer["width"], answer["height"]

    async def close(self) -> None:
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thumbnailer.close()

    async def _make_once(self, mxc: Mxc, medium: Medium, key: ThumbnailKey) -> Thumbnail:
        """Who asks for one that is being made waits for it."""
        task = self._making.get((mxc, key))
        if task is None:
            task = self._making[mxc, key] = asyncio.create_task(self._make(mxc, medium, key))
            task.add_done_callback(lambda done: self._ended((mxc, key), done))
        return await asyncio.shield(task)

    def _ended(self, of: tuple[Mxc, ThumbnailKey], task: asyncio.Task[Thumbnail]) -> None:
        self._making.pop(of, None)
        if not task.cancelled():
            self._metrics.thumbnails["made" if task.exception() is None else "refused"] += 1

    async def _make(self, mxc: Mxc, medium: Medium, key: ThumbnailKey) -> Thumbnail:
        declared = content_types.essence(medium.content_type or "")
        if declared not in _PICTURES or medium.size == 0:
            raise _refusal(medium, UnsuitableError)
        if medium.size > _MOST_BYTES:
            raise _refusal(medium, TooManyPixelsError)
        hash_ = medium.hash or ""
        if hash_ in self._unsuitable:
            raise _refusal(medium, self._unsuitable[hash_])
        location = await self._engine.database.get(store.location_of, hash_)
        try:
            if location is None:
                raise FileMissingError(hash_)
            async with self._keeping.files.local(location) as source, self._keeping.made() as made:
                answer = await self._thumbnailer.make(
                    {
                        "source": str(source),
                        "target": str(made.path),
                        "width": key.width,
                        "height": key.height,
                        "crop": key.method == "crop",
                        "animated": bool(key.animated),
                        "declared": declared,
                        "max_pixels": self._settings.max_image_pixels,
                    }
                )
                if "original" in answer:
                    thumbnail = Thumbnail(hash_, 0, answer["original"])
                    await self._engine.database.write(self._note, mxc, key, thumbnail)
                    return thumbnail
                return await self._keeping.keep(
                    made, lambda tx, new: self._note(tx, mxc, key, Thumbnail(new, made.size, answer["type"]))
                )
        except FileMissingError as error:
            await self._media.lost(hash_)
            raise NotFound(MISSING) from error
        except (UnsuitableError, TooManyPixelsError) as error:
            self._unsuitable[hash_] = type(error)
            if len(self._unsuitable) > _MOST_REMEMBERED:
                self._unsuitable.popitem(last=False)
            raise _refusal(medium, type(error)) from error

    def _note(self, tx: WriteTransaction, mxc: Mxc, key: ThumbnailKey, thumbnail: Thumbnail) -> Thumbnail:
        """Writes down what was made; the row, which another process may have written before."""
        medium = store.held(tx, *mxc)
        if medium is None or medium.hash is None:
            raise NotFound(MISSING)
        if not store.add_thumbnail(tx, mxc, key, thumbnail):
            store.discard(tx, [thumbnail.hash])
            return store.find_thumbnail(tx, *mxc, key) or thumbnail
        if medium.remote:
            store.charge(tx, store.REMOTE, thumbnail.size, None)
            store.evict(tx, self._settings.remote_cache, but=mxc)
        return thumbnail


def _refusal(medium: Medium, reason: type[Exception]) -> MatrixError:
    if reason is TooManyPixelsError:
        status = 502 if medium.remote else 413
        return MatrixError("The content is too large for a thumbnail.", errcode="M_TOO_LARGE", status=status)
    return MatrixError("No thumbnail can be made of this content.")
