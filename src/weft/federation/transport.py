"""How a request gets to another server. What is above knows no more than this interface.

A transport finds the server by its name, makes sure that it is the one it says it is, and brings the answer back. The
request is ready to go: `uri` and `body` are what the signature covers, so nothing on the way spells them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from weft.http.client import Reply, StreamedReply


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """One request from one of our domains to another server."""

    origin: str
    destination: str
    method: str
    #: Path and query, percent-encoded.
    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    #: None where there is none.
    body: bytes | None = None
    #: Seconds for all of it.
    timeout: float = 30.0
    #: The most bytes that the answer may have.
    max_bytes: int = 1 << 20


class Transport(Protocol):
    async def send(self, request: OutgoingRequest) -> Reply:
        """The answer, whatever its status. Raises `Unreachable`, or `PeerError` if it is none."""

    def stream(self, request: OutgoingRequest) -> AbstractAsyncContextManager[StreamedReply]:
        """As `send`, with the answer's body unread: for what is too large to be held in memory."""

    async def fetch(self, url: str, *, timeout: float, max_bytes: int) -> Reply:
        """What is at a URL that somebody else named, percent-encoded; raises as `send` does."""

    async def close(self) -> None:
        """Ends what is open."""
