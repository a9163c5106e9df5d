"""Tokens by which a user proves to a third party who they are.

https://spec.matrix.org/v1.19/client-server-api/#openid
"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.openid.client_api import OpenIdApi
from weft.modules.openid.federation_api import FederationApi
from weft.modules.openid.service import OpenIdService

__all__ = ["OpenIdService", "module"]


def module(service: OpenIdService) -> Module:
    routes = [*OpenIdApi(service).routes(), *FederationApi(service).routes()]
    return Module(name="openid", routes=routes, tasks=service.tasks)
