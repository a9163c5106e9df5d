"""Making accounts with the server's shared secret, which is the authentication: `weft user create` uses it too."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from weft.protocol.api.client.registration import Username
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct
from weft.protocol.api.synapse_admin.declaring import ROOT
from weft.protocol.api.types import DisplayName, Password, SessionKey


class GetRegistrationNonceResponse(Struct):
    nonce: str


class SharedSecretRegisterRequest(Struct):
    """`mac` is the HMAC-SHA1, in hexadecimal, with the server's registration secret as its key, of the nonce, the user
    name, the password, `admin` or `notadmin`, and the user type if there is one, with zero bytes between them.
    """

    nonce: SessionKey
    username: Username
    password: Password
    mac: Annotated[str, Meta(max_length=128)]
    admin: bool = False
    displayname: DisplayName | None = None
    user_type: Annotated[str, Meta(max_length=64)] | None = None
    inhibit_login: bool = False


class SharedSecretRegisterResponse(Struct):
    user_id: str
    home_server: str
    access_token: str | None = None
    device_id: str | None = None


GET_REGISTRATION_NONCE = Endpoint(
    operation_id="getRegistrationNonce",
    method="GET",
    paths=(f"{ROOT}/v1/register",),
    request=Empty,
    response=GetRegistrationNonceResponse,
    auth=Auth.NONE,
    rate_limit="registration_token",
)

SHARED_SECRET_REGISTER = Endpoint(
    operation_id="sharedSecretRegister",
    method="POST",
    paths=(f"{ROOT}/v1/register",),
    request=SharedSecretRegisterRequest,
    response=SharedSecretRegisterResponse,
    auth=Auth.NONE,
    rate_limit="registration_token",
)

ENDPOINTS = (GET_REGISTRATION_NONCE, SHARED_SECRET_REGISTER)
