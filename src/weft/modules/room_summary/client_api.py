"""The endpoint of room summaries."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.room_summary.service import RoomSummaries
from weft.protocol.api.client import room_summary as api


class RoomSummaryApi:
    def __init__(self, summaries: RoomSummaries) -> None:
        self._summaries = summaries

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_ROOM_SUMMARY, self.get_room_summary)]

    async def get_room_summary(self, call: Call[api.GetRoomSummaryRequest]) -> api.GetRoomSummaryResponse:
        user_id = call.maybe_requester.user_id if call.maybe_requester is not None else None
        return await self._summaries.for_user(call.args.room_id_or_alias, user_id, call.args.via)
