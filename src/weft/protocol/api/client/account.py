"""The account itself: whose token this is, its password, its end.

https://spec.matrix.org/v1.19/client-server-api/#account-management
https://spec.matrix.org/v1.19/client-server-api/#current-account-information
"""

from __future__ import annotations

from typing import Any, Literal

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct, client
from weft.protocol.api.types import Password, ServerName


class GetTokenOwnerResponse(Struct):
    user_id: str
    device_id: str | None = None
    is_guest: bool = False


class ChangePasswordRequest(Struct):
    """`auth` is the data of user-interactive authentication, whose keys depend on its stage."""

    new_password: Password
    logout_devices: bool = True
    auth: dict[str, Any] | None = None


class DeactivateAccountRequest(Struct):
    auth: dict[str, Any] | None = None
    erase: bool = False
    id_server: ServerName | None = None


class DeactivateAccountResponse(Struct):
    id_server_unbind_result: Literal["success", "no-support"]


GET_TOKEN_OWNER = Endpoint(
    operation_id="getTokenOwner",
    method="GET",
    paths=client("/account/whoami"),
    request=Empty,
    response=GetTokenOwnerResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="lookup",
)

# Without a token these two are possible if user-interactive authentication itself says who it is.
CHANGE_PASSWORD = Endpoint(
    operation_id="changePassword",
    method="POST",
    paths=client("/account/password"),
    request=ChangePasswordRequest,
    response=Empty,
    auth=Auth.OPTIONAL,
    rate_limit="account",
)

DEACTIVATE_ACCOUNT = Endpoint(
    operation_id="deactivateAccount",
    method="POST",
    paths=client("/account/deactivate"),
    request=DeactivateAccountRequest,
    response=DeactivateAccountResponse,
    auth=Auth.OPTIONAL,
    rate_limit="account",
)

ENDPOINTS = (GET_TOKEN_OWNER, CHANGE_PASSWORD, DEACTIVATE_ACCOUNT)
