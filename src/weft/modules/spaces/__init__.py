"""Rooms that hold rooms. https://spec.matrix.org/v1.19/client-server-api/#spaces"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.spaces.client_api import SpacesApi
from weft.modules.spaces.federation_api import FederationApi
from weft.modules.spaces.hierarchy import Hierarchy

__all__ = ["Hierarchy", "module"]


def module(hierarchy: Hierarchy) -> Module:
    return Module(name="spaces", routes=[*SpacesApi(hierarchy).routes(), *FederationApi(hierarchy).routes()])
