"""Registration tokens: what people show to be allowed to register. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from weft.protocol.api.endpoint import Empty, Path, Query, Struct
from weft.protocol.api.synapse_admin.declaring import Number, admin

TokenName = Annotated[str, Meta(max_length=255)]


class RegistrationToken(Struct, omit_defaults=False):
    """`pending`: how many have shown it and not registered yet. null: no limit."""

    token: str
    uses_allowed: int | None
    pending: int
    completed: int
    expiry_time: int | None


class ListRegistrationTokensRequest(Struct):
    valid: Query[bool | None] = None


class ListRegistrationTokensResponse(Struct):
    registration_tokens: list[RegistrationToken]


class RegistrationTokenRequest(Struct):
    token: Path[TokenName]


class NewRegistrationTokenRequest(Struct):
    """`length` is that of a token which is made up."""

    token: TokenName | None = None
    uses_allowed: Number | None = None
    expiry_time: Number | None = None
    length: Annotated[int, Meta(ge=1, le=64)] | None = None


class UpdateRegistrationTokenRequest(Struct):
    """What is absent stays as it is; null takes a limit away."""

    token: Path[TokenName]
    uses_allowed: Number | UnsetType | None = field(default=UNSET)
    expiry_time: Number | UnsetType | None = field(default=UNSET)


_ALL = "v1/registration_tokens"
_ONE = "v1/registration_tokens/{token}"

LIST_REGISTRATION_TOKENS = admin(
    "listRegistrationTokens",
    "GET",
    _ALL,
    request=ListRegistrationTokensRequest,
    response=ListRegistrationTokensResponse,
)
NEW_REGISTRATION_TOKEN = admin(
    "newRegistrationToken", "POST", f"{_ALL}/new", request=NewRegistrationTokenRequest, response=RegistrationToken
)
GET_REGISTRATION_TOKEN = admin(
    "getRegistrationToken", "GET", _ONE, request=RegistrationTokenRequest, response=RegistrationToken
)
UPDATE_REGISTRATION_TOKEN = admin(
    "updateRegistrationToken", "PUT", _ONE, request=UpdateRegistrationTokenRequest, response=RegistrationToken
)
DELETE_REGISTRATION_TOKEN = admin(
    "deleteRegistrationToken", "DELETE", _ONE, request=RegistrationTokenRequest, response=Empty
)

ENDPOINTS = (
    LIST_REGISTRATION_TOKENS,
    NEW_REGISTRATION_TOKEN,
    GET_REGISTRATION_TOKEN,
    UPDATE_REGISTRATION_TOKEN,
    DELETE_REGISTRATION_TOKEN,
)
