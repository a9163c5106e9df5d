"""Telling an identity server whose an address is, and that it is so no more.

https://spec.matrix.org/v1.19/identity-service-api/#establishing-associations
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Struct, identity


class ThreePid(Struct):
    medium: str
    address: str


class BindRequest(Struct):
    sid: str
    client_secret: str
    mxid: str


class BindResponse(Struct):
    """What the identity server vouches for; times are milliseconds since 1970."""

    address: str
    medium: str
    mxid: str
    not_before: int
    not_after: int
    ts: int
    signatures: dict[str, dict[str, str]]


class UnbindRequest(Struct):
    """Without `sid` and `client_secret` the request is signed by the user's homeserver."""

    mxid: str
    threepid: ThreePid
    sid: str | None = None
    client_secret: str | None = None


BIND_V2 = Endpoint(
    operation_id="bindV2",
    method="POST",
    paths=identity("/3pid/bind"),
    request=BindRequest,
    response=BindResponse,
    auth=Auth.TOKEN,
    api=Api.IDENTITY,
    max_answer=1 << 16,
)

UNBIND_V2 = Endpoint(
    operation_id="unbindV2",
    method="POST",
    paths=identity("/3pid/unbind"),
    request=UnbindRequest,
    response=Empty,
    auth=Auth.TOKEN,
    api=Api.IDENTITY,
    max_answer=1 << 16,
)

ENDPOINTS = (BIND_V2, UNBIND_V2)
