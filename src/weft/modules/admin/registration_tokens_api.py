"""The endpoints by which administrators look after registration tokens.

https://element-hq.github.io/synapse/latest/usage/administration/admin_api/registration_tokens.html
"""

from __future__ import annotations

from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.modules.accounts import RegistrationTokens
from weft.modules.accounts.registration_tokens import Token
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import registration_tokens as api

_LENGTH: Final = 16


class RegistrationTokensApi:
    def __init__(self, tokens: RegistrationTokens) -> None:
        self._tokens = tokens

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.LIST_REGISTRATION_TOKENS, self.list_all),
            route(api.NEW_REGISTRATION_TOKEN, self.new),
            route(api.GET_REGISTRATION_TOKEN, self.get),
            route(api.UPDATE_REGISTRATION_TOKEN, self.update),
            route(api.DELETE_REGISTRATION_TOKEN, self.delete),
        ]

    async def list_all(self, call: Call[api.ListRegistrationTokensRequest]) -> api.ListRegistrationTokensResponse:
        found = await self._tokens.all(call.args.valid)
        return api.ListRegistrationTokensResponse(registration_tokens=[_shown(one) for one in found])

    async def new(self, call: Call[api.NewRegistrationTokenRequest]) -> api.RegistrationToken:
        args = call.args
        made = await self._tokens.make(
            args.token, length=args.length or _LENGTH, uses_allowed=args.uses_allowed, expires_ms=args.expiry_time
        )
        return _shown(made)

    async def get(self, call: Call[api.RegistrationTokenRequest]) -> api.RegistrationToken:
        return _shown(await self._tokens.one(call.args.token))

    async def update(self, call: Call[api.UpdateRegistrationTokenRequest]) -> api.RegistrationToken:
        args = call.args
        changed = await self._tokens.change(args.token, uses_allowed=args.uses_allowed, expires_ms=args.expiry_time)
        return _shown(changed)

    async def delete(self, call: Call[api.RegistrationTokenRequest]) -> Empty:
        await self._tokens.delete(call.args.token)
        return Empty()


def _shown(token: Token) -> api.RegistrationToken:
    return api.RegistrationToken(
        token=token.token,
        uses_allowed=token.uses_allowed,
        pending=token.pending,
        completed=token.completed,
        expiry_time=token.expires_ms,
    )
