"""Pictures that the server itself keeps, for whoever shows them: those of previews of links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

from weft.modules.media.service import MediaService, Upload
from weft.modules.media.thumbnailing import TooManyPixelsError, UnsuitableError
from weft.modules.media.thumbnails import Thumbnails
from weft.protocol.identifiers import Mxc

#: What is looked at; the type that a server tells is believed no further.
TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


class Picture(NamedTuple):
    """A picture that is here: how it is called, its bytes, true type, and pixels."""

    mxc: Mxc
    size: int
    content_type: str
    width: int
    height: int


class Pictures:
    def __init__(self, media: MediaService, thumbnails: Thumbnails) -> None:
        self._media = media
        self._thumbnails = thumbnails

    async def take(self, server_name: str, chunks: AsyncIterator[bytes], content_type: str) -> Picture | None:
        """Keeps a picture; None, and nothing is kept, if it is none. Raises what `chunks` raises, and `TooLarge`."""
        medium = await self._media.take(server_name, chunks, Upload(content_type, None))
        mxc = Mxc(medium.server_name, medium.media_id)
        try:
            if medium.quarantined_by is not None:
                raise UnsuitableError("nobody is to see it")
            true_type, width, height = await self._thumbnails.look(medium)
        except (UnsuitableError, TooManyPixelsError):
            await self.remove([mxc])
            return None
        return Picture(mxc, medium.size, true_type, width, height)

    async def remove(self, mxcs: Iterable[Mxc]) -> None:
        """They are no longer needed."""
        await self._media.remove(mxcs)
