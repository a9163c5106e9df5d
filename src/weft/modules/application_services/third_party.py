"""Third-party networks: what clients ask of them goes to the application services that lead there.

https://spec.matrix.org/v1.19/application-service-api/#third-party-networks
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from weft.modules.application_services.asking import Asking
from weft.protocol.api.application_service import third_party as api
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.third_party_networks import Location, Protocol, ThirdPartyUser
from weft.protocol.application_services import Registration, Registrations
from weft.protocol.errors import NotFound, WeftError
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

R = TypeVar("R")
#: Seconds for an answer: a person waits.
_TIMEOUT: Final = 10.0
#: How long what a service said of its protocol is believed.
_BELIEVED_MS: Final = 300_000


class ThirdPartyNetworks:
    def __init__(self, engine: Engine, registrations: Registrations, asking: Asking) -> None:
        self._now_ms = engine.outside.now_ms
        self._registrations = registrations
        self._asking = asking
        self._known: dict[tuple[str, str], tuple[int, Protocol]] = {}

    async def protocols(self) -> dict[str, Protocol]:
        """Every protocol of which its services say something now."""
        names = sorted({name for service in self._registrations for name in service.protocols})
        found = await asyncio.gather(*map(self._protocol, names))
        return {name: protocol for name, protocol in zip(names, found, strict=True) if protocol is not None}

    async def protocol(self, name: str) -> Protocol:
        """Raises `NotFound` for one that no service has."""
        found = await self._protocol(name)
        if found is None:
            raise NotFound("No such protocol is known here.")
        return found

    async def locations(self, protocol: str, fields: dict[str, str]) -> list[Location]:
        """The rooms that lead to a place. Raises `NotFound` for a protocol that no service has."""
        return await self._ask_all(
            self._services(protocol),
            api.QUERY_LOCATION_BY_PROTOCOL,
            api.ByProtocolRequest(protocol=protocol, fields=fields),
        )

    async def users(self, protocol: str, fields: dict[str, str]) -> list[ThirdPartyUser]:
        """The users who stand for somebody. Raises `NotFound` for a protocol that no service has."""
        return await self._ask_all(
            self._services(protocol),
            api.QUERY_USER_BY_PROTOCOL,
            api.ByProtocolRequest(protocol=protocol, fields=fields),
        )

    async def locations_of(self, alias: str) -> list[Location]:
        """The places to which a room leads. Raises `NotFound` where there are none."""
        services = [one for one in self._registrations if one.url is not None and one.has_alias(alias)]
        found = await self._ask_all(services, api.QUERY_LOCATION_BY_ALIAS, api.ByAliasRequest(alias=alias))
        if not found:
            raise NotFound("The room leads to no place of a third-party network.")
        return found

    async def users_of(self, user_id: str) -> list[ThirdPartyUser]:
        """Whom a user stands for. Raises `NotFound` for one who stands for nobody."""
        services = [one for one in self._registrations if one.url is not None and one.has_user(user_id)]
        found = await self._ask_all(services, api.QUERY_USER_BY_ID, api.ByUserRequest(userid=user_id))
        if not found:
            raise NotFound("The user stands for nobody of a third-party network.")
        return found

    def _services(self, protocol: str) -> list[Registration]:
        services = [one for one in self._registrations if one.url is not None and protocol in one.protocols]
        if not services:
            raise NotFound("No such protocol is known here.")
        return services

    async def _protocol(self, name: str) -> Protocol | None:
        """What its services say of a protocol, as one: the first one's fields, everybody's networks."""
        services = [one for one in self._registrations if one.url is not None and name in one.protocols]
        found = [one for one in await asyncio.gather(*(self._said(each, name) for each in services)) if one]
        if not found:
            return None
        return msgspec.structs.replace(found[0], instances=[each for one in found for each in one.instances])

    async def _said(self, service: Registration, name: str) -> Protocol | None:
        key = service.id, name
        until_ms, known = self._known.get(key, (0, None))
        if known is not None and self._now_ms() < until_ms:
            return known
        try:
            said = await self._asking.call(
                service, api.GET_PROTOCOL_METADATA, api.ProtocolRequest(protocol=name), timeout=_TIMEOUT
            )
        except WeftError as error:
            log.warning("an application service says nothing of its protocol", service=service.id, error=str(error))
            return known
        named = [
            msgspec.structs.replace(each, instance_id=f"{service.id}|{each.network_id}") for each in said.instances
        ]
        said = msgspec.structs.replace(said, instances=named)
        self._known[key] = self._now_ms() + _BELIEVED_MS, said
        return said

    async def _ask_all(
        self, services: Sequence[Registration], endpoint: Endpoint[Any, list[R]], request: msgspec.Struct
    ) -> list[R]:
        """What all the services say; one that says nothing good is passed over."""

        async def ask(service: Registration) -> list[R]:
            try:
                return await self._asking.call(service, endpoint, request, timeout=_TIMEOUT)
            except WeftError as error:
                log.warning("an application service did not answer", service=service.id, error=str(error))
                return []

        answers = await asyncio.gather(*map(ask, services))
        return [one for answer in answers for one in answer]
