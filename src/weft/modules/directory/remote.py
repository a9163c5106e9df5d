"""What other servers' directories say: where their aliases lead, and which rooms they publish.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
"""

from __future__ import annotations

from typing import Final, NamedTuple

from weft.federation.asking import Asking
from weft.protocol.api.client.directory import PublicRoomsAsked, PublicRoomsResponse
from weft.protocol.api.federation import directory as api
from weft.protocol.api.federation import queries
from weft.protocol.errors import NotFound
from weft.protocol.identifiers import domain_of, is_valid_room_id, is_valid_server_name

#: How many of the servers that an alias names are believed.
_MOST_SERVERS: Final = 50


class Located(NamedTuple):
    """A room, and servers that are in it as far as is known, the likeliest first."""

    room_id: str
    servers: list[str]


class RemoteDirectories:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def alias(self, alias: str) -> Located:
        """Where an alias of another server leads. Raises `NotFound`, or that the server can't be asked."""
        missing = f"Room alias {alias} not found."
        answer = await self._asking.ask(
            domain_of(alias),
            queries.QUERY_ROOM_DIRECTORY,
            queries.QueryRoomDirectoryRequest(room_alias=alias),
            missing=missing,
        )
        if not is_valid_room_id(answer.room_id):
            raise NotFound(missing)
        named = [name for name in answer.servers[:_MOST_SERVERS] if is_valid_server_name(name)]
        # Whoever keeps the alias is likely to be there.
        return Located(answer.room_id, list(dict.fromkeys([*named, domain_of(alias)])))

    async def page(self, server: str, asked: PublicRoomsAsked) -> PublicRoomsResponse:
        """A page of another server's directory."""
        missing = f"{server} shows no directory."
        if asked.filter is None:
            request = api.GetPublicRoomsRequest(
                limit=asked.limit,
                since=asked.since,
                include_all_networks=asked.include_all_networks,
                third_party_instance_id=asked.third_party_instance_id,
            )
            return await self._asking.ask(server, api.GET_PUBLIC_ROOMS, request, missing=missing)
        search = api.QueryPublicRoomsRequest(
            limit=asked.limit,
            since=asked.since,
            filter=asked.filter,
            include_all_networks=asked.include_all_networks,
            third_party_instance_id=asked.third_party_instance_id,
        )
        return await self._asking.ask(server, api.QUERY_PUBLIC_ROOMS, search, missing=missing)
