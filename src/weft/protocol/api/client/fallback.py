"""Pages for a browser, where a client can't show what a login or an authentication stage needs.

The form of a stage is posted back to the page's own address, as a browser sends it
(`application/x-www-form-urlencoded`).

https://spec.matrix.org/v1.19/client-server-api/#fallback
https://spec.matrix.org/v1.19/client-server-api/#login-fallback
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Path, Query, Raw, Struct, client
from weft.protocol.api.types import SessionKey


class GetAuthFallbackRequest(Struct):
    """`auth` is the type of the stage, such as `m.login.terms`."""

    auth: Path[str]
    session: Query[SessionKey]


class PostAuthFallbackRequest(Struct):
    """`form` is the body as it came; the session is in it or in the query."""

    auth: Path[str]
    session: Query[SessionKey | None] = None
    form: Body[bytes] = b""


GET_AUTH_FALLBACK = Endpoint(
    operation_id="getAuthFallback",
    method="GET",
    paths=client("/auth/{auth}/fallback/web"),
    request=GetAuthFallbackRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

POST_AUTH_FALLBACK = Endpoint(
    operation_id="postAuthFallback",
    method="POST",
    paths=client("/auth/{auth}/fallback/web"),
    request=PostAuthFallbackRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="registration",
    max_body=1 << 14,
)

GET_LOGIN_FALLBACK = Endpoint(
    operation_id="getLoginFallback",
    method="GET",
    paths=("/_matrix/static/client/login/", "/_matrix/static/client/login"),
    request=Empty,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

ENDPOINTS = (GET_AUTH_FALLBACK, POST_AUTH_FALLBACK, GET_LOGIN_FALLBACK)
