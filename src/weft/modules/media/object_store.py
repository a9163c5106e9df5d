"""Media in a bucket: S3, or what speaks like it.

What comes in is written to the folder first, and sent to the bucket when it is whole; nothing else stays in the folder.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from weft.modules.media.files import PIECE, Disk, FileMissingError, Incoming
from weft.protocol.errors import NotNow
from weft.settings import ObjectStorage

log = structlog.get_logger(__name__)

#: How many objects are listed at once.
_PAGE: Final = 500
#: When somebody may try again, if the bucket does not answer.
_RETRY_MS: Final = 5_000
#: More than any file; a copy of one that is kept already is not bounded again.
_ANY_SIZE: Final = 1 << 62


class BucketStore:
    """A `weft.modules.media.files.Store`. Raises `NotNow` where the bucket can't be used just now."""

    def __init__(self, disk: Disk, settings: ObjectStorage, secret: str) -> None:
        endpoint = settings.endpoint
        self._disk = disk
        self._store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            config={
                "region": settings.region,
                "access_key_id": settings.access_key_id,
                "secret_access_key": secret,
                **({"endpoint": endpoint} if endpoint else {}),
            },
            client_options={"allow_http": endpoint is not None and endpoint.startswith("http://"), "timeout": "120s"},
        )

    async def place(self, source: Path, location: str) -> None:
        with _told():
            await self._store.put_async(_key(location), source)

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        if start >= end:
            # A range of nothing can't be asked for; that the object is there can.
            with _told(location):
                await self._store.head_async(_key(location))
            return _nothing()
        with _told(location):
            got = await self._store.get_async(_key(location), options={"range": (start, end)})
            return _pieces(got.stream(min_chunk_size=PIECE))

    @asynccontextmanager
    async def local(self, location: str) -> AsyncIterator[Path]:
        with _told(location):
            got = await self._store.get_async(_key(location))
        # One name, read by several at a time, would be removed under one of them.
        async with Incoming(self._disk, f"{location}-{id(got):x}", _ANY_SIZE) as copy:
            async for piece in _pieces(got.stream(min_chunk_size=PIECE)):
                await copy.write(piece)
            await copy.finish()
            yield copy.path

    async def remove(self, location: str) -> None:
        with suppress(FileMissingError), _told(location):
            await self._store.delete_async(_key(location))

    async def listed(self) -> AsyncIterator[list[tuple[str, float]]]:
        with _told():
            async for page in self._store.list(chunk_size=_PAGE):
                yield [(_location(one["path"]), one["last_modified"].timestamp()) for one in page]

    async def close(self) -> None:
        """There is nothing to end."""


def _key(location: str) -> str:
    return f"{location[:2]}/{location[2:]}"


def _location(key: str) -> str:
    return key.replace("/", "", 1)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _told():
        async for chunk in chunks:
            yield bytes(chunk)


@contextmanager
def _told(location: str | None = None) -> Iterator[None]:
    """What goes wrong, in our own errors: `FileMissingError` where just a location was asked for."""
    try:
        yield
    except (BaseError, OSError) as error:
        if location is not None and isinstance(error, (NotFoundError, FileNotFoundError)):
            raise FileMissingError(location) from error
        log.warning("the bucket of media does not answer as it should", error=str(error)[:500])
        raise NotNow("the bucket can't be used", retry_after_ms=_RETRY_MS) from error
