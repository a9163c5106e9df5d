"""How each of our errors is answered; the only place that turns one into bytes.

https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from weft.http.asgi import Answer, header_list, json_answer
from weft.protocol.errors import MatrixError, NotNow, PeerError, Unreachable


class ClientGone(Exception):
    """Whoever asked has hung up; there is nobody to answer."""


def render(error: Exception) -> Answer | None:
    """What is sent for an error, or None if it is a fault of ours that has to be logged.

    What another server said, or why it could not be reached, is not shown: it may speak of the inside of our network.
    """
    if isinstance(error, MatrixError):
        return _matrix(error.status, error.body(), error.headers)
    if isinstance(error, NotNow):
        return _not_now(error)
    if isinstance(error, PeerError):
        return _matrix(502, {"errcode": "M_UNKNOWN", "error": "Another server answered wrongly."}, {})
    if isinstance(error, Unreachable):
        return _matrix(504, {"errcode": "M_UNKNOWN", "error": "Another server could not be reached."}, {})
    return None


def internal_error(request_id: str) -> Answer:
    """A fault of ours: names the request, so that it can be found in the log, and nothing else."""
    return _matrix(500, {"errcode": "M_UNKNOWN", "error": f"Internal server error (request {request_id})."}, {})


def _not_now(error: NotNow) -> Answer:
    seconds = max(1, -(-error.retry_after_ms // 1000))
    body = {"errcode": "M_UNKNOWN", "error": "Not possible just now.", "retry_after_ms": error.retry_after_ms}
    return _matrix(503, body, {"Retry-After": str(seconds)})


def _matrix(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    encoded = msgspec.json.encode(body)
    if not headers:
        return json_answer(encoded, status)
    extra = header_list("application/json", headers)
    return Answer(status, [*extra, (b"content-length", b"%d" % len(encoded))], encoded)
