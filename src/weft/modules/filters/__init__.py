"""Filters that clients store. https://spec.matrix.org/v1.19/client-server-api/#filtering"""

from weft.modules.filters.client_api import ClientApi
from weft.modules.filters.service import Filters
from weft.modules.module import Module

__all__ = ["Filters", "module"]


def module(filters: Filters) -> Module:
    return Module(name="filters", routes=ClientApi(filters).routes())
