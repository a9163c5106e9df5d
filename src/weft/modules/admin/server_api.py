"""What administrators ask of the server itself."""

from __future__ import annotations

from typing import Any

from weft import __version__
from weft.http.call import Call, Route, route
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import server as api


class ServerApi:
    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_SERVER_VERSION, self.version)]

    async def version(self, call: Call[Empty]) -> api.GetServerVersionResponse:
        return api.GetServerVersionResponse(server_version=f"Weft {__version__}")
