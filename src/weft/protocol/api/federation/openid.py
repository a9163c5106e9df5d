"""Whose an OpenID token is. Whoever was shown one may ask.

https://spec.matrix.org/v1.19/server-server-api/#openid
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Query, Struct, federation
from weft.protocol.api.types import SessionKey


class ExchangeOpenIdTokenRequest(Struct):
    access_token: Query[SessionKey]


class ExchangeOpenIdTokenResponse(Struct):
    """`sub` is the user id."""

    sub: str


EXCHANGE_OPEN_ID_TOKEN = Endpoint(
    operation_id="exchangeOpenIdToken",
    method="GET",
    paths=federation("/openid/userinfo"),
    request=ExchangeOpenIdTokenRequest,
    response=ExchangeOpenIdTokenResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
    api=Api.FEDERATION,
)

ENDPOINTS = (EXCHANGE_OPEN_ID_TOKEN,)
