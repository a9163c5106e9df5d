"""Who stands in for a domain: its `/.well-known/matrix/server`, fetched over HTTPS and kept.

What the answer's headers say of its lifetime counts, within bounds; without them it is kept for a day. A domain without
a good answer is asked again after pauses that grow to an hour. What was a good answer yesterday still serves while its
domain can't be reached today.

https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from weft.http.client import Reply
from weft.protocol.errors import PeerError, WeftError
from weft.protocol.identifiers import is_valid_server_name
from weft.storage.cache import Cache

log = structlog.get_logger(__name__)

TIMEOUT: Final = 10.0
MAX_BYTES: Final = 50_000
MAX_REDIRECTS: Final = 5

SHORTEST_MS: Final = 5 * 60_000
DEFAULT_MS: Final = 24 * 3_600_000
LONGEST_MS: Final = 48 * 3_600_000
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 3_600_000

_MAX_AGE: Final = re.compile(r"\bmax-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"\bno-(?:cache|store)\b", re.IGNORECASE)


class Fetch(Protocol):
    """`weft.http.client.HttpClient.request`."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        timeout: float,
        max_bytes: int,
        max_redirects: int,
    ) -> Reply: ...


class Found(NamedTuple):
    """What a domain said; `server` None: that nobody stands in for it, or nothing that can be understood."""

    server: str | None
    #: When to ask again.
    until_ms: int
    #: Until when a good answer serves while the domain can't be reached.
    serves_until_ms: int = 0
    #: How many times in a row there was no good answer.
    failures: int = 0


class _Document(msgspec.Struct):
    server: str = msgspec.field(name="m.server")


class WellKnown:
    """`cache` is its place in the budget."""

    def __init__(self, fetch: Fetch, cache: Cache[str, Found], *, now_ms: Callable[[], int]) -> None:
        self._fetch = fetch
        self._cache = cache
        self._now_ms = now_ms
        self._asking: dict[str, asyncio.Task[Found]] = {}

    async def server(self, host: str) -> str | None:
        """The server that stands in for a domain; None if the domain names none."""
        found = self._cache.get(host)
        if found is None or found.until_ms <= self._now_ms():
            task = self._asking.get(host)
            if task is None:
                task = self._asking[host] = asyncio.create_task(self._ask(host, found))
                task.add_done_callback(lambda _: self._asking.pop(host, None))
            found = await asyncio.shield(task)
        return found.server

    async def _ask(self, host: str, before: Found | None) -> Found:
        try:
            reply = await fetch_document(self._fetch, host)
            now_ms = self._now_ms()
            found = Found(read_document(host, reply), now_ms + lifetime_ms(reply.headers, now_ms), now_ms + LONGEST_MS)
        except WeftError as error:
            log.debug("a domain says nothing of a server that stands in for it", domain=host, error=str(error))
            found = self._none(before)
        self._cache.put(host, found)
        return found

    def _none(self, before: Found | None) -> Found:
        now_ms = self._now_ms()
        failures = 1 if before is None else 1 + before.failures
        until = now_ms + min(FIRST_PAUSE_MS << min(failures - 1, 10), LONGEST_PAUSE_MS)
        if before is not None and before.serves_until_ms > now_ms:
            return before._replace(until_ms=min(until, before.serves_until_ms), failures=failures)
        return Found(None, until, failures=failures)


async def fetch_document(fetch: Fetch, host: str) -> Reply:
    """What a domain answers, whatever that is. Raises `Unreachable` and `PeerError`."""
    return await fetch(
        "GET",
        f"https://{host}/.well-known/matrix/server",
        timeout=TIMEOUT,
        max_bytes=MAX_BYTES,
        max_redirects=MAX_REDIRECTS,
    )


def read_document(host: str, reply: Reply) -> str:
    """The server that a document names. Raises `PeerError` for what is no good answer."""
    if reply.status != 200:
        raise PeerError(f"{host} answered {reply.status}")
    try:
        server = msgspec.json.decode(reply.body, type=_Document).server
    except (ValueError, RecursionError) as error:
        raise PeerError(f"{host} answered what can't be understood: {error}") from None
    if not is_valid_server_name(server):
        raise PeerError(f"{host} named what is no server name")
    return server


def lifetime_ms(headers: Mapping[str, Any], now_ms: int) -> int:
    """How long an answer may be kept by what its headers say, within our bounds."""
    said = DEFAULT_MS
    control = headers.get("Cache-Control", "")
    age = _MAX_AGE.search(control)
    if _NOT_KEPT.search(control):
        said = 0
    elif age is not None:
        said = int(age[1]) * 1000
    elif "Expires" in headers:
        try:
            said = int(parsedate_to_datetime(headers["Expires"]).timestamp() * 1000) - now_ms
        except (ValueError, OverflowError):
            said = 0  # by HTTP, what is no date lies in the past
    return min(max(SHORTEST_MS, said), LONGEST_MS)
