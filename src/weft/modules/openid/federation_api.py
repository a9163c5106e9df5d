"""https://spec.matrix.org/v1.19/server-server-api/#openid"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.openid.service import OpenIdService
from weft.protocol.api.federation import openid as api
from weft.protocol.errors import UnknownToken


class FederationApi:
    """Open to whoever was shown a token, server or not."""

    def __init__(self, service: OpenIdService) -> None:
        self._service = service

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.EXCHANGE_OPEN_ID_TOKEN, self.exchange_token)]

    async def exchange_token(self, call: Call[api.ExchangeOpenIdTokenRequest]) -> api.ExchangeOpenIdTokenResponse:
        user_id = await self._service.user_of(call.args.access_token)
        if user_id is None:
            raise UnknownToken("The token is unknown or has expired.")
        return api.ExchangeOpenIdTokenResponse(sub=user_id)
