"""From a content to an answer: whole, a range of it, or that it has not changed.

https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from weft.http.call import Stream
from weft.modules.media import content_types
from weft.modules.media.files import PIECE
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import MatrixError

#: A content never changes; but it is shown to who may see it only, so nobody in between keeps it.
_CACHE: Final = "private, max-age=31536000, immutable"
_RANGE: Final = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*")

#: Gives the bytes from the first number up to the second.
Read = Callable[[int, int], Awaitable[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes as they are shown to somebody."""

    hash: str
    size: int
    content_type: str
    disposition: str

    @property
    def etag(self) -> str:
        return f'"{self.hash[:32]}"'


async def answer(content: Content, headers: Mapping[str, str], read: Read) -> Raw | Stream:
    """What a client gets; `headers` are those of its request. Raises 416 for a range that there is not."""
    told = {
        **content_types.SAFETY,
        "Content-Disposition": content.disposition,
        "Cache-Control": _CACHE,
        "ETag": content.etag,
        "Accept-Ranges": "bytes",
    }
    if _knows(headers.get("if-none-match", ""), content.etag):
        return Raw(status=304, content_type="", headers=told)
    part = None
    if "range" in headers and headers.get("if-range", content.etag) == content.etag:
        part = _range(headers["range"], content.size)
    start, end = part or (0, content.size)
    if part is not None:
        told["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    return await _sent(await read(start, end), end - start, content.content_type, told, 200 if part is None else 206)


async def _sent(
    pieces: AsyncIterator[bytes], length: int, content_type: str, headers: dict[str, str], status: int
) -> Raw | Stream:
    """A short answer in one go, a longer one piece by piece."""
    if length > PIECE:
        return Stream(chunks=pieces, status=status, content_type=content_type, headers=headers, length=length)
    body = b"".join([piece async for piece in pieces])
    return Raw(body=body, status=status, content_type=content_type, headers=headers)


def _knows(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The part that is asked for, as start and end; None for all of it, also where several parts are asked for."""
    match = _RANGE.fullmatch(header)
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        raise MatrixError("There is no such range.", status=416, headers={"Content-Range": f"bytes */{size}"})
    return start, end
