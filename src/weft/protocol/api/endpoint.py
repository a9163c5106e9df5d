"""How an endpoint of any Matrix API is written down: as one frozen value.

The request type is a `msgspec.Struct` whose fields say where they travel:

* `Path[T]`: a `{name}` of the path, percent-decoded;
* `Query[T]`: a query parameter; `Query[dict[str, str]]`: all those that no other field names;
* `Header[T]`: a header, its name being the field's with `-` for `_`;
* `Body[T]`: the whole body (for endpoints whose body is not an object of known keys); `Body[bytes]`: as it came;
* anything else: a key of the JSON body.

The server, the outgoing client, the typed test client and the tests against the specification read the same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")
Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")


class In(Enum):
    """Where a request field travels."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    BODY = "body"


Path = Annotated[T, In.PATH]
Query = Annotated[T, In.QUERY]
Header = Annotated[T, In.HEADER]
Body = Annotated[T, In.BODY]


class Auth(Enum):
    """Who may call."""

    NONE = "anybody"
    OPTIONAL = "anybody, a suspended account too; a token is used when there is one"
    TOKEN = "an access token, not a guest's"
    GUEST = "an access token, a guest's too"
    SUSPENDED = "an access token, not a guest's, also while the account is suspended"
    GUEST_SUSPENDED = "an access token, a guest's too, also while the account is suspended"
    LOCKED = "an access token, whoever's, also while the account is suspended or locked"
    APPLICATION_SERVICE = "the token of an application service"
    ADMIN = "the access token of a server administrator"
    SERVER = "a request signed by another server"
    HS_TOKEN = "the token that a homeserver shows to an application service"


class Api(Enum):
    """The API that an endpoint belongs to."""

    CLIENT = "client-server"
    FEDERATION = "server-server"
    APPLICATION_SERVICE = "application-service"
    IDENTITY = "identity"
    PUSH_GATEWAY = "push-gateway"


class Struct(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The base of requests and responses: what equals its default is not sent.

    msgspec doesn't hand `kw_only` down: a class says it again where a required field follows an optional one.
    """


class Empty(Struct):
    """`{}`"""


class Raw(Struct):
    """An answer that is not JSON made from a type: bytes as they are (pages, redirects, prebuilt JSON)."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[Q, R]):
    """`operation_id` is the specification's; where two operations of one API share a path they differ by `method`."""

    operation_id: str
    method: str
    #: The newest stable path first, then the aliases that clients still use.
    paths: tuple[str, ...]
    request: type[Q]
    response: type[R]
    auth: Auth
    #: The row of the rate limit table it draws on; None: not limited.
    rate_limit: str | None = None
    #: The most bytes a body may have.
    max_body: int = 1 << 20
    #: The handler reads the body itself, piece by piece (uploads); `max_body` still holds.
    stream_body: bool = False
    #: How deep the body nests is looked at by the handler, in those parts that it keeps.
    deep_body: bool = False
    #: The handler may wait for news; it is cancelled when the client goes away.
    long_poll: bool = False
    deprecated: bool = False
    api: Api = Api.CLIENT
    #: The most bytes that an answer may have where we are the ones who ask.
    max_answer: int = 1 << 20

    @property
    def path(self) -> str:
        return self.paths[0]

    @property
    def name(self) -> str:
        """Its operation id, told apart from other APIs' operations of that id: `sync`, `federation.sendTransaction`."""
        return self.operation_id if self.api is Api.CLIENT else f"{self.api.name.lower()}.{self.operation_id}"


def client(path: str, *, v: str = "v3", unstable: tuple[str, ...] = (), r0: bool = True) -> tuple[str, ...]:
    """The paths of a Client-Server endpoint: `/_matrix/client/{v}{path}`, its `r0` spelling, and unstable ones.

    Synapse and the clients of its time also use `/unstable` and `/v1` for some; name those in `unstable`
    as whole paths below `/_matrix/client/`.
    """
    stable = f"/_matrix/client/{v}{path}"
    aliases = [f"/_matrix/client/r0{path}"] if r0 and v == "v3" else []
    return (stable, *aliases, *(f"/_matrix/client/{u}" for u in unstable))


def federation(path: str, *, v: str = "v1") -> tuple[str, ...]:
    """The path of a Server-Server endpoint: `/_matrix/federation/{v}{path}`."""
    return (f"/_matrix/federation/{v}{path}",)


def application_service(path: str, *, before: str | None = None) -> tuple[str, ...]:
    """The path of an Application Service endpoint: `/_matrix/app/v1{path}`, and the one that services had before."""
    stable = f"/_matrix/app/v1{path}"
    return (stable,) if before is None else (stable, before)


def identity(path: str) -> tuple[str, ...]:
    """The path of an Identity Service endpoint: `/_matrix/identity/v2{path}`."""
    return (f"/_matrix/identity/v2{path}",)
