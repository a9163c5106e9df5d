"""The endpoints by which other servers ask for our aliases and look through our directory.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.directory.service import Directory
from weft.protocol.api.client.directory import PublicRoomsAsked, PublicRoomsResponse
from weft.protocol.api.federation import directory as api
from weft.protocol.api.federation import queries
from weft.protocol.errors import Forbidden


class FederationApi:
    """`shows_rooms` says whether other servers may look through the directory."""

    def __init__(self, directory: Directory, *, shows_rooms: bool) -> None:
        self._directory = directory
        self._shows_rooms = shows_rooms

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(queries.QUERY_ROOM_DIRECTORY, self.query_room_directory),
            route(api.GET_PUBLIC_ROOMS, self.get_public_rooms),
            route(api.QUERY_PUBLIC_ROOMS, self.query_public_rooms),
        ]

    async def query_room_directory(
        self, call: Call[queries.QueryRoomDirectoryRequest]
    ) -> queries.QueryRoomDirectoryResponse:
        found = await self._directory.alias(call.args.room_alias)
        servers = await self._directory.servers_of(found.room_id)
        return queries.QueryRoomDirectoryResponse(room_id=found.room_id, servers=servers)

    async def get_public_rooms(self, call: Call[api.GetPublicRoomsRequest]) -> PublicRoomsResponse:
        args = call.args
        return await self._page(
            PublicRoomsAsked(
                limit=args.limit,
                since=args.since,
                include_all_networks=args.include_all_networks,
                third_party_instance_id=args.third_party_instance_id,
            )
        )

    async def query_public_rooms(self, call: Call[api.QueryPublicRoomsRequest]) -> PublicRoomsResponse:
        return await self._page(call.args)

    async def _page(self, asked: PublicRoomsAsked) -> PublicRoomsResponse:
        if not self._shows_rooms:
            raise Forbidden("This server does not show its directory to other servers.")
        return await self._directory.page(asked, federated=True)
