"""Full-text search. https://spec.matrix.org/v1.19/client-server-api/#server-side-search"""

from weft.modules.module import Module
from weft.modules.search.client_api import SearchApi
from weft.modules.search.index import Index
from weft.modules.search.service import Search

__all__ = ["Index", "Search", "module"]


def module(search: Search, index: Index, *, enabled: bool) -> Module:
    """Where search is switched off, nothing is indexed; switched on again, the index catches up."""
    return Module(name="search", routes=SearchApi(search).routes(), followers=[index.follower] if enabled else [])
