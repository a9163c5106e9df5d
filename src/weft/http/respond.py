"""From what a handler returns to messages on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from weft.http.asgi import (
    EMPTY_OBJECT,
    JSON_TYPE,
    WHOLE_ANSWER,
    Answer,
    Receive,
    Scope,
    Send,
    WholeAnswer,
    header_list,
    json_answer,
)
from weft.http.call import Stream
from weft.http.disconnect import while_connected
from weft.http.errors import ClientGone
from weft.protocol.api.endpoint import Empty, Raw

#: Seconds in which a client has to take the next piece of a stream.
SEND_TIMEOUT: Final = 60.0
#: These have no body, not even an empty one.
_BODILESS: Final = (204, 304)
_NO_EXTENSIONS: Final[Mapping[str, Mapping[str, Any]]] = {}
_encode: Final = msgspec.json.Encoder().encode


def encode(result: object) -> Answer | Stream:
    """A response type as JSON (`msgspec.Raw` fields are spliced in); `Raw` and `Stream` as they are."""
    kind = type(result)
    if kind is Empty:
        return EMPTY_OBJECT
    if isinstance(result, Stream):
        return result
    if isinstance(result, Raw):
        return _raw(result)
    return json_answer(_encode(result))


def _raw(result: Raw) -> Answer:
    if result.content_type == JSON_TYPE and not result.headers and result.status not in _BODILESS:
        return json_answer(result.body, result.status)
    headers = header_list(result.content_type, result.headers)
    if result.status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(result.body)))
    return Answer(result.status, headers, result.body)


async def send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    """Sends it whole; for HEAD without its body."""
    body = b"" if scope["method"] == "HEAD" else answer.body
    extension = scope.get("extensions", _NO_EXTENSIONS).get(WHOLE_ANSWER)
    write: WholeAnswer | None = extension["write"] if extension is not None else None
    if write is None or not write(answer.status, answer.headers, body):
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": body})


class StreamBroken(Exception):
    """The pieces ended with an error (its cause); what was sent is cut off, so that nobody takes it for the whole."""


async def send_stream(stream: Stream, method: str, receive: Receive, send: Send) -> None:
    """Sends it piece by piece. Raises `ClientGone` if nobody takes a piece in time or the client hangs up."""
    try:
        await while_connected(_send_stream(stream, method, send), receive)
    except TimeoutError:
        raise ClientGone from None
    finally:
        close = getattr(stream.chunks, "aclose", None)
        if close is not None:
            await close()


async def _send_stream(stream: Stream, method: str, send: Send) -> None:
    headers = header_list(stream.content_type, stream.headers)
    if stream.length is not None:
        headers.append((b"content-length", b"%d" % stream.length))
    await send({"type": "http.response.start", "status": stream.status, "headers": headers})
    if method != "HEAD":
        async for chunk in _pieces(stream):
            async with asyncio.timeout(SEND_TIMEOUT):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _pieces(stream: Stream) -> AsyncIterator[bytes]:
    try:
        async for chunk in stream.chunks:
            yield chunk
    except Exception as error:
        raise StreamBroken from error
