"""One line for each request, and the request id that every other line of that request can carry.

Tokens never reach the log: headers are not written, and what a query says under a secret's name is replaced.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger

#: The id of the request that is being answered; empty outside of one. Tasks started by a handler inherit it.
REQUEST_ID: ContextVar[str] = ContextVar("weft_request_id", default="")

access: FilteringBoundLogger = structlog.get_logger("weft.http.access")
faults: FilteringBoundLogger = structlog.get_logger("weft.http")

_SECRETS: Final = re.compile(r"(?i)((?:^|[&;?])[^&;=]*(?:token|secret|password|code|sid)[^&;=]*=)[^&;]*")


def redacted(query: bytes) -> str:
    """A query that may be logged."""
    return _SECRETS.sub(r"\1<redacted>", query.decode("latin-1"))


def log_request(
    *, request_id: str, method: str, operation: str, path: bytes, query: bytes, status: int, seconds: float, user: str
) -> None:
    """Writes the line; `user` is empty where nobody had to say who they are."""
    access.info(
        "request",
        request_id=request_id,
        method=method,
        operation=operation,
        path=path.decode("latin-1"),
        query=redacted(query) if query else "",
        status=status,
        ms=round(seconds * 1000, 2),
        user=user,
    )


def log_fault(error: BaseException, *, request_id: str, method: str, operation: str) -> None:
    """A fault of ours, with its traceback; the traceback holds no values of variables."""
    faults.error("request failed", request_id=request_id, method=method, operation=operation, exc_info=error)
