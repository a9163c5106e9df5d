"""The load generator's end of HTTP: one request at a time over a kept connection, and as little work as possible.

It has to be several times cheaper than the server it measures, so it writes prepared bytes, lets a C parser find the
end of the answer, and reads no JSON. `busy` says how much of a core it took: near 1, it measured itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

import httptools


class RefusedError(Exception):
    """The server did not answer 200; a measurement of refusals would be worth nothing."""


class Connection(asyncio.Protocol):
    """A connection to a server on loopback. One request is under way at a time."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self._headers = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{authorization}"

    async def get(self, path: str) -> bytes:
        return await self._ask(f"GET {path}{self._headers}\r\n".encode())

    async def put(self, path: str, body: bytes) -> bytes:
        return await self._with_body("PUT", path, body)

    async def post(self, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        return await self._with_body("POST", path, body, content_type)

    def close(self) -> None:
        """Hangs up, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _with_body(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        head = f"{method} {path}{self._headers}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self._ask(head.encode() + body)

    async def _ask(self, request: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            self._parser = httptools.HttpResponseParser(self)
            self._parts.clear()
            transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            self._transport = transport
        self._answer = loop.create_future()
        self._transport.write(request)
        return await self._answer

    # What the event loop and the parser call.

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server hung up"))

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        status = self._parser.get_status_code()
        if status == 200:
            answer.set_result(body)
        else:
            answer.set_exception(RefusedError(f"{status}: {body[:300].decode(errors='replace')}"))


@dataclass(slots=True)
class Sample:
    """What a stretch of work came to. Latencies are in seconds, one for each request."""

    seconds: float = 0.0
    count: int = 0
    latencies: list[float] = field(default_factory=list)
    #: The share of one core that the generator itself took.
    busy: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        if len(self.latencies) < 2:
            return 1000 * sum(self.latencies)
        return 1000 * quantiles(self.latencies, n=100, method="inclusive")[percent - 1]


class Exhausted(Exception):
    """Nothing is left to do for this worker."""


async def closed_loop(workers: Sequence[Callable[[], Awaitable[int]]], seconds: float) -> Sample:
    """Each worker does its thing again and again, the next only when the last is done, for about so long.

    A worker returns how much it did (messages, rooms). What is under way when the time is over counts, and so does the
    time that it takes. Raises whatever a worker raises but `Exhausted`.
    """
    sample = Sample()
    cpu, start = _cpu(), time.perf_counter()
    deadline = start + seconds

    async def work(worker: Callable[[], Awaitable[int]]) -> None:
        now = time.perf_counter()
        while now < deadline:
            try:
                done = await worker()
            except Exhausted:
                return
            before, now = now, time.perf_counter()
            sample.count += done
            sample.latencies.append(now - before)

    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(work(worker))
    sample.seconds = time.perf_counter() - start
    sample.busy = (_cpu() - cpu) / sample.seconds
    return sample


def _cpu() -> float:
    times = os.times()
    return times.user + times.system
