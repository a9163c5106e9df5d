"""Who is asking: the rules of each `Auth` about access tokens, in one place.

What a token means is asked of an `Authenticator`, what a server's signature means of a `ServerAuthenticator`; both
are given to the application. Tokens are never logged and never part of an error.

https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
https://spec.matrix.org/v1.19/client-server-api/#account-suspension
https://spec.matrix.org/v1.19/client-server-api/#account-locking
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qs

from weft.http.call import Requester
from weft.protocol.api.endpoint import Auth
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError, MissingToken, UnknownToken


class Authenticator(Protocol):
    """Knows access tokens."""

    def cached(self, token: str) -> Requester | None:
        """Who the token belongs to, if that is known without waiting; None: ask `by_token`."""

    async def by_token(self, token: str) -> Requester | None:
        """None if there is no such token. Raises `UnknownToken` to say more (`soft_logout`)."""

    async def acting_as(self, service: Requester, user_id: str | None, device_id: str | None) -> Requester:
        """The user (and device) that an application service names in the query; raises `MatrixError` if it may not.

        https://spec.matrix.org/v1.19/application-service-api/#identity-assertion
        """


class ServerAuthenticator(Protocol):
    """Knows other servers' signatures."""

    async def origin(self, method: str, uri: str, authorization: list[str], body: bytes) -> str:
        """The server name that signed the request; raises `MatrixError` (401 or 403) if none did.

        `uri` is the path and query as they came; `authorization` holds every such header.
        https://spec.matrix.org/v1.19/server-server-api/#request-authentication
        """


@dataclass(frozen=True, slots=True)
class Rule:
    """What an endpoint asks of a token."""

    #: False: no token is read at all.
    reads_token: bool
    required: bool = True
    #: Without a usable token the request is nobody's, instead of being refused.
    forgiving: bool = False
    guest: bool = False
    suspended: bool = False
    locked: bool = False
    admin: bool = False
    service: bool = False


def rule_for(auth: Auth, method: str) -> Rule:
    """A suspended account may read, and a token that is no good may still read what anybody may."""
    reading = method == "GET"
    if auth in _WITHOUT_TOKEN:
        return Rule(reads_token=False, required=False)
    return Rule(
        reads_token=True,
        required=auth is not Auth.OPTIONAL,
        forgiving=auth is Auth.OPTIONAL and reading,
        guest=auth in _GUESTS,
        suspended=reading or auth in _SUSPENDED,
        locked=auth is Auth.LOCKED,
        admin=auth is Auth.ADMIN,
        service=auth is Auth.APPLICATION_SERVICE,
    )


_WITHOUT_TOKEN: Final = {Auth.NONE, Auth.SERVER}
_GUESTS: Final = {Auth.OPTIONAL, Auth.GUEST, Auth.GUEST_SUSPENDED, Auth.LOCKED}
_SUSPENDED: Final = {Auth.OPTIONAL, Auth.SUSPENDED, Auth.GUEST_SUSPENDED, Auth.LOCKED}


async def authenticate(
    rule: Rule, authenticator: Authenticator, authorization: bytes | None, query: bytes
) -> Requester | None:
    """Who the request is from, or None where nobody has to say. Waits only if the token is not cached."""
    try:
        token = token_of(authorization, query)
        if token is None:
            if rule.required:
                raise MissingToken("No access token was given.")
            return None
        requester = authenticator.cached(token) or await authenticator.by_token(token)
        if requester is None:
            raise UnknownToken("The access token is unknown or has expired.", extra={"soft_logout": False})
        if requester.appservice_id is not None and (b"user_id=" in query or b"device_id=" in query):
            requester = await _acting_as(authenticator, requester, query)
        check(rule, requester)
    except MatrixError:
        if rule.forgiving:
            return None
        raise
    return requester


def check(rule: Rule, requester: Requester) -> None:
    """Raises what the specification names for a user who may not call such an endpoint."""
    if requester.locked and not rule.locked:
        raise MatrixError(
            "This account has been locked.", errcode="M_USER_LOCKED", status=401, extra={"soft_logout": True}
        )
    if requester.suspended and not rule.suspended:
        raise MatrixError("You can't do this while your account is suspended.", errcode="M_USER_SUSPENDED", status=403)
    if requester.is_guest and not rule.guest:
        raise MatrixError("Guests can't do this.", errcode="M_GUEST_ACCESS_FORBIDDEN", status=403)
    if rule.admin and not requester.is_admin:
        raise Forbidden("Only administrators of this server may do this.")
    if rule.service and requester.appservice_id is None:
        raise Forbidden("Only an application service may do this, with its own token.")


def token_of(authorization: bytes | None, query: bytes) -> str | None:
    """The access token of a request, from its header or its query; None if it has none."""
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1") or None
    if b"access_token=" in query:
        return _query_value(query, "access_token")
    return None


async def _acting_as(authenticator: Authenticator, service: Requester, query: bytes) -> Requester:
    user_id = _query_value(query, "user_id")
    device_id = _query_value(query, "device_id") or _query_value(query, "org.matrix.msc3202.device_id")
    return await authenticator.acting_as(service, user_id, device_id)


def _query_value(query: bytes, name: str) -> str | None:
    try:
        values = parse_qs(query.decode("ascii"), errors="strict").get(name)
    except ValueError:
        raise InvalidParam("The query is not valid percent-encoded UTF-8.") from None
    return values[0] if values else None
