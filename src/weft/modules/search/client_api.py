"""https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.search.service import Search
from weft.protocol.api.client import search as api


class SearchApi:
    def __init__(self, search: Search) -> None:
        self._search = search

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.SEARCH, self.search)]

    async def search(self, call: Call[api.SearchRequest]) -> api.SearchResponse:
        criteria = call.args.search_categories.room_events
        found = None
        if criteria is not None:
            found = await self._search.room_events(call.requester, criteria, call.args.next_batch)
        return api.SearchResponse(search_categories=api.ResultCategories(room_events=found))
