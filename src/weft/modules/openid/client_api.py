"""https://spec.matrix.org/v1.19/client-server-api/#openid"""

from __future__ import annotations

from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.modules.openid.service import LIFETIME_MS, OpenIdService
from weft.protocol.api.client import openid as api
from weft.protocol.errors import Forbidden
from weft.protocol.identifiers import domain_of

_TOKEN_TYPE: Final = "Bearer"


class OpenIdApi:
    def __init__(self, service: OpenIdService) -> None:
        self._service = service

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.REQUEST_OPEN_ID_TOKEN, self.request_token)]

    async def request_token(self, call: Call[api.RequestOpenIdTokenRequest]) -> api.RequestOpenIdTokenResponse:
        if call.args.user_id != call.user_id:
            raise Forbidden("You can prove only who you are yourself.")
        return api.RequestOpenIdTokenResponse(
            access_token=await self._service.new_token(call.user_id),
            token_type=_TOKEN_TYPE,
            matrix_server_name=domain_of(call.user_id),
            expires_in=LIFETIME_MS // 1000,
        )
