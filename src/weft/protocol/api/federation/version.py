"""Which software a server runs.

https://spec.matrix.org/v1.19/server-server-api/#server-implementation
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Struct, federation


class ServerImplementation(Struct):
    name: str | None = None
    version: str | None = None


class GetVersionResponse(Struct):
    server: ServerImplementation | None = None


GET_VERSION = Endpoint(
    operation_id="getVersion",
    method="GET",
    paths=federation("/version"),
    request=Empty,
    response=GetVersionResponse,
    auth=Auth.NONE,
    api=Api.FEDERATION,
)

ENDPOINTS = (GET_VERSION,)
