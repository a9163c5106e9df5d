"""The endpoints of account data and tags."""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.account_data.service import AccountData
from weft.protocol.api.client import account_data as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import Forbidden


class ClientApi:
    def __init__(self, account_data: AccountData) -> None:
        self._account_data = account_data

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_ACCOUNT_DATA, self.get),
            route(api.SET_ACCOUNT_DATA, self.set),
            route(api.GET_ACCOUNT_DATA_PER_ROOM, self.get_per_room),
            route(api.SET_ACCOUNT_DATA_PER_ROOM, self.set_per_room),
            route(api.GET_ROOM_TAGS, self.get_tags),
            route(api.SET_ROOM_TAG, self.set_tag),
            route(api.DELETE_ROOM_TAG, self.delete_tag),
        ]

    async def get(self, call: Call[api.GetAccountDataRequest]) -> msgspec.Raw:
        _check_own(call, call.args.user_id)
        return msgspec.Raw(await self._account_data.get(call.user_id, call.args.type))

    async def set(self, call: Call[api.SetAccountDataRequest]) -> Empty:
        _check_own(call, call.args.user_id)
        await self._account_data.set(call.user_id, call.args.type, call.body_bytes)
        return Empty()

    async def get_per_room(self, call: Call[api.GetAccountDataPerRoomRequest]) -> msgspec.Raw:
        _check_own(call, call.args.user_id)
        return msgspec.Raw(await self._account_data.get(call.user_id, call.args.type, call.args.room_id))

    async def set_per_room(self, call: Call[api.SetAccountDataPerRoomRequest]) -> Empty:
        _check_own(call, call.args.user_id)
        await self._account_data.set(call.user_id, call.args.type, call.body_bytes, call.args.room_id)
        return Empty()

    async def get_tags(self, call: Call[api.GetRoomTagsRequest]) -> api.GetRoomTagsResponse:
        _check_own(call, call.args.user_id)
        return api.GetRoomTagsResponse(tags=await self._account_data.tags(call.user_id, call.args.room_id))

    async def set_tag(self, call: Call[api.SetRoomTagRequest]) -> Empty:
        _check_own(call, call.args.user_id)
        await self._account_data.set_tag(call.user_id, call.args.room_id, call.args.tag, call.args.content)
        return Empty()

    async def delete_tag(self, call: Call[api.DeleteRoomTagRequest]) -> Empty:
        _check_own(call, call.args.user_id)
        await self._account_data.delete_tag(call.user_id, call.args.room_id, call.args.tag)
        return Empty()


def _check_own(call: Call[Any], user_id: str) -> None:
    if user_id != call.user_id:
        raise Forbidden("Account data is for its own account alone.")
