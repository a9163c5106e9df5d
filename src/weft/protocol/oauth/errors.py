"""The errors of OAuth 2.0, in its own form: `{"error", "error_description"}`.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

from __future__ import annotations

from typing import Any

from weft.protocol.errors import MatrixError


class OAuthError(MatrixError):
    """`error` is the code, `message` is for whoever develops the client."""

    def __init__(self, error: str, message: str, *, status: int = 400) -> None:
        super().__init__(message, status=status, headers={"Cache-Control": "no-store"})
        self.error = error

    def body(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.message}


def invalid_request(message: str) -> OAuthError:
    return OAuthError("invalid_request", message)


def invalid_grant(message: str) -> OAuthError:
    return OAuthError("invalid_grant", message)
