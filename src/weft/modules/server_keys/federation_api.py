"""The endpoints that tell of signing keys. Anybody may ask.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.server_keys.service import ServerKeysService, latest
from weft.protocol.api.federation import server_keys as api


class ServerKeysApi:
    def __init__(self, service: ServerKeysService) -> None:
        self._service = service

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_SERVER_KEY, self.get_server_key),
            route(api.PERSPECTIVES_KEY_QUERY, self.query_one),
            route(api.BULK_PERSPECTIVES_KEY_QUERY, self.query_several),
        ]

    async def get_server_key(self, call: Call[api.GetServerKeyRequest]) -> msgspec.Raw:
        return msgspec.Raw(self._service.own(self._addressed(call)))

    async def query_one(self, call: Call[api.PerspectivesKeyQueryRequest]) -> api.ServerKeysResponse:
        wanted = {call.args.server_name: call.args.minimum_valid_until_ts}
        return _answer(await self._service.vouched_for(self._addressed(call), wanted))

    async def query_several(self, call: Call[api.BulkPerspectivesKeyQueryRequest]) -> api.ServerKeysResponse:
        wanted = {
            server_name: latest([one.minimum_valid_until_ts for one in criteria.values()])
            for server_name, criteria in call.args.server_keys.items()
        }
        return _answer(await self._service.vouched_for(self._addressed(call), wanted))

    def _addressed(self, call: Call[Any]) -> str:
        """The domain of ours that was asked."""
        return self._service.domain_of(call.headers.get("host", ""))


def _answer(documents: list[bytes]) -> api.ServerKeysResponse:
    return api.ServerKeysResponse(server_keys=[msgspec.Raw(document) for document in documents])
