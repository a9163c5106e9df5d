"""What this server says of itself to other servers.

https://spec.matrix.org/v1.19/server-server-api/#server-implementation
"""

from __future__ import annotations

from typing import Any, Final

from weft import __version__
from weft.http.call import Call, Route, route
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.federation import version as api

_ANSWER: Final = api.GetVersionResponse(server=api.ServerImplementation(name="Weft", version=__version__))


def routes() -> list[Route[Any, Any]]:
    return [route(api.GET_VERSION, get_version)]


async def get_version(call: Call[Empty]) -> api.GetVersionResponse:
    return _ANSWER
