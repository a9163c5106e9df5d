"""Finding people by name.

https://spec.matrix.org/v1.19/client-server-api/#user-directory
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Endpoint, Struct, client
from weft.protocol.api.types import Limit


class SearchUserDirectoryRequest(Struct):
    search_term: Annotated[str, Meta(max_length=1024)]
    limit: Limit = 10


class User(Struct):
    user_id: str
    display_name: str | None = None
    avatar_url: str | None = None


class SearchUserDirectoryResponse(Struct):
    """Best match first; `limited` if there were more."""

    results: list[User]
    limited: bool


SEARCH_USER_DIRECTORY = Endpoint(
    operation_id="searchUserDirectory",
    method="POST",
    paths=client("/user_directory/search"),
    request=SearchUserDirectoryRequest,
    response=SearchUserDirectoryResponse,
    auth=Auth.SUSPENDED,
    rate_limit="user_directory",
)

ENDPOINTS = (SEARCH_USER_DIRECTORY,)
