"""Asking other servers: an endpoint and a request go in, the endpoint's answer comes out.

    answer = await peers.call(MAKE_JOIN, MakeJoinRequest(…), origin="ours.example", destination="theirs.example")

The request is spelled once; what is signed is what is sent. Whoever does not answer is left alone for a while
(`destinations`), and a server is asked a few things at a time.

What may go wrong: `Unreachable`; `NotNow` (it is left alone just now, or asked for that itself); `Refused` (an error of
the specification, with its status and code); any other `PeerError` (what came is no answer).

https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec

from weft.federation.destinations import Destinations
from weft.federation.own_keys import OwnKeys
from weft.federation.transport import OutgoingRequest, Transport
from weft.http.client import Refused, Reply, StreamedReply
from weft.http.encode import RequestEncoder
from weft.protocol import canonical_json
from weft.protocol.api.endpoint import Auth, Endpoint
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.identifiers import is_valid_server_name
from weft.protocol.request_auth import authorization

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")

#: Seconds for an answer, where the caller does not say.
TIMEOUT: Final = 30.0
#: Requests to one server at a time; fewer than the connections to one host, so that none waits inside the pool.
AT_ONCE: Final = 12
#: Bytes of an error that are read of an answer that is otherwise streamed.
_MOST_OF_AN_ERROR: Final = 65_536
#: Answers of a reverse proxy whose server is down.
_DOWN: Final = (502, 503, 504)


class Peers:
    """Every request to another server goes through here. `enabled` False: none does."""

    def __init__(
        self,
        transport: Transport,
        destinations: Destinations,
        own_keys: OwnKeys,
        *,
        now_ms: Callable[[], int],
        enabled: bool = True,
    ) -> None:
        self._transport = transport
        self._destinations = destinations
        self._own_keys = own_keys
        self._now_ms = now_ms
        self.enabled = enabled
        self._encoders: dict[str, RequestEncoder[Any]] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        #: The free places of each server that is being asked something, and how many want one.
        self._places: dict[str, tuple[asyncio.Semaphore, int]] = {}

    async def call(
        self,
        endpoint: Endpoint[Q, R],
        request: Q,
        *,
        origin: str,
        destination: str,
        timeout: float = TIMEOUT,
        max_bytes: int | None = None,
        even_if_backed_off: bool = False,
        remember_failure: bool = True,
    ) -> R:
        """What `destination` answers to one of our domains, `origin`.

        `timeout` is seconds for all of it; `max_bytes` stands in for the endpoint's `max_answer`.
        `even_if_backed_off`: tries also while the server is left alone. `remember_failure` False: a failure is no
        reason to leave it alone, because a stranger chose the name. Raises what the module's docstring lists.
        """
        self._check(destination, even_if_backed_off=even_if_backed_off)
        outgoing = self._outgoing(endpoint, request, origin, destination, timeout, max_bytes)
        async with self._place(destination, timeout):
            try:
                reply = await self._transport.send(outgoing)
            except Unreachable:
                if remember_failure:
                    self._destinations.failed(destination)
                raise
        return self._read(endpoint, reply, destination, remember_failure=remember_failure)

    @asynccontextmanager
    async def stream(
        self,
        endpoint: Endpoint[Q, Any],
        request: Q,
        *,
        origin: str,
        destination: str,
        timeout: float = TIMEOUT,
        max_bytes: int,
    ) -> AsyncIterator[StreamedReply]:
        """A good answer whose body is bytes, still unread. A failure is no reason to leave the server alone.

        Raises as `call` does.
        """
        self._check(destination, even_if_backed_off=False)
        outgoing = self._outgoing(endpoint, request, origin, destination, timeout, max_bytes)
        async with self._place(destination, timeout), self._transport.stream(outgoing) as reply:
            if not 200 <= reply.status < 300:
                Reply(reply.status, reply.headers, await _beginning(reply.chunks), reply.url).check()
            self._destinations.heard_from(destination)
            yield reply

    def _check(self, destination: str, *, even_if_backed_off: bool) -> None:
        """Raises where a server is not to be asked, now or at all."""
        if not self.enabled:
            raise Unreachable("federation is turned off")
        if destination in self._own_keys:
            raise Unreachable(f"{destination} is this server itself")
        if not is_valid_server_name(destination):
            raise PeerError(f"{destination[:64]!r} is not a server name")
        failing = self._destinations.failing(destination)
        if failing is not None and not even_if_backed_off and not self.is_available(destination):
            wait_ms = max(1, failing.retry_at_ms - self._now_ms())
            raise NotNow(f"{destination} did not answer lately and is left alone for a while", retry_after_ms=wait_ms)

    async def first_of(
        self,
        destinations: Iterable[str],
        endpoint: Endpoint[Q, R],
        request: Q,
        *,
        origin: str,
        timeout: float = TIMEOUT,
        max_bytes: int | None = None,
        at_most: int = 10,
        is_final: Callable[[Refused], bool] = lambda refused: False,
    ) -> tuple[str, R]:
        """The first good answer of several servers, asked one after another, and whose it is.

        Ours are passed over, and those that are left alone just now come last. `is_final` says which refusal would be
        every server's. Raises the first refusal, or else the first error, if none answers well.
        """
        others = [name for name in dict.fromkeys(destinations) if name not in self._own_keys]
        others.sort(key=lambda name: not self.is_available(name))
        errors: list[Unreachable | NotNow | PeerError] = []
        for destination in others[:at_most]:
            try:
                answer = await self.call(
                    endpoint, request, origin=origin, destination=destination, timeout=timeout, max_bytes=max_bytes
                )
            except (Unreachable, NotNow, PeerError) as error:
                if isinstance(error, Refused) and is_final(error):
                    raise
                errors.append(error)
            else:
                return destination, answer
        refusals = [error for error in errors if isinstance(error, Refused)]
        raise next(iter([*refusals, *errors]), Unreachable("there is no other server to ask"))

    def is_available(self, destination: str) -> bool:
        """Whether the server is not left alone just now."""
        return self._destinations.is_available(destination)

    def retry_at_ms(self, destination: str) -> int | None:
        """When a server that does not answer is worth another try; None for one that does."""
        failing = self._destinations.failing(destination)
        return None if failing is None else failing.retry_at_ms

    def failing_since_ms(self, destination: str) -> int | None:
        """Since when a server does not answer; None for one that does."""
        failing = self._destinations.failing(destination)
        return None if failing is None else failing.failing_since_ms

    def heard_from(self, server_name: str) -> None:
        """A server showed that it is there: it is no longer left alone."""
        self._destinations.heard_from(server_name)

    def _outgoing(
        self,
        endpoint: Endpoint[Q, Any],
        request: Q,
        origin: str,
        destination: str,
        timeout: float,
        max_bytes: int | None,
    ) -> OutgoingRequest:
        encoder = self._encoders.get(endpoint.name)
        if encoder is None:
            encoder = self._encoders[endpoint.name] = RequestEncoder(endpoint)
        uri, headers, body = encoder.encode(request)
        if body is not None:
            body = canonical_json.canonical_lax(body)
            headers["Content-Type"] = "application/json"
        if endpoint.auth is Auth.SERVER:
            headers["Authorization"] = authorization(
                self._own_keys.current[origin],
                method=endpoint.method,
                uri=uri,
                origin=origin,
                destination=destination,
                content=body,
            )
        return OutgoingRequest(
            origin=origin,
            destination=destination,
            method=endpoint.method,
            uri=uri,
            headers=headers,
            body=body,
            timeout=timeout,
            max_bytes=endpoint.max_answer if max_bytes is None else max_bytes,
        )

    def _read(self, endpoint: Endpoint[Any, R], reply: Reply, destination: str, *, remember_failure: bool) -> R:
        if reply.status in _DOWN and b'"errcode"' not in reply.body[:4096]:
            if remember_failure:
                self._destinations.failed(destination)
        elif reply.ok or b'"errcode"' in reply.body[:4096]:
            self._destinations.heard_from(destination)
        reply.check()
        decoder = self._decoders.get(endpoint.name)
        if decoder is None:
            decoder = self._decoders[endpoint.name] = msgspec.json.Decoder(endpoint.response)
        try:
            if not reply.body.isascii():
                reply.body.decode()  # what is passed over is not checked by the decoder
            answer: R = decoder.decode(reply.body)
        except (ValueError, RecursionError) as error:
            text = f"{destination} answered {endpoint.operation_id} with what is no answer: {str(error)[:200]}"
            raise PeerError(text) from None
        return answer

    @asynccontextmanager
    async def _place(self, destination: str, timeout: float) -> AsyncIterator[None]:
        """One of the places of a server. Raises `NotNow` if none gets free in time."""
        semaphore, wanted = self._places.get(destination) or (asyncio.Semaphore(AT_ONCE), 0)
        self._places[destination] = semaphore, wanted + 1
        try:
            try:
                await asyncio.wait_for(semaphore.acquire(), timeout)
            except TimeoutError:
                raise NotNow(f"{destination} is being asked too much already", retry_after_ms=1000) from None
            try:
                yield
            finally:
                semaphore.release()
        finally:
            wanted = self._places[destination][1] - 1
            if wanted:
                self._places[destination] = semaphore, wanted
            else:
                del self._places[destination]


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """As much of a body as an error of the specification takes."""
    pieces: list[bytes] = []
    async for chunk in chunks:
        pieces.append(chunk)
        if sum(map(len, pieces)) > _MOST_OF_AN_ERROR:
            break
    return b"".join(pieces)
