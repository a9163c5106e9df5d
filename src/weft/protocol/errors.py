"""The one family of errors that Weft answers with or meets on the way.

Four kinds are kept apart by type, because their handling differs:

* `MatrixError`: what the specification names. Becomes `{"errcode", "error", …}` with its status.
* `PeerError`: another server (or a document it sent) is wrong.
* `NotNow`: it may work later; `retry_after_ms` says when.
* `Unreachable`: the other side could not be reached at all.

Anything else that escapes is a fault of ours: a 500 and a traceback in the log.

Rules: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WeftError(Exception):
    """The root of every error that Weft raises on purpose."""


class MatrixError(WeftError):
    """An error that the specification names; `message` is safe to show to whoever asked.

    `extra` holds further top-level fields of the answer (for example `soft_logout`).
    Use a subclass where one exists; it fixes `errcode` and `status`.
    """

    errcode: str = "M_UNKNOWN"
    status: int = 400

    def __init__(
        self,
        message: str,
        *,
        errcode: str | None = None,
        status: int | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if errcode is not None:
            self.errcode = errcode
        if status is not None:
            self.status = status
        self.extra: Mapping[str, Any] = extra or {}
        self.headers: Mapping[str, str] = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        return {"errcode": self.errcode, "error": self.message, **self.extra}


class Forbidden(MatrixError):
    errcode, status = "M_FORBIDDEN", 403


class NotFound(MatrixError):
    errcode, status = "M_NOT_FOUND", 404


class Unrecognized(MatrixError):
    errcode, status = "M_UNRECOGNIZED", 404


class UnknownToken(MatrixError):
    errcode, status = "M_UNKNOWN_TOKEN", 401


class MissingToken(MatrixError):
    errcode, status = "M_MISSING_TOKEN", 401


class NotJson(MatrixError):
    errcode, status = "M_NOT_JSON", 400


class BadJson(MatrixError):
    errcode, status = "M_BAD_JSON", 400


class MissingParam(MatrixError):
    errcode, status = "M_MISSING_PARAM", 400


class InvalidParam(MatrixError):
    errcode, status = "M_INVALID_PARAM", 400


class TooLarge(MatrixError):
    errcode, status = "M_TOO_LARGE", 413


class UserInUse(MatrixError):
    errcode, status = "M_USER_IN_USE", 400


class InvalidUsername(MatrixError):
    errcode, status = "M_INVALID_USERNAME", 400


class RoomInUse(MatrixError):
    errcode, status = "M_ROOM_IN_USE", 400


class UnsupportedRoomVersion(MatrixError):
    errcode, status = "M_UNSUPPORTED_ROOM_VERSION", 400


class BadState(MatrixError):
    errcode, status = "M_BAD_STATE", 403


class LimitExceeded(MatrixError):
    """`429 M_LIMIT_EXCEEDED`; says how long to wait in the body and in `Retry-After`."""

    errcode, status = "M_LIMIT_EXCEEDED", 429

    def __init__(self, retry_after_ms: int, message: str = "Too many requests; wait and try again.") -> None:
        seconds = max(1, -(-retry_after_ms // 1000))
        super().__init__(
            message,
            extra={"retry_after_ms": retry_after_ms},
            headers={"Retry-After": str(seconds)},
        )
        self.retry_after_ms = retry_after_ms


class AuthRuleViolation(Forbidden):
    """An event was refused by an authorisation rule; `rule` is its number in the room version's list."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{message} (authorisation rule {rule})")
        self.rule = rule


class InvalidEvent(BadJson):
    """An event's shape breaks the room version's event format or the size limits."""


class PeerError(WeftError):
    """Another server, or what it sent, is wrong. `permanent` is False where asking again may help."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.permanent = permanent


class NotNow(WeftError):
    """The work can't be done now; it may be tried again after `retry_after_ms`."""

    def __init__(self, message: str, *, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class Unreachable(WeftError):
    """The other side could not be reached."""


#: What a handler may raise to refuse a request, by errcode; used by the typed client to raise the same type again.
BY_ERRCODE: dict[str, type[MatrixError]] = {
    cls.errcode: cls
    for cls in (
        Forbidden,
        NotFound,
        Unrecognized,
        UnknownToken,
        MissingToken,
        NotJson,
        BadJson,
        MissingParam,
        InvalidParam,
        TooLarge,
        UserInUse,
        InvalidUsername,
        RoomInUse,
        UnsupportedRoomVersion,
        BadState,
    )
}
