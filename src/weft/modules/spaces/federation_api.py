"""The endpoint by which other servers walk our spaces, a room at a time.

https://spec.matrix.org/v1.19/server-server-api/#spaces
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.spaces.hierarchy import Hierarchy
from weft.protocol.api.federation import spaces as api


class FederationApi:
    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_SPACE_HIERARCHY, self.get_space_hierarchy)]

    async def get_space_hierarchy(self, call: Call[api.GetSpaceHierarchyRequest]) -> api.GetSpaceHierarchyResponse:
        room, children, inaccessible = await self._hierarchy.seen_by_server(
            call.args.room_id, call.origin, suggested_only=call.args.suggested_only
        )
        return api.GetSpaceHierarchyResponse(
            room=api.SpaceHierarchyParentRoom(**msgspec.structs.asdict(room)),
            children=children,
            inaccessible_children=inaccessible,
        )
