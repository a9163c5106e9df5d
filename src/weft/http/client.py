"""Outgoing HTTP: for other servers, push gateways, application services, previews. Nothing else may open connections.

Every address is checked when a socket is made for it, so that no name, redirect or odd spelling leads to our own
network (`AddressGuard`). Every answer has a limit in bytes (after decompression) and in seconds. No cookies, no
proxies from the environment, no redirects unless asked for.

What may go wrong is told in our own errors: `Unreachable` (no connection, no valid certificate, no answer in time),
`PeerError` (the answer is not one), `NotNow` (429 and 503: asked to come back later), `Refused` (another error
status, with the body's `errcode`).

https://spec.matrix.org/v1.19/server-server-api/#tls
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from weft.http.addresses import AddressGuard
from weft.http.trust import trust
from weft.protocol.errors import NotNow, PeerError, Unreachable

#: Bytes of an answer, where the caller does not say.
MAX_ANSWER: Final = 1 << 20
#: Seconds for an answer in all, where the caller does not say.
TIMEOUT: Final = 30.0
#: Seconds for a connection, TLS included.
CONNECT_TIMEOUT: Final = 10.0
#: Connections at once, in all and to one host.
MAX_CONNECTIONS: Final = 512
MAX_PER_HOST: Final = 16
#: The longest wait that another server may ask of us, in milliseconds.
MAX_RETRY_AFTER_MS: Final = 3_600_000
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_VISIBLE: Final = re.compile(r"[!-~]+")


class AddressDenied(Unreachable):
    """The name leads to an address that we don't talk to."""


class AnswerTooLong(PeerError):
    """The answer has more bytes than were allowed."""


class Refused(PeerError):
    """The other side answered with an error status."""

    def __init__(self, status: int, errcode: str, message: str) -> None:
        super().__init__(f"{status} {errcode}: {message}", permanent=status < 500)
        self.status = status
        self.errcode = errcode
        #: What the other side said, in its words.
        self.text = message


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    #: Where it came from in the end, redirects followed.
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises `PeerError`."""
        try:
            return msgspec.json.decode(self.body)
        except (ValueError, RecursionError) as error:
            raise PeerError(f"{self.url} answered {self.status} without valid JSON") from error

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `PeerError`."""
        value = self.json()
        if not isinstance(value, dict):
            raise PeerError(f"{self.url} answered JSON that is not an object")
        return value

    def check(self) -> Reply:
        """Itself if it is a success. Raises `NotNow` for 429 and 503, and `Refused` for the rest."""
        if self.ok:
            return self
        errcode, message, wait_ms = _standard_error(self.body)
        if self.status in (429, 503):
            wait_ms = wait_ms or _retry_after_ms(self.headers.get("Retry-After", "")) or 1000
            raise NotNow(f"{self.url} asks to wait", retry_after_ms=min(wait_ms, MAX_RETRY_AFTER_MS))
        raise Refused(self.status, errcode, message)


@dataclass(frozen=True, slots=True)
class StreamedReply:
    """An answer whose body is still to be read; `chunks` ends with `PeerError` if it is longer than was allowed."""

    status: int
    headers: CIMultiDictProxy[str]
    chunks: AsyncIterator[bytes]
    url: str


