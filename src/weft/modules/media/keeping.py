"""From bytes that came in to a file that rows refer to: placed once, whoever brought the same bytes before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from weft.modules.media import store
from weft.modules.media.files import Disk, FileMissingError, Incoming, Made, NewFile, Store
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction

T = TypeVar("T")


class Keeping:
    """The files of media, with the rows that say where they are."""

    def __init__(self, engine: Engine, disk: Disk, files: Store) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self.disk = disk
        self.files = files

    def incoming(self, limit: int) -> Incoming:
        """A file to be written, of no more than `limit` bytes."""
        return Incoming(self.disk, self._outside.token(24), limit)

    def made(self) -> Made:
        """A file that another program writes."""
        return Made(self.disk, self._outside.token(24))

    async def keep(self, new: NewFile, write: Callable[[WriteTransaction, str], T]) -> T:
        """Has the bytes kept, and the rows written that refer to them: `write` is given their hash.

        Both, or neither if `write` raises.
        """
        hash_ = await new.finish()
        placed: str | None = None
        while True:
            if placed is None and await self._database.get(store.location_of, hash_) is None:
                placed = f"{hash_}-{self._outside.token(8)}"
                await self.files.place(new.path, placed)
            file = store.File(hash_, new.size, placed or "")
            try:
                done = await self._database.write(_write, file, placed is not None, write)
            except Exception:
                if placed is not None:
                    await self.files.remove(placed)
                raise
            if done is None:
                # The same bytes were here a moment ago, and were removed since.
                continue
            location, result = done
            if placed is not None and location != placed:
                await self.files.remove(placed)
            return result

    async def read(self, hash_: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`. Raises `FileMissingError`, before the first of them."""
        location = await self._database.get(store.location_of, hash_)
        if location is None:
            raise FileMissingError(hash_)
        return await self.files.read(location, start, end)

    async def collect(self) -> None:
        """Removes the bytes that nothing refers to any more."""
        while locations := await self._database.get(store.garbage):
            for location in locations:
                await self.files.remove(location)
            await self._database.write(store.collected, locations)

    async def sweep(self, older_than_ms: int) -> None:
        """Removes what crashes left behind: files that no row knows, unfinished ones too."""
        before = (self._outside.now_ms() - older_than_ms) / 1000
        await self.disk.sweep(before)
        async for listed in self.files.listed():
            old = [location for location, written in listed if written < before]
            for start in range(0, len(old), 500):
                for location in await self._database.read(store.unknown, old[start : start + 500]):
                    await self.files.remove(location)


def _write(
    tx: WriteTransaction, file: store.File, is_placed: bool, write: Callable[[WriteTransaction, str], T]
) -> tuple[str, T] | None:
    location = store.keep_file(tx, file, is_placed=is_placed)
    return None if location is None else (location, write(tx, file.hash))
