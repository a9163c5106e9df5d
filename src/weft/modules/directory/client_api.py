"""The endpoints of aliases and of the public directory."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.directory.service import Directory
from weft.protocol.api.client import directory as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import is_valid_room_alias


class DirectoryApi:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_ROOM_ID_BY_ALIAS, self.get_room_id_by_alias),
            route(api.SET_ROOM_ALIAS, self.set_room_alias),
            route(api.DELETE_ROOM_ALIAS, self.delete_room_alias),
            route(api.GET_LOCAL_ALIASES, self.get_local_aliases),
            route(api.GET_ROOM_VISIBILITY_ON_DIRECTORY, self.get_visibility),
            route(api.SET_ROOM_VISIBILITY_ON_DIRECTORY, self.set_visibility),
            route(api.GET_PUBLIC_ROOMS, self.get_public_rooms),
            route(api.QUERY_PUBLIC_ROOMS, self.query_public_rooms),
        ]

    async def get_room_id_by_alias(self, call: Call[api.GetRoomIdByAliasRequest]) -> api.GetRoomIdByAliasResponse:
        room_id, servers = await self._directory.locate(_alias(call.args.room_alias))
        return api.GetRoomIdByAliasResponse(room_id=room_id, servers=servers)

    async def set_room_alias(self, call: Call[api.SetRoomAliasRequest]) -> Empty:
        await self._directory.add_alias(call.requester, call.args.room_alias, call.args.room_id)
        return Empty()

    async def delete_room_alias(self, call: Call[api.DeleteRoomAliasRequest]) -> Empty:
        await self._directory.delete_alias(call.requester, call.args.room_alias)
        return Empty()

    async def get_local_aliases(self, call: Call[api.GetLocalAliasesRequest]) -> api.GetLocalAliasesResponse:
        aliases = await self._directory.aliases_of(call.requester, call.args.room_id)
        return api.GetLocalAliasesResponse(aliases=aliases)

    async def get_visibility(
        self, call: Call[api.GetRoomVisibilityOnDirectoryRequest]
    ) -> api.GetRoomVisibilityOnDirectoryResponse:
        published = await self._directory.is_published(call.args.room_id)
        return api.GetRoomVisibilityOnDirectoryResponse(visibility="public" if published else "private")

    async def set_visibility(self, call: Call[api.SetRoomVisibilityOnDirectoryRequest]) -> Empty:
        await self._directory.set_visibility(call.requester, call.args.room_id, call.args.visibility)
        return Empty()

    async def get_public_rooms(self, call: Call[api.GetPublicRoomsRequest]) -> api.PublicRoomsResponse:
        args = call.args
        return await self._directory.page_of(args.server, api.PublicRoomsAsked(limit=args.limit, since=args.since))

    async def query_public_rooms(self, call: Call[api.QueryPublicRoomsRequest]) -> api.PublicRoomsResponse:
        return await self._directory.page_of(call.args.server, call.args)


def _alias(alias: str) -> str:
    """Raises `InvalidParam` for what is no room alias."""
    if not is_valid_room_alias(alias):
        raise InvalidParam("This is not a room alias.")
    return alias
