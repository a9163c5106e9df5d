"""https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.sliding_sync.service import SlidingSync
from weft.protocol.api.client import sliding_sync as api
from weft.protocol.api.endpoint import Raw


class SlidingSyncApi:
    def __init__(self, service: SlidingSync) -> None:
        self._service = service

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.SLIDING_SYNC, self.sync)]

    async def sync(self, call: Call[api.SlidingSyncRequest]) -> Raw:
        return Raw(body=await self._service.sync(call.requester, call.args))
