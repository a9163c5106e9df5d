"""How the endpoints of this package are declared, and the values that they share.

Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Endpoint

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

ROOT = "/_synapse/admin"

#: A number that a database can hold.
Number = Annotated[int, Meta(ge=0, le=(1 << 53))]
#: How many items a page may have.
PageLimit = Annotated[int, Meta(ge=0, le=(1 << 31))]
#: What somebody searches by.
SearchTerm = Annotated[str, Meta(max_length=255)]
#: The id of a piece of work that goes on after its request was answered.
JobId = Annotated[str, Meta(max_length=64)]


def admin(
    operation_id: str, method: str, *paths: str, request: type[Q], response: type[R], rate_limit: str | None = None
) -> Endpoint[Q, R]:
    """An endpoint for administrators; its paths begin with the version: `v1/users/{userId}`."""
    return Endpoint(
        operation_id=operation_id,
        method=method,
        paths=tuple(f"{ROOT}/{path}" for path in paths),
        request=request,
        response=response,
        auth=Auth.ADMIN,
        rate_limit=rate_limit,
    )
