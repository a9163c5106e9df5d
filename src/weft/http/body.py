"""Reads request bodies: never more than allowed, whatever `Content-Length` says.

How long a client may take to send one is the server's business (`weft.http.connection`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from weft.http.asgi import Receive
from weft.http.errors import ClientGone
from weft.protocol.errors import TooLarge

#: After an answer that leaves a body unread the connection ends: what follows on it is not a request.
_CLOSE: Final = {"Connection": "close"}


def check_declared(declared: bytes | None, limit: int) -> None:
    """Refuses by `Content-Length`, before anything is read. Raises `TooLarge`."""
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is longer than `limit` bytes, and `ClientGone`."""
    piece, more = await _next(receive)
    if len(piece) > limit:
        raise _too_large(limit)
    if not more:
        return piece
    pieces, size = [piece], len(piece)
    while more:
        piece, more = await _next(receive)
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


async def body_chunks(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece, with the errors of `read_body`."""
    size, more = 0, True
    while more:
        piece, more = await _next(receive)
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if piece:
            yield piece


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.", headers=_CLOSE)
