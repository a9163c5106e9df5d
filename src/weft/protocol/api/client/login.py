"""Sessions: logging in, refreshing a token, logging out.

https://spec.matrix.org/v1.19/client-server-api/#login
https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from weft.protocol.api.client.well_known import WellKnown
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct, client
from weft.protocol.api.types import DeviceId, DisplayName, Password, SessionKey


class IdentityProvider(Struct):
    """With whose accounts people can log in. https://spec.matrix.org/v1.19/client-server-api/#definition-sso-login-flow"""

    id: str
    name: str
    icon: str | None = None
    brand: str | None = None


class LoginFlow(Struct):
    type: str
    get_login_token: bool = False
    identity_providers: list[IdentityProvider] | None = None


class GetLoginFlowsResponse(Struct):
    flows: list[LoginFlow]


class UserIdentifier(Struct):
    """Who logs in: `m.id.user` has `user`, `m.id.thirdparty` `medium` and `address`, `m.id.phone` the other two."""

    type: str
    user: Annotated[str, Meta(max_length=512)] | None = None
    medium: str | None = None
    address: str | None = None
    country: str | None = None
    phone: str | None = None


class LoginRequest(Struct):
    """`user`, `medium` and `address` are from before `identifier`, and stand for it."""

    type: str
    identifier: UserIdentifier | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None
    medium: str | None = None
    address: str | None = None
    password: Password | None = None
    token: Annotated[str, Meta(max_length=4096)] | None = None
    device_id: DeviceId | None = None
    initial_device_display_name: DisplayName | None = None
    refresh_token: bool = False


class LoginResponse(Struct):
    """`expires_in_ms` is absent if the access token doesn't expire."""

    user_id: str
    access_token: str
    device_id: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None
    home_server: str | None = None
    well_known: WellKnown | None = None


class GenerateLoginTokenRequest(Struct):
    auth: dict[str, Any] | None = None


class GenerateLoginTokenResponse(Struct):
    login_token: str
    expires_in_ms: int


class RefreshRequest(Struct):
    refresh_token: SessionKey


class RefreshResponse(Struct):
    """Without `refresh_token` the one that was used goes on being good."""

    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


GET_LOGIN_FLOWS = Endpoint(
    operation_id="getLoginFlows",
    method="GET",
    paths=client("/login"),
    request=Empty,
    response=GetLoginFlowsResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

LOGIN = Endpoint(
    operation_id="login",
    method="POST",
    paths=client("/login"),
    request=LoginRequest,
    response=LoginResponse,
    auth=Auth.NONE,
    rate_limit="login",
)

GENERATE_LOGIN_TOKEN = Endpoint(
    operation_id="generateLoginToken",
    method="POST",
    paths=client("/login/get_token", v="v1"),
    request=GenerateLoginTokenRequest,
    response=GenerateLoginTokenResponse,
    auth=Auth.SUSPENDED,
    rate_limit="account",
)

REFRESH = Endpoint(
    operation_id="refresh",
    method="POST",
    paths=client("/refresh"),
    request=RefreshRequest,
    response=RefreshResponse,
    auth=Auth.NONE,
    rate_limit="refresh",
)

LOGOUT = Endpoint(
    operation_id="logout",
    method="POST",
    paths=client("/logout"),
    request=Empty,
    response=Empty,
    auth=Auth.LOCKED,
)

LOGOUT_ALL = Endpoint(
    operation_id="logout_all",
    method="POST",
    paths=client("/logout/all"),
    request=Empty,
    response=Empty,
    auth=Auth.LOCKED,
)

ENDPOINTS = (GET_LOGIN_FLOWS, LOGIN, GENERATE_LOGIN_TOKEN, REFRESH, LOGOUT, LOGOUT_ALL)