class HttpClient:
    """One pool of connections. `close` it in the end.

    * `guard`: which addresses may be talked to; the default keeps to the public internet.
    * `extra_cas`: PEM files of certificate authorities that are trusted besides the system's.
    * `verify_certificates`: False has everybody believed to be who they say they are; for test networks.
    * `resolver`: how names are looked up, if not by the system.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard | None = None,
        extra_cas: Iterable[Path] = (),
        verify_certificates: bool = True,
        resolver: AbstractResolver | None = None,
        user_agent: str = "Weft",
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._guard = guard or AddressGuard()
        self._tls = trust(tuple(extra_cas), verify=verify_certificates)
        self._resolver = resolver
        self._user_agent = user_agent
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_ANSWER,
        server_hostname: str | None = None,
        max_redirects: int = 0,
    ) -> Reply:
        """The answer, whatever its status; see `stream` for the arguments and errors."""
        async with self.stream(
            method,
            url,
            headers=headers,
            body=body,
            timeout=timeout,
            max_bytes=max_bytes,
            server_hostname=server_hostname,
            max_redirects=max_redirects,
        ) as reply:
            content = b"".join([chunk async for chunk in reply.chunks])
            return Reply(reply.status, reply.headers, content, reply.url)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_ANSWER,
        server_hostname: str | None = None,
        max_redirects: int = 0,
    ) -> AsyncIterator[StreamedReply]:
        """The answer with its body unread.

        `url` is already percent-encoded and is sent as it is. `timeout` (seconds) covers everything until the body is
        read. `server_hostname` is the name that the certificate has to have, where it is not the URL's; the `Host`
        header is the caller's then. Redirects are followed for GET only, up to `max_redirects`, never from https to
        http, and without `Authorization` to another origin. Raises `Unreachable` and `PeerError`.
        """
        sent = {"User-Agent": self._user_agent, **(headers or {})}
        try:
            async with asyncio.timeout(timeout):
                response = await self._follow(method, url, sent, body, server_hostname, max_redirects)
                try:
                    yield StreamedReply(
                        response.status, response.headers, _chunks(response, max_bytes), str(response.url)
                    )
                finally:
                    response.close() if not response.content.at_eof() else response.release()
        except TimeoutError as error:
            raise Unreachable(f"{_origin(url)} did not answer within {timeout:g} s") from error
        except aiohttp.ClientError as error:
            raise _translated(url, error) from error

    async def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        server_hostname: str | None,
        max_redirects: int,
    ) -> aiohttp.ClientResponse:
        target = _parsed(url)
        while True:
            response = await self._open().request(
                method, target, headers=headers, data=body, server_hostname=server_hostname, allow_redirects=False
            )
            location = response.headers.get("Location")
            if method != "GET" or max_redirects == 0 or response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            max_redirects -= 1
            following = _redirected(target, location)
            if following.origin() != target.origin():
                server_hostname = None
                headers = {key: value for key, value in headers.items() if key.lower() not in ("authorization", "host")}
            target = following

    def _open(self) -> aiohttp.ClientSession:
        """The session, made when there is an event loop to belong to."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=self._resolver,
                limit=self._max_connections,
                limit_per_host=MAX_PER_HOST,
                socket_factory=self._make_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
                max_line_size=16_384,
                max_field_size=16_384,
            )
        return self._session

    def _make_socket(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        """Called for each address just before it is connected to: nothing can change between check and use."""
        family, kind, protocol, _, address = addr_info
        if not self._guard.permits(str(address[0])):
            raise _Denied("denied")  # the same text for each, so that the connector passes one of them on
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


class _Denied(OSError):
    """Travels through aiohttp's connector, which expects that sockets fail with `OSError`."""


async def _chunks(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[bytes]:
    declared = response.content_length
    if declared is not None and declared > max_bytes:
        raise AnswerTooLong(f"{response.url.origin()} answered with more than {max_bytes} bytes")
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise AnswerTooLong(f"{response.url.origin()} answered with more than {max_bytes} bytes")
        yield chunk


def _parsed(url: str) -> URL:
    """A URL that may come from anybody. Sent as it is, so it must hold nothing that could end the request's line."""
    if not _VISIBLE.fullmatch(url):
        raise PeerError("not a URL: it holds spaces, control characters or letters that are not encoded")
    try:
        parsed = URL(url, encoded=True)
        origin = parsed.origin()
        usable = origin.port is not None and _is_host(origin.raw_host or "")
    except ValueError as error:
        raise PeerError(f"not a URL: {error}") from error
    if not usable or parsed.scheme not in ("http", "https") or parsed.user is not None:
        raise PeerError("not an HTTP URL, or one that holds credentials")
    return parsed


def _is_host(host: str) -> bool:
    """Whether a resolver can be asked: the labels of a name have limits that it would trip over."""
    return len(host) <= 253 and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))


def _redirected(source: URL, location: str) -> URL:
    try:
        target = source.join(URL(location, encoded=True))
    except ValueError as error:
        raise PeerError(f"{source.origin()} redirects to what is not a URL") from error
    target = _parsed(str(target))
    if source.scheme == "https" and target.scheme != "https":
        raise PeerError(f"{source.origin()} redirects from https to http")
    return target


def _translated(url: str, error: aiohttp.ClientError) -> PeerError | Unreachable:
    """What an error of aiohttp means to us."""
    causes = _causes(error)
    if any(isinstance(cause, _Denied) for cause in causes):
        return AddressDenied(f"{_origin(url)} is not on the public internet")
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)):
        return PeerError(f"{_origin(url)} did not answer in HTTP: {error}", permanent=False)
    if isinstance(error, aiohttp.InvalidURL):
        return PeerError(f"not a URL: {error}")
    return Unreachable(f"{_origin(url)} can't be reached: {error or type(error).__name__}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and all that it was made from."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__, getattr(one, "os_error", None)]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found


def _origin(url: str) -> str:
    """The part of a URL that errors may show; paths and queries can hold secrets."""
    try:
        return str(URL(url, encoded=True).origin())
    except ValueError:
        return "the address"


class _StandardError(msgspec.Struct):
    errcode: str = "M_UNKNOWN"
    error: str = ""
    retry_after_ms: int | None = None


def _standard_error(body: bytes) -> tuple[str, str, int | None]:
    """The error code, text and wait of an answer; those of no answer in particular if it is not Matrix'."""
    try:
        said = msgspec.json.decode(body, type=_StandardError)
    except (ValueError, RecursionError):
        return "M_UNKNOWN", "", None
    wait = said.retry_after_ms
    return said.errcode[:255], said.error[:500], wait if wait is not None and wait > 0 else None


def _retry_after_ms(header: str) -> int | None:
    """`Retry-After` in milliseconds, given as seconds or as a date."""
    if header.isascii() and header.isdigit():
        return int(header[:9]) * 1000 or None
    try:
        wait = parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return None
    return max(1, int(wait * 1000))
