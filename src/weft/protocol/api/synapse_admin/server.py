"""The server itself."""

from __future__ import annotations

from weft.protocol.api.endpoint import Empty, Struct
from weft.protocol.api.synapse_admin.declaring import admin


class GetServerVersionResponse(Struct):
    server_version: str


GET_SERVER_VERSION = admin(
    "getServerVersion", "GET", "v1/server_version", request=Empty, response=GetServerVersionResponse
)

ENDPOINTS = (GET_SERVER_VERSION,)
