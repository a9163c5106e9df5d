"""Invitations to an email address or a phone number, once somebody has shown that it is theirs.

https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.endpoint import Api, Auth, Body, Empty, Endpoint, Path, Struct, federation
from weft.protocol.api.federation.types import MAX_ONE_EVENT
from weft.protocol.api.types import RoomId, UserId


class ExchangeThirdPartyInviteRequest(Struct):
    """`event` is the whole body: the member event to be, as far as the invited user's server can make it."""

    room_id: Path[RoomId] = field(name="roomId")
    event: Body[dict[str, Any]]


class BoundInvite(Struct):
    """One invitation that waited for the identifier's owner. What the identity server signed stays as it is."""

    medium: str
    address: str
    mxid: UserId
    room_id: RoomId
    sender: UserId
    signed: dict[str, Any]


class OnBindThirdPartyIdentifierRequest(Struct):
    """What an identity server tells; the bound on `invites` is ours."""

    medium: str
    address: str
    mxid: UserId
    invites: Annotated[list[BoundInvite], Meta(max_length=500)]


EXCHANGE_THIRD_PARTY_INVITE = Endpoint(
    operation_id="exchangeThirdPartyInvite",
    method="PUT",
    paths=federation("/exchange_third_party_invite/{roomId}"),
    request=ExchangeThirdPartyInviteRequest,
    response=Empty,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
)

ON_BIND_THIRD_PARTY_IDENTIFIER = Endpoint(
    operation_id="onBindThirdPartyIdentifier",
    method="PUT",
    paths=federation("/3pid/onbind"),
    request=OnBindThirdPartyIdentifierRequest,
    response=Empty,
    auth=Auth.NONE,
    rate_limit="federation",
    api=Api.FEDERATION,
)

#: What identity servers in use send: Sydent, and those who followed it, say POST.
ON_BIND_THIRD_PARTY_IDENTIFIER_BY_POST = replace(
    ON_BIND_THIRD_PARTY_IDENTIFIER, operation_id="onBindThirdPartyIdentifierByPost", method="POST"
)

ENDPOINTS = (EXCHANGE_THIRD_PARTY_INVITE, ON_BIND_THIRD_PARTY_IDENTIFIER, ON_BIND_THIRD_PARTY_IDENTIFIER_BY_POST)
