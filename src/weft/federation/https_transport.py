"""Requests to other servers over HTTPS: where their names lead, with the certificates that these ask for.

Of several places that SRV records name, the next is tried where one can't be reached, within the request's time.

https://spec.matrix.org/v1.19/server-server-api/#tls
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from weft.federation.discovery import Discovery
from weft.federation.transport import OutgoingRequest
from weft.http.client import HttpClient, Reply, StreamedReply
from weft.protocol.errors import Unreachable


class HttpsTransport:
    """A `weft.federation.transport.Transport`; it owns the client."""

    def __init__(self, discovery: Discovery, client: HttpClient) -> None:
        self._discovery = discovery
        self._client = client

    async def send(self, request: OutgoingRequest) -> Reply:
        async with self.stream(request) as reply:
            return Reply(reply.status, reply.headers, b"".join([chunk async for chunk in reply.chunks]), reply.url)

    @asynccontextmanager
    async def stream(self, request: OutgoingRequest) -> AsyncIterator[StreamedReply]:
        targets = await self._discovery.resolve(request.destination)
        seconds = request.timeout / len(targets)
        unreachable: Unreachable | None = None
        for target in targets:
            async with AsyncExitStack() as opened:
                try:
                    reply = await opened.enter_async_context(
                        self._client.stream(
                            request.method,
                            f"{target.url}{request.uri}",
                            headers={**request.headers, "Host": target.host_header},
                            body=request.body,
                            timeout=seconds,
                            max_bytes=request.max_bytes,
                            server_hostname=target.certificate_name,
                        )
                    )
                except Unreachable as error:
                    unreachable = error
                    continue
                yield reply
                return
        raise unreachable or Unreachable(f"{request.destination} is nowhere")

    async def fetch(self, url: str, *, timeout: float, max_bytes: int) -> Reply:
        return await self._client.request("GET", url, timeout=timeout, max_bytes=max_bytes)

    async def close(self) -> None:
        await self._client.close()
