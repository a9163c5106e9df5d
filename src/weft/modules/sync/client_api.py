"""https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.sync.service import SyncService
from weft.protocol.api.client import sync as api
from weft.protocol.api.endpoint import Raw


class SyncApi:
    def __init__(self, service: SyncService) -> None:
        self._service = service

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.SYNC, self.sync)]

    async def sync(self, call: Call[api.SyncRequest]) -> Raw:
        return Raw(body=await self._service.sync(call.requester, call.args))
