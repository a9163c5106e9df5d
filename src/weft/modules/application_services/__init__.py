"""Application services: bridges and bots that act for many users and hear what passes.

    services = ApplicationServices(engine, registrations, accounts)
    application_services.module(engine, services, …)

https://spec.matrix.org/v1.19/application-service-api/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from weft.modules.application_services.client_api import ApplicationServicesApi, SetNetworkVisibility
from weft.modules.application_services.hearing import ServiceHearing
from weft.modules.application_services.service import ApplicationServices
from weft.modules.application_services.telling import Telling
from weft.modules.application_services.third_party import ThirdPartyNetworks
from weft.modules.events import EventForms, Sharing
from weft.modules.module import Module
from weft.rooms.engine import Engine

__all__ = ["ApplicationServices", "module"]


def module(
    engine: Engine,
    services: ApplicationServices,
    *,
    forms: EventForms,
    sharing: Sharing,
    parts: Sequence[Module],
    aliases_of: Callable[[int], Awaitable[list[str]]],
    set_network_visibility: SetNetworkVisibility,
) -> Module:
    """`parts` are the modules of which services may hear; `aliases_of` has a room's aliases, by its number."""
    overheard = [part.overheard for part in parts if part.overheard is not None]
    asking, registrations = services.asking, services.registrations
    for one in registrations:
        if one.url is not None:
            hearing = ServiceHearing(engine, one, sharing, aliases_of)
            services.telling[one.id] = Telling(engine, one, asking, hearing, forms, overheard, services.ask_user)
    api = ApplicationServicesApi(services, ThirdPartyNetworks(engine, registrations, asking), set_network_visibility)
    return Module(
        name="application_services",
        routes=api.routes(),
        starts=[services.start],
        stops=[asking.close],
        followers=[telling.follower for telling in services.telling.values()],
    )
