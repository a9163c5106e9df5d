"""What a handler is given, what it may answer, and how it is bound to its endpoint.

A handler is `async def send(call: Call[SendRequest]) -> SendResponse`. It reads `call.args` (decoded and checked
against the endpoint's request type) and `call.user_id`, and returns the response type, or bytes as they are (`Raw`,
`Stream`). `route` binds the two; mypy refuses a handler whose types are not its endpoint's.

Nothing here does I/O except `Call.chunks`, which reads the body of an endpoint that asked to read it itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs

import msgspec

from weft.protocol.api.endpoint import Endpoint, Raw
from weft.protocol.errors import BadJson, InvalidParam, MatrixError

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who a token belongs to. Values are shared between requests, so they never change."""

    user_id: str
    #: None for application services that act without a device.
    device_id: str | None = None
    is_guest: bool = False
    is_admin: bool = False
    token_id: int | None = None
    #: Which of the local domains the user belongs to.
    server_name: str = ""
    suspended: bool = False
    locked: bool = False
    #: The token was given by the OAuth 2.0 API, whose clients don't see what their user proves themselves by.
    is_oauth: bool = False
    #: The application service that shows its own token, also where it speaks for another user.
    appservice_id: str | None = None
    #: The requests of this user are never limited.
    unlimited: bool = False


class Headers(Mapping[str, str]):
    """Request headers by lower-case name; a repeated one is joined with commas, as HTTP says."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for key, value in self._pairs if key == wanted]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self._pairs))

    def __len__(self) -> int:
        return len({key for key, _ in self._pairs})


class Call(Generic[Q]):
    """One request on its way through a handler."""

    __slots__ = (
        "_chunks",
        "_header_pairs",
        "_query",
        "_raw_json",
        "args",
        "body_bytes",
        "client_ip",
        "endpoint",
        "maybe_origin",
        "maybe_requester",
        "query_string",
        "raw_path",
        "request_id",
        "user_agent",
    )

    def __init__(
        self,
        endpoint: Endpoint[Q, Any],
        args: Q,
        *,
        requester: Requester | None = None,
        origin: str | None = None,
        client_ip: str = "",
        user_agent: str = "",
        body_bytes: bytes = b"",
        query_string: bytes = b"",
        raw_path: bytes = b"",
        header_pairs: Iterable[tuple[bytes, bytes]] = (),
        request_id: str = "",
        chunks: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.endpoint = endpoint
        #: The request, decoded and checked.
        self.args = args
        #: Who is asking; None where nobody has to say.
        self.maybe_requester = requester
        #: The server that signed the request; None unless the endpoint asks for that.
        self.maybe_origin = origin
        #: The peer's address, or what a trusted proxy says it is.
        self.client_ip = client_ip
        self.user_agent = user_agent
        #: The whole body; empty for an endpoint that reads it through `chunks`.
        self.body_bytes = body_bytes
        self.query_string = query_string
        #: As it came, still percent-encoded, without the query.
        self.raw_path = raw_path
        self.request_id = request_id
        self._header_pairs = header_pairs
        self._query: dict[str, list[str]] | None = None
        self._raw_json: dict[str, Any] | None = None
        self._chunks = chunks

    @property
    def requester(self) -> Requester:
        """Who is asking. Asking for it on an endpoint that needs no token is a fault of ours."""
        if self.maybe_requester is None:
            raise RuntimeError(f"{self.endpoint.operation_id} has no requester: its endpoint asks for no token")
        return self.maybe_requester

    @property
    def user_id(self) -> str:
        return self.requester.user_id

    @property
    def device_id(self) -> str | None:
        return self.requester.device_id

    @property
    def origin(self) -> str:
        """The server name that signed the request (`Auth.SERVER` only)."""
        if self.maybe_origin is None:
            raise RuntimeError(f"{self.endpoint.operation_id} has no origin: its endpoint asks for no server signature")
        return self.maybe_origin

    @property
    def headers(self) -> Headers:
        return Headers(self._header_pairs)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query by name, each with all its values in order; for what a request type can't say."""
        if self._query is None:
            try:
                text = self.query_string.decode("ascii")
                self._query = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
            except ValueError as error:
                raise InvalidParam("The query is not valid percent-encoded UTF-8.") from error
        return self._query

    @property
    def raw_json(self) -> dict[str, Any]:
        """The body as the JSON object that was sent, with the keys that the request type does not know."""
        if self._raw_json is None:
            try:
                value = msgspec.json.decode(self.body_bytes or b"{}")
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise MatrixError("The body is not JSON.", errcode="M_NOT_JSON") from error
            if not isinstance(value, dict):
                raise BadJson("The body must be a JSON object.")
            self._raw_json = value
        return self._raw_json

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, for an endpoint with `stream_body`; raises `TooLarge` beyond its `max_body`."""
        if self._chunks is None:
            raise RuntimeError(f"{self.endpoint.operation_id} does not stream its body")
        return self._chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer sent piece by piece; `chunks` is closed when the client goes away."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Bytes in all, if known: becomes `Content-Length`.
    length: int | None = None


#: A handler answers with the response type of its endpoint, or with bytes as they are.
Handler = Callable[[Call[Q]], Awaitable[R | Raw | Stream]]


@dataclass(frozen=True, slots=True)
class Route(Generic[Q, R]):
    """An endpoint and what answers it."""

    endpoint: Endpoint[Q, R]
    handler: Handler[Q, R]


def route(endpoint: Endpoint[Q, R], handler: Handler[Q, R]) -> Route[Any, Any]:
    """Bind a handler to an endpoint of the same types."""
    return Route(endpoint, handler)
