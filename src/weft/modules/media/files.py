"""Where the bytes of media are: in a folder, or in a bucket (`object_store`).

What comes in is first written to a file of its own in the folder, bounded and hashed on the way; then it is placed
under a name that is never used twice. All of that is off the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Final, ParamSpec, Protocol, Self, TypeVar

from weft.protocol.errors import WeftError

P = ParamSpec("P")
T = TypeVar("T")

#: Bytes of a piece that is read or written in one go.
PIECE: Final = 256 << 10
_THREADS: Final = 8
_INCOMING: Final = "incoming"


class FileMissingError(WeftError):
    """There is nothing at that location."""


class TooManyBytesError(WeftError):
    """More came than was allowed."""


class Store(Protocol):
    """Bytes by location. A location is given to `place` once."""

    async def place(self, source: Path, location: str) -> None:
        """Takes a finished file; when this returns, its bytes outlast a crash. The source is gone then, or is to be."""

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`. Raises `FileMissingError` before the first of them."""

    def local(self, location: str) -> AbstractAsyncContextManager[Path]:
        """The bytes as a file on this machine. Raises `FileMissingError`."""

    async def remove(self, location: str) -> None:
        """It may be gone already."""

    def listed(self) -> AsyncIterator[list[tuple[str, float]]]:
        """Every location with the time (seconds since 1970) at which it was written, many at a time."""

    async def close(self) -> None: ...


class Disk:
    """The folder, and the threads that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = ThreadPoolExecutor(_THREADS, "media")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs it in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def make_folders(self) -> None:
        await self.run((self.folder / _INCOMING).mkdir, mode=0o700, parents=True, exist_ok=True)

    def incoming(self, name: str) -> Path:
        """A place for a file that is not finished."""
        return self.folder / _INCOMING / name

    async def sweep(self, before: float) -> None:
        """Removes what was left unfinished and not touched since `before` (seconds since 1970)."""
        await self.run(_sweep, self.folder / _INCOMING, before)

    def close(self) -> None:
        self._threads.shutdown(wait=False)


def _sweep(folder: Path, before: float) -> None:
    with contextlib.suppress(FileNotFoundError):
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()


class NewFile(ABC):
    """A file that is coming into being, in a context: it is removed in the end, unless it was placed somewhere."""

    def __init__(self, disk: Disk, name: str) -> None:
        self.path = disk.incoming(name)
        self.size = 0
        self._disk = disk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self._disk.run(self._end))

    @abstractmethod
    async def finish(self) -> str:
        """Everything is written and outlasts a crash; the SHA-256, hexadecimal."""

    def _end(self) -> None:
        self.path.unlink(missing_ok=True)


class Made(NewFile):
    """A file that another program writes to `path`."""

    async def finish(self) -> str:
        return await self._disk.run(self._finish)

    def _finish(self) -> str:
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.size = os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        return digest


class Incoming(NewFile):
    """A file that is written piece by piece, of no more than `limit` bytes."""

    def __init__(self, disk: Disk, name: str, limit: int) -> None:
        super().__init__(disk, name)
        self._limit = limit
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._bytes_waiting = 0
        self._file: IO[bytes] | None = None

    async def write(self, chunk: bytes) -> None:
        """Raises `TooManyBytesError` as soon as there are more than `limit`."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooManyBytesError(f"more than {self._limit} bytes")
        self._waiting.append(chunk)
        self._bytes_waiting += len(chunk)
        if self._bytes_waiting >= PIECE:
            await self._disk.run(self._write)

    async def finish(self) -> str:
        await self._disk.run(self._finish)
        return self._hash.hexdigest()

    def _write(self) -> IO[bytes]:
        if self._file is None:
            self._file = self.path.open("xb")
        pieces, self._waiting, self._bytes_waiting = self._waiting, [], 0
        for piece in pieces:
            self._hash.update(piece)
            self._file.write(piece)
        return self._file

    def _finish(self) -> None:
        file = self._write()
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            super()._end()


class FolderStore:
    """A `Store` in the folder itself: `ab/cd/…`, so that no folder has too many files in it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def place(self, source: Path, location: str) -> None:
        await self._disk.run(_place, source, self._path(location))

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            file = await self._disk.run(self._path(location).open, "rb", buffering=0)
        except FileNotFoundError as error:
            raise FileMissingError(location) from error
        return _Pieces(self._disk, file, start, end)

    @asynccontextmanager
    async def local(self, location: str) -> AsyncIterator[Path]:
        path = self._path(location)
        if not await self._disk.run(path.exists):
            raise FileMissingError(location)
        yield path

    async def remove(self, location: str) -> None:
        await self._disk.run(self._path(location).unlink, missing_ok=True)

    async def listed(self) -> AsyncIterator[list[tuple[str, float]]]:
        for folder in await self._disk.run(_folders, self._disk.folder):
            yield await self._disk.run(_files, folder)

    async def close(self) -> None:
        """The folder stays."""

    def _path(self, location: str) -> Path:
        return self._disk.folder / location[:2] / location[2:4] / location[4:]


class _Pieces:
    """The pieces of an open file. `aclose` closes it, whether or not anything was read."""

    def __init__(self, disk: Disk, file: IO[bytes], start: int, end: int) -> None:
        self._disk = disk
        self._file = file
        self._at = start
        self._end = end

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._at >= self._end:
            await self.aclose()
            raise StopAsyncIteration
        piece = await self._disk.run(os.pread, self._file.fileno(), min(PIECE, self._end - self._at), self._at)
        if not piece:
            raise FileMissingError("the file is shorter than it was")
        self._at += len(piece)
        return piece

    async def aclose(self) -> None:
        self._file.close()


def _place(source: Path, target: Path) -> None:
    new = [folder for folder in (target.parent.parent, target.parent) if not folder.exists()]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source.rename(target)
    for folder in (target.parent, *(one.parent for one in new)):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Has the names in it outlast a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folders(root: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return [
            inner
            for outer in root.iterdir()
            if len(outer.name) == 2 and outer.is_dir()
            for inner in outer.iterdir()
            if inner.is_dir()
        ]
    return []


def _files(folder: Path) -> list[tuple[str, float]]:
    return list(_files_in(folder))


def _files_in(folder: Path) -> Iterator[tuple[str, float]]:
    with contextlib.suppress(FileNotFoundError):
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield f"{folder.parent.name}{folder.name}{file.name}", file.stat().st_mtime
