"""What a server says of itself before anybody has logged in, and what it lets a user do.

https://spec.matrix.org/v1.19/client-server-api/#server-discovery
https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation
https://spec.matrix.org/v1.19/server-server-api/#server-implementation
"""

from __future__ import annotations

from weft.modules.discovery.client_api import DiscoveryApi
from weft.modules.discovery.federation_api import routes as federation_routes
from weft.modules.module import Module
from weft.settings import Settings

__all__ = ["module"]


def module(settings: Settings) -> Module:
    return Module(name="discovery", routes=[*DiscoveryApi(settings).routes(), *federation_routes()])
