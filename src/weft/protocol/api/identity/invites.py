"""Invites that wait at an identity server for whoever will have the address.

https://spec.matrix.org/v1.19/identity-service-api/#invitation-storage
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Struct, identity


class StoreInviteRequest(Struct):
    """What is known of the room and of who invites goes into the message to the address."""

    medium: str
    address: str
    room_id: str
    sender: str
    room_alias: str | None = None
    room_avatar_url: str | None = None
    room_join_rules: str | None = None
    room_name: str | None = None
    room_type: str | None = None
    sender_display_name: str | None = None
    sender_avatar_url: str | None = None


class InvitePublicKey(Struct):
    public_key: str
    key_validity_url: str


class StoreInviteResponse(Struct):
    """`public_keys` are those by which whoever has the address will be vouched for; `display_name` hides it half."""

    token: str
    public_keys: list[InvitePublicKey]
    display_name: str


STORE_INVITE_V2 = Endpoint(
    operation_id="storeInviteV2",
    method="POST",
    paths=identity("/store-invite"),
    request=StoreInviteRequest,
    response=StoreInviteResponse,
    auth=Auth.TOKEN,
    api=Api.IDENTITY,
    max_answer=1 << 16,
)

ENDPOINTS = (STORE_INVITE_V2,)
