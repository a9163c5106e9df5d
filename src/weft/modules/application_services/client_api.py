"""The endpoints of application services, and those by which clients ask for what services lead to."""

from __future__ import annotations

from typing import Any, Protocol

from weft.http.call import Call, Route, route
from weft.modules.application_services.service import ApplicationServices
from weft.modules.application_services.third_party import ThirdPartyNetworks
from weft.protocol.api import third_party_networks as networks
from weft.protocol.api.client import application_services as api
from weft.protocol.api.client import third_party_networks as third_party
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.types import RoomVisibility
from weft.protocol.errors import Forbidden


class SetNetworkVisibility(Protocol):
    """Puts a room into a service's directory of one network, or takes it out."""

    async def __call__(self, service_id: str, network_id: str, room_id: str, visibility: RoomVisibility) -> None: ...


class ApplicationServicesApi:
    def __init__(
        self, services: ApplicationServices, third_parties: ThirdPartyNetworks, set_visibility: SetNetworkVisibility
    ) -> None:
        self._services = services
        self._third_parties = third_parties
        self._set_visibility = set_visibility

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.PING_APPSERVICE, self.ping),
            route(api.UPDATE_APPSERVICE_ROOM_DIRECTORY_VISIBILITY, self.set_visibility),
            route(third_party.GET_PROTOCOLS, self.protocols),
            route(third_party.GET_PROTOCOL_METADATA, self.protocol),
            route(third_party.QUERY_LOCATION_BY_PROTOCOL, self.locations),
            route(third_party.QUERY_USER_BY_PROTOCOL, self.users),
            route(third_party.QUERY_LOCATION_BY_ALIAS, self.locations_of),
            route(third_party.QUERY_USER_BY_ID, self.users_of),
        ]

    async def ping(self, call: Call[api.PingAppserviceRequest]) -> api.PingAppserviceResponse:
        service = self._services.of(call.requester)
        if service.id != call.args.appservice_id:
            raise Forbidden("This is the token of another application service.")
        return api.PingAppserviceResponse(duration_ms=await self._services.ping(service, call.args.transaction_id))

    async def set_visibility(self, call: Call[api.UpdateAppserviceRoomDirectoryVisibilityRequest]) -> Empty:
        service = self._services.of(call.requester)
        await self._set_visibility(service.id, call.args.network_id, call.args.room_id, call.args.visibility)
        return Empty()

    async def protocols(self, call: Call[Empty]) -> dict[str, networks.Protocol]:
        return await self._third_parties.protocols()

    async def protocol(self, call: Call[third_party.ProtocolRequest]) -> networks.Protocol:
        return await self._third_parties.protocol(call.args.protocol)

    async def locations(self, call: Call[third_party.ByProtocolRequest]) -> list[networks.Location]:
        return await self._third_parties.locations(call.args.protocol, call.args.fields)

    async def users(self, call: Call[third_party.ByProtocolRequest]) -> list[networks.ThirdPartyUser]:
        return await self._third_parties.users(call.args.protocol, call.args.fields)

    async def locations_of(self, call: Call[third_party.QueryLocationByAliasRequest]) -> list[networks.Location]:
        return await self._third_parties.locations_of(call.args.alias)

    async def users_of(self, call: Call[third_party.QueryUserByIdRequest]) -> list[networks.ThirdPartyUser]:
        return await self._third_parties.users_of(call.args.userid)
