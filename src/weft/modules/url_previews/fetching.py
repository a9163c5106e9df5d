"""Asks for pages that strangers chose: only where they may lead, never for long, never for much.

Each step of a redirect is judged as the address itself was; and the addresses that names lead to are judged by the
client's guard at the moment of connecting, so that neither a redirect nor a changing name leads into our own network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from weft.http.client import HttpClient, StreamedReply
from weft.protocol.errors import InvalidParam, PeerError, Unreachable
from weft.protocol.globs import matcher

#: Seconds for one address, redirects included.
SECONDS: Final = 10.0
_MOST_REDIRECTS: Final = 5
_MAX_URL: Final = 4_096
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_SAFE: Final = "!$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Rules:
    """Patterns of host names: what is denied is never asked, and where some are allowed nothing else is."""

    allowed: Sequence[str] = ()
    denied: Sequence[str] = ()

    def permit(self, host: str) -> bool:
        if any(matcher(pattern.lower())(host) for pattern in self.denied):
            return False
        return not self.allowed or any(matcher(pattern.lower())(host) for pattern in self.allowed)


class Fetcher:
    def __init__(self, web: HttpClient, rules: Rules, *, languages: str, seconds: float = SECONDS) -> None:
        self._web = web
        self._rules = rules
        self._languages = languages
        self._seconds = seconds

    def checked(self, url: str) -> str:
        """An address as it is asked for. Raises `InvalidParam` for what is none, or is not to be asked."""
        try:
            parts = urlsplit(url.strip())
            host = (parts.hostname or "").lower().rstrip(".")
            port = parts.port
            ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
        except (ValueError, UnicodeError):
            raise InvalidParam("That is not an address.") from None
        if parts.scheme.lower() not in ("http", "https") or not host or len(url) > _MAX_URL:
            raise InvalidParam("Only http:// and https:// addresses have previews.")
        if parts.username is not None or parts.password is not None:
            raise InvalidParam("Addresses with names and passwords have no previews.")
        if not self._rules.permit(ascii_host):
            raise InvalidParam("There are no previews of that server's pages.")
        bracketed = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
        place = bracketed if port is None else f"{bracketed}:{port}"
        path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE)
        return urlunsplit((parts.scheme.lower(), place, path, query, ""))

    @asynccontextmanager
    async def get(self, url: str, *, max_bytes: int, accept: str) -> AsyncIterator[StreamedReply]:
        """The answer, where it is a success. Raises `InvalidParam`, `PeerError` and `Unreachable`."""
        url = self.checked(url)
        headers = {"Accept": accept, "Accept-Language": self._languages}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    async with AsyncExitStack() as opened:
                        reply = await opened.enter_async_context(
                            self._web.stream("GET", url, headers=headers, timeout=self._seconds, max_bytes=max_bytes)
                        )
                        location = reply.headers.get("Location")
                        if reply.status in _REDIRECTS and location is not None:
                            url = self._next(url, location)
                            continue
                        if reply.status != 200:
                            raise PeerError(f"the page's server answered {reply.status}", permanent=False)
                        yield reply
                        return
        except TimeoutError as error:
            raise Unreachable("the page's server is too slow") from error
        raise PeerError("the page's server redirects without end")

    def _next(self, url: str, location: str) -> str:
        try:
            following = urljoin(url, location)
        except ValueError:
            raise PeerError("the page's server redirects to what is not an address") from None
        try:
            return self.checked(following)
        except InvalidParam as error:
            raise PeerError(f"the page's server redirects elsewhere: {error.message}") from error


async def beginning(reply: StreamedReply, most: int) -> bytes:
    """The first bytes of an answer, however long it is."""
    pieces: list[bytes] = []
    size = 0
    async for chunk in reply.chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size >= most:
            break
    return b"".join(pieces)[:most]
