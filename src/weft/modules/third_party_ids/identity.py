"""Asking identity servers: an endpoint and a request go in, the endpoint's answer comes out.

Only those that the settings name are asked. One that is written there as a name is at a public address, or nowhere; one
that is written as an address is where the operator says. What an identity server refuses becomes an error in the terms
of who asked here; nothing it says may look to a client as if its own access token were no good.

https://spec.matrix.org/v1.19/identity-service-api/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from weft.federation.own_keys import OwnKeys
from weft.http.client import HttpClient, Refused, Reply
from weft.http.encode import RequestEncoder
from weft.protocol import canonical_json
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.errors import MatrixError, NotNow, PeerError, Unreachable
from weft.protocol.identifiers import domain_of
from weft.protocol.request_auth import authorization
from weft.settings import Settings

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 10.0
#: What would have a client believe that it is logged out here.
_ABOUT_TOKENS: Final = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"})


class IdentityServers:
    """`web` keeps to public addresses; `anywhere` may go where the operator has named an address."""

    def __init__(self, settings: Settings, own_keys: OwnKeys, *, web: HttpClient, anywhere: HttpClient) -> None:
        self._own_keys = own_keys
        self._web = web
        self._anywhere = anywhere
        named = [*settings.third_party_ids.identity_servers, settings.well_known.identity_server]
        self._urls = dict(_bases(name for name in named if name))
        self._private = frozenset(
            urlsplit(name).netloc for name in settings.third_party_ids.identity_servers if "://" in name
        )

    def check(self, id_server: str) -> None:
        """Raises `M_SERVER_NOT_TRUSTED`."""
        if id_server not in self._urls:
            raise MatrixError("This server does not deal with that identity server.", errcode="M_SERVER_NOT_TRUSTED")

    async def call(self, id_server: str, endpoint: Endpoint[Q, R], request: Q, *, token: str) -> R:
        """What an identity server answers to who holds an account there.

        Raises `M_SERVER_NOT_TRUSTED`, the identity server's own refusal, and `MatrixError` with status 502 where it
        can't be reached or gives no answer.
        """
        return await self._call(id_server, endpoint, request, f"Bearer {token}" if _is_plain(token) else "Bearer -")

    async def call_signed(self, id_server: str, endpoint: Endpoint[Q, R], request: Q, *, for_user: str) -> R:
        """The same in the name of the user's homeserver."""
        self.check(id_server)
        uri, _, body = RequestEncoder(endpoint).encode(request)
        content = canonical_json.canonical_lax(body) if body is not None else None
        origin = domain_of(for_user)
        header = authorization(
            self._own_keys.current[origin],
            method=endpoint.method,
            uri=uri,
            origin=origin,
            destination=id_server,
            content=content,
        )
        return await self._call(id_server, endpoint, request, header)

    async def _call(self, id_server: str, endpoint: Endpoint[Q, R], request: Q, authorization_: str) -> R:
        self.check(id_server)
        uri, headers, body = RequestEncoder(endpoint).encode(request)
        if body is not None:
            body = canonical_json.canonical_lax(body)
        http = self._anywhere if id_server in self._private else self._web
        try:
            reply = await http.request(
                endpoint.method,
                self._urls[id_server] + uri,
                headers={**headers, "Content-Type": "application/json", "Authorization": authorization_},
                body=body,
                timeout=_TIMEOUT,
                max_bytes=endpoint.max_answer,
            )
            return _read(endpoint, reply.check())
        except Refused as refused:
            if refused.status < 500:
                raise _refusal(id_server, refused) from None
            raise _no_answer(id_server, refused) from None
        except (NotNow, PeerError, Unreachable) as error:
            raise _no_answer(id_server, error) from None


def _bases(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Each identity server as clients name it, and where it is."""
    for name in names:
        if "://" in name:
            yield urlsplit(name).netloc, name.rstrip("/")
        else:
            yield name, f"https://{name}"


def _is_plain(token: str) -> bool:
    """Whether a header can carry it."""
    return token.isascii() and token.isprintable() and " " not in token


def _read(endpoint: Endpoint[Any, R], reply: Reply) -> R:
    try:
        answer: R = msgspec.json.decode(reply.body, type=endpoint.response)
    except (ValueError, RecursionError) as error:
        raise PeerError(f"{endpoint.operation_id} was answered with what is no answer: {str(error)[:200]}") from None
    return answer


def _refusal(id_server: str, refused: Refused) -> MatrixError:
    errcode = "M_FORBIDDEN" if refused.errcode in _ABOUT_TOKENS else refused.errcode
    # 401 would have a client log in here anew.
    status = refused.status if refused.status in (400, 403, 404) else 403
    return MatrixError(f"{id_server} says: {refused.text or errcode}", errcode=errcode, status=status)


def _no_answer(id_server: str, error: Exception) -> MatrixError:
    log.info("an identity server does not answer", id_server=id_server, reason=str(error))
    return MatrixError(f"The identity server {id_server} does not answer.", status=502)
