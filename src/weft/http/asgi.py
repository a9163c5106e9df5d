"""The ASGI types, and an answer as it goes to the wire.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, NamedTuple

#: What an ASGI server says about a connection; its values have many types.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

HeaderList = list[tuple[bytes, bytes]]

#: Recommended on every answer, so that clients in browsers can read it.
#: https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients
CORS: Final[HeaderList] = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"X-Requested-With, Content-Type, Authorization, If-Match, If-None-Match"),
]
JSON_TYPE: Final = "application/json"
JSON: Final[HeaderList] = [*CORS, (b"content-type", JSON_TYPE.encode())]

#: Control characters would let a value that a user chose end its header and begin another.
_CONTROLS: Final = dict.fromkeys([*range(32), 127])


class Answer(NamedTuple):
    """Status, headers (complete, `content-length` among them) and body."""

    status: int
    headers: HeaderList
    body: bytes


def json_answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, [*JSON, (b"content-length", b"%d" % len(body))], body)


def header_list(content_type: str, extra: Mapping[str, str]) -> HeaderList:
    """CORS, the content type (none if empty) and `extra`, spelled for the wire."""
    headers = [*CORS, (b"content-type", _value(content_type))] if content_type else [*CORS]
    headers += [(name.lower().encode("ascii"), _value(value)) for name, value in extra.items()]
    return headers


def _value(text: str) -> bytes:
    return text.translate(_CONTROLS).encode("latin-1", "replace")


#: The ASGI extension by which our own server takes a whole answer at once: its `write` is a `WholeAnswer`. False: it
#: can't just now, and the answer goes the ordinary way.
WHOLE_ANSWER: Final = "weft.whole_answer"
WholeAnswer = Callable[[int, HeaderList, bytes], bool]

PREFLIGHT: Final = Answer(204, CORS, b"")
EMPTY_OBJECT: Final = json_answer(b"{}")
