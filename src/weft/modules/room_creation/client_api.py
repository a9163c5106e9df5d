"""The endpoints that make rooms."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.room_creation.service import RoomCreation
from weft.modules.room_creation.upgrade import RoomUpgrade
from weft.protocol.api.client import rooms as api


class RoomCreationApi:
    def __init__(self, creation: RoomCreation, upgrade: RoomUpgrade) -> None:
        self._creation = creation
        self._upgrade = upgrade

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.CREATE_ROOM, self.create_room), route(api.UPGRADE_ROOM, self.upgrade_room)]

    async def create_room(self, call: Call[api.CreateRoomRequest]) -> api.CreateRoomResponse:
        return await self._creation.create_room(call.requester, call.args)

    async def upgrade_room(self, call: Call[api.UpgradeRoomRequest]) -> api.UpgradeRoomResponse:
        args = call.args
        replacement = await self._upgrade.upgrade(
            call.requester, args.room_id, args.new_version, args.additional_creators or []
        )
        return api.UpgradeRoomResponse(replacement_room=replacement)
