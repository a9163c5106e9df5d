"""Filters that a client stores, to name them in `/sync`.

A filter is kept as it came, keys that we don't know included; `weft.protocol.filters` says whether it is one.

https://spec.matrix.org/v1.19/client-server-api/#filtering
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field

from weft.protocol.api.endpoint import Auth, Body, Endpoint, Path, Struct, client
from weft.protocol.api.types import SessionKey, UserId


class DefineFilterRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    filter: Body[dict[str, Any]]


class DefineFilterResponse(Struct):
    filter_id: str


class GetFilterRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    filter_id: Path[SessionKey] = field(name="filterId")


DEFINE_FILTER = Endpoint(
    operation_id="defineFilter",
    method="POST",
    paths=client("/user/{userId}/filter"),
    request=DefineFilterRequest,
    response=DefineFilterResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="settings",
    max_body=1 << 16,
)

GET_FILTER = Endpoint(
    operation_id="getFilter",
    method="GET",
    paths=client("/user/{userId}/filter/{filterId}"),
    request=GetFilterRequest,
    response=msgspec.Raw,
    auth=Auth.GUEST_SUSPENDED,
)

ENDPOINTS = (DEFINE_FILTER, GET_FILTER)
