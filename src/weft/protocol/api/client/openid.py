"""Tokens that prove to somebody else who a user is.

https://spec.matrix.org/v1.19/client-server-api/#openid
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from weft.protocol.api.endpoint import Auth, Body, Endpoint, Path, Struct, client
from weft.protocol.api.types import UserId


class RequestOpenIdTokenRequest(Struct):
    """The body is reserved for later versions."""

    user_id: Path[UserId] = field(name="userId")
    body: Body[dict[str, Any]] = field(default_factory=dict)


class RequestOpenIdTokenResponse(Struct):
    """`token_type` is `Bearer`; `expires_in` is seconds."""

    access_token: str
    token_type: str
    matrix_server_name: str
    expires_in: int


REQUEST_OPEN_ID_TOKEN = Endpoint(
    operation_id="requestOpenIdToken",
    method="POST",
    paths=client("/user/{userId}/openid/request_token"),
    request=RequestOpenIdTokenRequest,
    response=RequestOpenIdTokenResponse,
    auth=Auth.TOKEN,
    rate_limit="account",
)

ENDPOINTS = (REQUEST_OPEN_ID_TOKEN,)
