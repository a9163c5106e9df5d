"""Asking application services: an endpoint and a request go in, the endpoint's answer comes out.

https://spec.matrix.org/v1.19/application-service-api/#homeserver---application-service-api
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from weft.http.client import HttpClient, Refused, Reply
from weft.http.encode import RequestEncoder
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.application_services import Registration
from weft.protocol.errors import PeerError, Unreachable

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")

#: Seconds for an answer.
TIMEOUT: Final = 60.0
#: What a service answers that does not know a path.
_UNKNOWN_PATH: Final = (404, 405, 501)


class Asking:
    """Every request to an application service goes through here.

    What may go wrong is what `weft.http.client` raises: `Unreachable`, `NotNow`, `Refused`, `PeerError`.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._encoders: dict[str, RequestEncoder[Any]] = {}

    async def close(self) -> None:
        await self._http.close()

    async def call(self, service: Registration, endpoint: Endpoint[Q, R], request: Q, *, timeout: float = TIMEOUT) -> R:
        """A good answer; where the service does not know the path, that of the older name.

        https://spec.matrix.org/v1.19/application-service-api/#legacy-routes
        """
        reply = await self.reply(service, endpoint, request, timeout=timeout)
        if len(endpoint.paths) > 1 and _is_unknown_path(reply):
            reply = await self.reply(service, _older(endpoint), request, timeout=timeout, in_query=True)
        body = reply.check().body
        try:
            return msgspec.json.decode(body, type=endpoint.response)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PeerError(f"{service.id} did not answer as expected: {error}") from error

    async def reply(
        self,
        service: Registration,
        endpoint: Endpoint[Any, Any],
        request: msgspec.Struct,
        *,
        timeout: float = TIMEOUT,
        in_query: bool = False,
    ) -> Reply:
        """The answer, whatever its status. `in_query`: the token goes where the oldest services look for it, too."""
        if service.url is None:
            raise Unreachable(f"the application service {service.id} has no url")
        encoder = self._encoders.get(endpoint.path)
        if encoder is None:
            encoder = self._encoders[endpoint.path] = RequestEncoder(endpoint)
        encoded = encoder.encode(request)
        target = encoded.target
        if in_query:
            target += f"{'&' if '?' in target else '?'}access_token={quote(service.hs_token, safe='')}"
        return await self._http.request(
            endpoint.method,
            service.url + target,
            headers={
                "Authorization": f"Bearer {service.hs_token}",
                **({"Content-Type": "application/json"} if encoded.body is not None else {}),
            },
            body=encoded.body,
            timeout=timeout,
        )

    async def says_yes(
        self, services: Sequence[Registration], endpoint: Endpoint[Q, Any], request: Q, *, timeout: float
    ) -> bool:
        """Whether one of some services answers well, asked in turn. Raises `Unreachable` if none did and one can't."""
        unreachable: Unreachable | None = None
        for service in services:
            try:
                await self.call(service, endpoint, request, timeout=timeout)
            except Refused:
                continue
            except Unreachable as error:
                unreachable = error
            else:
                return True
        if unreachable is not None:
            raise unreachable
        return False


def _older(endpoint: Endpoint[Q, R]) -> Endpoint[Q, R]:
    return replace(endpoint, paths=endpoint.paths[1:])


def _is_unknown_path(reply: Reply) -> bool:
    """A 404 that is not about what was asked for."""
    if reply.status not in _UNKNOWN_PATH:
        return False
    try:
        said = reply.json_object()
    except PeerError:
        return True
    return said.get("errcode") in (None, "M_UNRECOGNIZED")
