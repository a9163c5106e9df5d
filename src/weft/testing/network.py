"""Servers in one process, and a network between them that tests can make worse.

A request goes from a server's own transport to the whole application of the other server, without a socket. Under a
seed the network loses requests (before or after they are handled), delays them, so that they overtake each other,
brings them twice, and cuts ways in one direction. What is above a transport can't tell it from HTTPS.

    network = Network(seed=7)
    network.faults = Faults(loss=0.1, delay=(0.0, 2.0), duplication=0.05)
    network.cut("one.test", "two.test")          # one no longer reaches two; two still reaches one
    network.on_request.append(watch)             # see or change what travels
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from weft.federation.transport import OutgoingRequest
from weft.http.client import AnswerTooLong, Reply, StreamedReply
from weft.protocol.errors import Unreachable
from weft.testing.client import Answer, Asgi, call_asgi


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad the network is. Probabilities are of one request; `delay` is between two numbers of seconds."""

    #: It does not arrive.
    loss: float = 0.0
    #: It is handled, and its answer does not arrive.
    answer_loss: float = 0.0
    #: It arrives twice.
    duplication: float = 0.0
    delay: tuple[float, float] = (0.0, 0.0)


#: Sees a request before it travels. None: it goes on as it is; another request goes on in its place; an `Answer` is
#: what its sender gets. May raise `Unreachable`.
OnRequest = Callable[[OutgoingRequest], Awaitable[OutgoingRequest | Answer | None]]

#: Sees what was answered, whether or not the answer arrives.
OnAnswer = Callable[[OutgoingRequest, Answer], None]

#: Sees an answer on its way, and may put another in its place.
OnReply = Callable[[OutgoingRequest, Answer], Answer]


class Network:
    """Knows every server's application by each of the server's names. `sleep` passes the time of delays."""

    def __init__(self, *, seed: int = 0, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.faults = Faults()
        self.on_request: list[OnRequest] = []
        self.on_answer: list[OnAnswer] = []
        self.on_reply: list[OnReply] = []
        self._random = random.Random(seed)
        self._sleep = sleep
        self._apps: dict[str, Callable[[], Asgi]] = {}
        self._cut: set[tuple[str, str]] = set()
        #: Requests that are being handled though nobody waits for their answer.
        self._left: set[asyncio.Task[Answer]] = set()

    # -- who is there

    def register(self, names: Iterable[str], app: Callable[[], Asgi]) -> None:
        """`app` is asked for the application at each request."""
        self._apps.update(dict.fromkeys(names, app))

    def unregister(self, names: Iterable[str]) -> None:
        """The server is down."""
        for name in names:
            self._apps.pop(name, None)

    def transport(self) -> MemoryTransport:
        return MemoryTransport(self)

    # -- what does not work

    def cut(self, origin: str, destination: str) -> None:
        """Nothing that `origin` sends reaches `destination` any more; answers to what `destination` sends still do."""
        self._cut.add((origin, destination))

    def mend(self, origin: str, destination: str) -> None:
        self._cut.discard((origin, destination))

    def part(self, *groups: Collection[str]) -> None:
        """Nothing passes between servers of different groups."""
        for group in groups:
            for other in groups:
                if other is not group:
                    self._cut.update((one, another) for one in group for another in other)

    def mend_all(self) -> None:
        self._cut.clear()

    async def settle(self) -> None:
        """Returns when nothing is being handled for nobody."""
        while self._left:
            await asyncio.gather(*self._left, return_exceptions=True)

    # -- what travels

    async def send(self, request: OutgoingRequest) -> Reply:
        """Raises `Unreachable`, or `AnswerTooLong`."""
        try:
            async with asyncio.timeout(request.timeout):
                answer = await self._watched(request)
        except TimeoutError:
            raise Unreachable(f"{request.destination} did not answer within {request.timeout:g} s") from None
        if len(answer.body) > request.max_bytes:
            raise AnswerTooLong(f"{request.destination} answered with more than {request.max_bytes} bytes")
        headers = CIMultiDictProxy(CIMultiDict(answer.headers))
        return Reply(answer.status, headers, answer.body, f"https://{request.destination}")

    async def _watched(self, request: OutgoingRequest) -> Answer:
        for watch in self.on_request:
            done = await watch(request)
            if isinstance(done, Answer):
                return done
            request = done or request
        return await self._carried(request)

    async def _carried(self, request: OutgoingRequest) -> Answer:
        faults, chance = self.faults, self._random.random
        lost, answer_lost, twice = (chance() < one for one in (faults.loss, faults.answer_loss, faults.duplication))
        delay = self._random.uniform(*faults.delay)
        if delay:
            await self._sleep(delay)
        if lost or (request.origin, request.destination) in self._cut:
            raise Unreachable(f"{request.destination} can't be reached")
        if twice:
            self._handle(request, after=self._random.uniform(*faults.delay))
        answer = await asyncio.shield(self._handle(request))
        if answer_lost:
            raise Unreachable(f"the answer of {request.destination} was lost")
        for change in self.on_reply:
            answer = change(request, answer)
        return answer

    def _handle(self, request: OutgoingRequest, *, after: float = 0.0) -> asyncio.Task[Answer]:
        """A request that has arrived is handled to its end, whether or not anybody still waits."""
        app = self._apps.get(request.destination)
        if app is None:
            raise Unreachable(f"{request.destination} is not there")
        task = asyncio.create_task(self._handled(app, request, after))
        self._left.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; a server that was stopped meanwhile is nobody's fault

    async def _handled(self, app: Callable[[], Asgi], request: OutgoingRequest, after: float) -> Answer:
        if after:
            await self._sleep(after)
        body = request.body or b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers |= {"host": request.destination, "content-length": str(len(body)), "user-agent": "Weft"}
        path, _, query = request.uri.partition("?")
        answer = await call_asgi(app(), request.method, path, query, headers, body, "192.0.2.1")
        for watch in self.on_answer:
            watch(request, answer)
        return answer


class MemoryTransport:
    """A `weft.federation.transport.Transport` over a network in this process; a URL's host is the name of a server."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def send(self, request: OutgoingRequest) -> Reply:
        return await self._network.send(request)

    @asynccontextmanager
    async def stream(self, request: OutgoingRequest) -> AsyncIterator[StreamedReply]:
        reply = await self._network.send(request)
        yield StreamedReply(reply.status, reply.headers, _pieces(reply.body), reply.url)

    async def fetch(self, url: str, *, timeout: float, max_bytes: int) -> Reply:
        parts = urlsplit(url)
        uri = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        request = OutgoingRequest(
            origin="", destination=parts.netloc, method="GET", uri=uri, timeout=timeout, max_bytes=max_bytes
        )
        return await self._network.send(request)

    async def close(self) -> None:
        """The network is shared: there is nothing of this server's to end."""


#: Bytes of a piece of a streamed answer; an odd number, so that pieces end anywhere.
_PIECE = 10_007


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]
