"""Which server a request is from: the signature in its `X-Matrix` headers, checked by that server's keys.

A request must be meant for one of our domains. A server that signed well is there, so it is no longer left alone.

https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from weft.federation.keyring import Keyring
from weft.federation.own_keys import OwnKeys
from weft.protocol import canonical_json
from weft.protocol.errors import MatrixError, NotJson
from weft.protocol.request_auth import Credentials, Unauthorized, parse, signed_bytes
from weft.protocol.signatures import VerifyKey

#: Headers that are looked at; each is a signature by another key.
MAX_HEADERS: Final = 5
#: Of our domains, those that are tried where an old server does not say which it means.
_MAX_TRIED: Final = 10


class SignedRequests:
    """A `weft.http.auth.ServerAuthenticator`. `heard_from` is told of each server that signed well."""

    def __init__(
        self,
        keyring: Keyring,
        own_keys: OwnKeys,
        *,
        now_ms: Callable[[], int],
        heard_from: Callable[[str], None],
    ) -> None:
        self._keyring = keyring
        self._own_keys = own_keys
        self._now_ms = now_ms
        self._heard_from = heard_from

    async def origin(self, method: str, uri: str, authorization: list[str], body: bytes) -> str:
        """The server name that signed the request; raises `Unauthorized` if none did, `NotJson` for a bad body."""
        claims = _claims(authorization)
        origin, destination = claims[0].origin, claims[0].destination
        if destination is not None and destination not in self._own_keys:
            raise Unauthorized("The request is meant for another server.")
        content = _content(body)
        keys = await self._keyring.lookup(
            [(origin, claim.key_id) for claim in claims], at_ms=self._now_ms(), urgent=True
        )
        found = [(claim, key) for claim in claims if (key := keys(origin, claim.key_id)) is not None]
        if not found:
            raise Unauthorized(f"The keys of {origin} by which the request claims to be signed can't be found.")
        targets = [destination] if destination is not None else self._own_keys.server_names[:_MAX_TRIED]
        messages = (
            signed_bytes(method=method, uri=uri, origin=origin, destination=target, content=content)
            for target in targets
        )
        if not any(_all_good(message, found) for message in messages):
            raise Unauthorized(f"The signature of {origin} does not match the request.")
        self._heard_from(origin)
        return origin


def _claims(authorization: Iterable[str]) -> list[Credentials]:
    """What the headers claim: all of them the same origin and destination."""
    claims = [claim for header in authorization if (claim := parse(header)) is not None]
    if not claims:
        raise Unauthorized("The request is not signed: it has no X-Matrix header.")
    if len(claims) > MAX_HEADERS:
        raise Unauthorized("The request has too many X-Matrix headers.")
    if len({(claim.origin, claim.destination) for claim in claims}) > 1:
        raise Unauthorized("The request has X-Matrix headers that contradict each other.")
    return claims


def _content(body: bytes) -> bytes | None:
    """The body in canonical JSON; None where there is none. Raises `NotJson`."""
    if not body:
        return None
    try:
        return canonical_json.canonical_lax(body)
    except MatrixError as error:
        raise NotJson(f"The body can't be checked: {error.message}") from None


def _all_good(message: bytes, found: Sequence[tuple[Credentials, VerifyKey]]) -> bool:
    return all(key.verifies(message, claim.signature) for claim, key in found)
