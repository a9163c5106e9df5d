"""New accounts.

https://spec.matrix.org/v1.19/client-server-api/#account-registration
https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Endpoint, Query, Struct, client
from weft.protocol.api.types import DeviceId, DisplayName, Password, SessionKey

#: The localpart that is asked for; whoever uses it checks its grammar.
Username = Annotated[str, Meta(max_length=512)]


class RegisterRequest(Struct):
    """`guest_access_token` makes a guest's account a full one. With `type` an application service registers a user."""

    kind: Query[Literal["guest", "user"]] = "user"
    auth: dict[str, Any] | None = None
    type: str | None = None
    username: Username | None = None
    password: Password | None = None
    device_id: DeviceId | None = None
    initial_device_display_name: DisplayName | None = None
    inhibit_login: bool = False
    refresh_token: bool = False
    guest_access_token: SessionKey | None = None


class RegisterResponse(Struct):
    """Only `user_id` is there if the login was inhibited."""

    user_id: str
    access_token: str | None = None
    device_id: str | None = None
    refresh_token: str | None = None
    expires_in_ms: int | None = None
    home_server: str | None = None


class CheckUsernameAvailabilityRequest(Struct):
    username: Query[Username]


class CheckUsernameAvailabilityResponse(Struct):
    available: bool


class RegistrationTokenValidityRequest(Struct):
    token: Query[SessionKey]


class RegistrationTokenValidityResponse(Struct):
    valid: bool


REGISTER = Endpoint(
    operation_id="register",
    method="POST",
    paths=client("/register"),
    request=RegisterRequest,
    response=RegisterResponse,
    auth=Auth.NONE,
    rate_limit="registration",
)

CHECK_USERNAME_AVAILABILITY = Endpoint(
    operation_id="checkUsernameAvailability",
    method="GET",
    paths=client("/register/available"),
    request=CheckUsernameAvailabilityRequest,
    response=CheckUsernameAvailabilityResponse,
    auth=Auth.NONE,
    rate_limit="registration",
)

REGISTRATION_TOKEN_VALIDITY = Endpoint(
    operation_id="registrationTokenValidity",
    method="GET",
    paths=client(
        "/register/m.login.registration_token/validity",
        v="v1",
        unstable=("unstable/org.matrix.msc3231/register/org.matrix.msc3231.login.registration_token/validity",),
    ),
    request=RegistrationTokenValidityRequest,
    response=RegistrationTokenValidityResponse,
    auth=Auth.NONE,
    rate_limit="registration_token",
)

ENDPOINTS = (REGISTER, CHECK_USERNAME_AVAILABILITY, REGISTRATION_TOKEN_VALIDITY)
