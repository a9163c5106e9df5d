"""The rooms that both who asks and somebody else are joined to, in the order of their ids.

A page's token is the id of the last room before it.
"""

from __future__ import annotations

from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.modules.events import UserRooms
from weft.protocol.api.client import rooms as api
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import is_valid_room_id, parse_user_id

_PAGE: Final = 100


class MutualRoomsApi:
    def __init__(self, user_rooms: UserRooms) -> None:
        self._user_rooms = user_rooms

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_MUTUAL_ROOMS, self.get_mutual_rooms)]

    async def get_mutual_rooms(self, call: Call[api.GetMutualRoomsRequest]) -> api.GetMutualRoomsResponse:
        other = call.args.user_id
        parse_user_id(other)
        if other == call.user_id:
            raise InvalidParam("You share every room with yourself.")
        after = call.args.from_ or call.args.batch_token or ""
        if after and not is_valid_room_id(after):
            raise InvalidParam("The token is not one that this server made.")
        shared = sorted(await self._joined(call.user_id) & await self._joined(other))
        rest = [room_id for room_id in shared if room_id > after]
        page = rest[:_PAGE]
        following = page[-1] if len(rest) > _PAGE else None
        return api.GetMutualRoomsResponse(
            joined=page, count=len(shared), next_batch=following, next_batch_token=following
        )

    async def _joined(self, user_id: str) -> set[str]:
        seats = await self._user_rooms.of(user_id)
        return {room_id for room_id, seat in seats.items() if seat.membership == "join"}
