"""The endpoints of filters."""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.filters.service import Filters
from weft.protocol.api.client import filters as api
from weft.protocol.errors import Forbidden


class ClientApi:
    def __init__(self, filters: Filters) -> None:
        self._filters = filters

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.DEFINE_FILTER, self.define), route(api.GET_FILTER, self.get)]

    async def define(self, call: Call[api.DefineFilterRequest]) -> api.DefineFilterResponse:
        _check_own(call, call.args.user_id)
        return api.DefineFilterResponse(filter_id=await self._filters.define(call.user_id, call.body_bytes))

    async def get(self, call: Call[api.GetFilterRequest]) -> msgspec.Raw:
        _check_own(call, call.args.user_id)
        return msgspec.Raw(await self._filters.json(call.user_id, call.args.filter_id))


def _check_own(call: Call[Any], user_id: str) -> None:
    if user_id != call.user_id:
        raise Forbidden("Filters are for their own account alone.")
