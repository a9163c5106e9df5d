"""One connection from a client: uvicorn's HTTP/1.1, with the limits that it leaves open.

The head of a request (its line and headers) is at most `MAX_HEAD` bytes and comes within `HEAD_SECONDS`; a body keeps
coming, with no more than `BODY_SECONDS` of silence. Who breaks this is cut off: neither memory nor connections can be
held by sending slowly or without end. The times are looked at by the server's sweep (`weft.http.serve`), because a
timer for each request would cost more than reading it.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache, partial
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from weft.http.asgi import JSON, WHOLE_ANSWER, HeaderList

MAX_HEAD: Final = 65_536
HEAD_SECONDS: Final = 30.0
BODY_SECONDS: Final = 30.0
#: Seconds that an idle connection is kept for its client's next request; longer than most proxies keep theirs.
KEEP_ALIVE: Final = 75
#: Who is answered before they have sent all may go on for so long; what comes is thrown away.
LINGER_SECONDS: Final = 5.0
#: A body up to this size is copied behind its head; the transport sends longer ones as they are.
_COPIED: Final = 16_384


@lru_cache(maxsize=8)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Headers as they are written, for those that many answers have."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_JSON_LINES: Final = _lines(tuple(JSON))


class Connection(HttpToolsProtocol):
    """`overdue` says whether its client has taken too long."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._heard_at = self.loop.time()
        #: When the head that is being received began (the first one: with the connection); None: none is.
        self._head_since: float | None = self._heard_at
        self._head_bytes = 0
        self._answered_at = self._heard_at
        self._lingers = False

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._heard_at = self.loop.time()
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self.transport.abort()

    def on_message_begin(self) -> None:
        self._head_since = self._heard_at
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()
        # The application has not begun yet: it runs in a task.
        self.scope["extensions"] = {WHOLE_ANSWER: {"write": partial(self._answer, self.cycle)}}

    def _answer(self, cycle: RequestResponseCycle, status: int, headers: HeaderList, body: bytes) -> bool:
        """Writes a whole answer in one go; implements `WHOLE_ANSWER`."""
        if cycle.response_started or cycle.disconnected or self.flow.write_paused:
            return False
        keep_alive = cycle.keep_alive
        written = [STATUS_LINE[status], _lines(tuple(self.server_state.default_headers))]
        if headers[: len(JSON)] == JSON:
            written.append(_JSON_LINES)
            headers = headers[len(JSON) :]
        for name, value in headers:
            written += (name, b": ", value, b"\r\n")
            if name == b"connection":  # which says nothing but `close`
                keep_alive = False
        if not keep_alive and cycle.keep_alive is keep_alive:
            written.append(b"connection: close\r\n")
        written.append(b"\r\n")
        if len(body) <= _COPIED:
            written.append(body)
        self.transport.write(b"".join(written))
        if len(body) > _COPIED:
            self.transport.write(body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.keep_alive = keep_alive
        cycle.message_event.set()
        if not keep_alive and cycle.more_body:
            self._linger()
        elif not keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer for each answer: the sweep looks at connections that nobody uses."""
        self._answered_at = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def _linger(self) -> None:
        """Ends the connection, but not at once: a client that is still sending would not come to read the answer."""
        self._lingers = True
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def overdue(self, now: float) -> bool:
        if self._head_since is not None:
            return now - self._head_since > HEAD_SECONDS
        if self.cycle.response_complete:
            return now - self._answered_at > KEEP_ALIVE
        return self.cycle.more_body and not self.flow.read_paused and now - self._heard_at > BODY_SECONDS

    def cut(self) -> None:
        self.transport.abort()
