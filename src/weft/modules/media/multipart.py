"""`multipart/mixed` as servers send media to each other: metadata, then the content or where it is.

What comes from another server is read piece by piece, and whatever is not the content has a bound.

https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
https://www.rfc-editor.org/rfc/rfc2046#section-5.1
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from weft.http.call import Stream
from weft.modules.media.content_types import parameters
from weft.protocol.errors import PeerError

#: Bytes before the first part, and of a part's headers.
_MOST_AROUND: Final = 16_384
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TYPE: Final = "multipart/mixed"


def boundary_of(content_type: str) -> str:
    """The boundary that a header names. Raises `PeerError` for another type, and for none."""
    boundary = parameters(content_type).get("boundary", "")
    if content_type.partition(";")[0].strip().lower() != _TYPE or _BOUNDARY.fullmatch(boundary) is None:
        raise PeerError("media came as something else than multipart/mixed with a boundary")
    return boundary


class Parts:
    """The parts of a body: `headers()` of the next one, then its `body()`, and so on. Raises `PeerError`."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = chunks
        self._delimiter = b"\r\n--" + boundary.encode()
        # The first delimiter may stand at the very beginning.
        self._buffer = b"\r\n"
        self._begun = False

    async def headers(self) -> dict[str, str]:
        """The headers of the next part, by small names."""
        if not self._begun:
            await self._upto(self._delimiter)
            self._begun = True
        # What is left of the delimiter's line.
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            raise PeerError("media came with too few parts")
        if (await self._upto(b"\r\n")).strip(b" \t"):
            raise PeerError("media came with something beside a boundary")
        if len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"\r\n"):
            self._buffer = self._buffer[2:]
            return {}
        return _headers(await self._upto(b"\r\n\r\n"))

    async def body(self) -> AsyncIterator[bytes]:
        """The part's content, to be read to its end."""
        keep = len(self._delimiter) - 1
        while True:
            found = self._buffer.find(self._delimiter)
            if found >= 0:
                piece, self._buffer = self._buffer[:found], self._buffer[found + len(self._delimiter) :]
                if piece:
                    yield piece
                return
            if len(self._buffer) > keep:
                piece, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield piece
            await self._more()

    async def _upto(self, end: bytes) -> bytes:
        """What comes before `end`, which is passed over too."""
        while (found := self._buffer.find(end)) < 0:
            if len(self._buffer) > _MOST_AROUND:
                raise PeerError("media came with too much around it")
            await self._more()
        before, self._buffer = self._buffer[:found], self._buffer[found + len(end) :]
        return before

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._chunks)
        except StopAsyncIteration:
            raise PeerError("media came cut off", permanent=False) from None


def _headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise PeerError("media came with a part whose headers are none")
        found.setdefault(name.strip().lower(), value.strip())
    return found


async def small(pieces: AsyncIterator[bytes]) -> bytes:
    """A part that is to be small. Raises `PeerError` if it is not."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > _MOST_AROUND:
            raise PeerError("media came with too much metadata")
    return body


def answer(pieces: AsyncIterator[bytes], size: int, *, content_type: str, disposition: str, boundary: str) -> Stream:
    """A content for another server."""
    head = (
        f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n"
        f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    return Stream(
        chunks=_framed(head, pieces, tail),
        content_type=f"{_TYPE}; boundary={boundary}",
        length=len(head) + size + len(tail),
    )


async def _framed(head: bytes, pieces: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    try:
        yield head
        async for piece in pieces:
            yield piece
        yield tail
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
