"""E-mail addresses and phone numbers of an account: adding, removing, telling identity servers, and proving ownership.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Query, Raw, Struct, client
from weft.protocol.api.types import ServerName, SessionKey

Medium = Literal["email", "msisdn"]
#: Opaque; whoever uses it checks its grammar.
ClientSecret = Annotated[str, Meta(max_length=255)]
#: Longer than any address; whoever uses it makes it canonical, which bounds it.
Address = Annotated[str, Meta(max_length=512)]
#: The bound is ours.
NextLink = Annotated[str, Meta(max_length=2048)]
#: The token of an account at an identity server, which alone knows what it looks like; the bound is ours.
IdAccessToken = Annotated[str, Meta(max_length=4096)]
SendAttempt = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]


class ThirdPartyIdentifier(Struct):
    """Times are milliseconds since 1970."""

    medium: Medium
    address: str
    validated_at: int
    added_at: int


class GetAccount3PIDsResponse(Struct):
    threepids: list[ThirdPartyIdentifier] | None = None


class ThreePidCredentials(Struct):
    """What a validation is known by; the identity server is the one that did it, if this server did not."""

    client_secret: ClientSecret
    sid: SessionKey
    id_server: ServerName | None = None
    id_access_token: IdAccessToken | None = None


class Post3PIDsRequest(Struct):
    three_pid_creds: ThreePidCredentials


class Post3PIDsResponse(Struct):
    submit_url: str | None = None


class Add3PIDRequest(Struct):
    client_secret: ClientSecret
    sid: SessionKey
    auth: dict[str, Any] | None = None


class Bind3PIDRequest(Struct):
    client_secret: ClientSecret
    sid: SessionKey
    id_server: ServerName
    id_access_token: IdAccessToken


class Delete3PIDRequest(Struct):
    medium: Medium
    address: Address
    id_server: ServerName | None = None


class Delete3PIDResponse(Struct):
    id_server_unbind_result: Literal["no-support", "success"]


class RequestTokenToEmailRequest(Struct):
    """`id_server` and its token are from when identity servers validated addresses; they are not looked at."""

    client_secret: ClientSecret
    email: Address
    send_attempt: SendAttempt
    next_link: NextLink | None = None
    id_server: ServerName | None = None
    id_access_token: IdAccessToken | None = None


class RequestTokenToMSISDNRequest(Struct):
    """`phone_number` as it would be dialled from `country`."""

    client_secret: ClientSecret
    country: Annotated[str, Meta(max_length=2)]
    phone_number: Address
    send_attempt: SendAttempt
    next_link: NextLink | None = None
    id_server: ServerName | None = None
    id_access_token: IdAccessToken | None = None


class RequestTokenResponse(Struct):
    """`submit_url` is where the client sends a code that the person types in."""

    sid: str
    submit_url: str | None = None


class ShowEmailConfirmationRequest(Struct):
    sid: Query[SessionKey] = ""
    token: Query[SessionKey] = ""


class ConfirmEmailRequest(Struct):
    """`form` is the body as it came."""

    form: Body[bytes] = b""


class SubmitMsisdnTokenRequest(Struct):
    sid: SessionKey
    client_secret: ClientSecret
    token: SessionKey


class SubmitMsisdnTokenResponse(Struct):
    success: bool


GET_ACCOUNT3PIDS = Endpoint(
    operation_id="getAccount3PIDs",
    method="GET",
    paths=client("/account/3pid"),
    request=Empty,
    response=GetAccount3PIDsResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

POST3PIDS = Endpoint(
    operation_id="post3PIDs",
    method="POST",
    paths=client("/account/3pid"),
    request=Post3PIDsRequest,
    response=Post3PIDsResponse,
    auth=Auth.TOKEN,
    rate_limit="account",
    deprecated=True,
)

ADD3PID = Endpoint(
    operation_id="add3PID",
    method="POST",
    paths=client("/account/3pid/add", unstable=("unstable/account/3pid/add",)),
    request=Add3PIDRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="account",
)

BIND3PID = Endpoint(
    operation_id="bind3PID",
    method="POST",
    paths=client("/account/3pid/bind", unstable=("unstable/account/3pid/bind",)),
    request=Bind3PIDRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="account",
)

DELETE3PID_FROM_ACCOUNT = Endpoint(
    operation_id="delete3pidFromAccount",
    method="POST",
    paths=client("/account/3pid/delete", unstable=("unstable/account/3pid/delete",)),
    request=Delete3PIDRequest,
    response=Delete3PIDResponse,
    auth=Auth.TOKEN,
    rate_limit="account",
)

UNBIND3PID_FROM_ACCOUNT = Endpoint(
    operation_id="unbind3pidFromAccount",
    method="POST",
    paths=client("/account/3pid/unbind", unstable=("unstable/account/3pid/unbind",)),
    request=Delete3PIDRequest,
    response=Delete3PIDResponse,
    auth=Auth.TOKEN,
    rate_limit="account",
)

REQUEST_TOKEN_TO3PIDEMAIL = Endpoint(
    operation_id="requestTokenTo3PIDEmail",
    method="POST",
    paths=client("/account/3pid/email/requestToken"),
    request=RequestTokenToEmailRequest,
    response=RequestTokenResponse,
    auth=Auth.NONE,
    rate_limit="validation",
)

REQUEST_TOKEN_TO3PIDMSISDN = Endpoint(
    operation_id="requestTokenTo3PIDMSISDN",
    method="POST",
    paths=client("/account/3pid/msisdn/requestToken"),
    request=RequestTokenToMSISDNRequest,
    response=RequestTokenResponse,
    auth=Auth.NONE,
    rate_limit="validation",
)

REQUEST_TOKEN_TO_REGISTER_EMAIL = replace(
    REQUEST_TOKEN_TO3PIDEMAIL,
    operation_id="requestTokenToRegisterEmail",
    paths=client("/register/email/requestToken"),
)

REQUEST_TOKEN_TO_REGISTER_MSISDN = replace(
    REQUEST_TOKEN_TO3PIDMSISDN,
    operation_id="requestTokenToRegisterMSISDN",
    paths=client("/register/msisdn/requestToken"),
)

REQUEST_TOKEN_TO_RESET_PASSWORD_EMAIL = replace(
    REQUEST_TOKEN_TO3PIDEMAIL,
    operation_id="requestTokenToResetPasswordEmail",
    paths=client("/account/password/email/requestToken"),
)

REQUEST_TOKEN_TO_RESET_PASSWORD_MSISDN = replace(
    REQUEST_TOKEN_TO3PIDMSISDN,
    operation_id="requestTokenToResetPasswordMSISDN",
    paths=client("/account/password/msisdn/requestToken"),
)

#: Where the link in an e-mail leads. Below /_matrix/client, because that is what proxies let through.
_EMAIL_TOKEN = "/_matrix/client/unstable/email/submit_token"

SHOW_EMAIL_CONFIRMATION = Endpoint(
    operation_id="showEmailConfirmation",
    method="GET",
    paths=(_EMAIL_TOKEN,),
    request=ShowEmailConfirmationRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

CONFIRM_EMAIL = Endpoint(
    operation_id="confirmEmail",
    method="POST",
    paths=(_EMAIL_TOKEN,),
    request=ConfirmEmailRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
    max_body=1 << 14,
)

SUBMIT_MSISDN_TOKEN = Endpoint(
    operation_id="submitMsisdnToken",
    method="POST",
    paths=("/_matrix/client/unstable/msisdn/submit_token",),
    request=SubmitMsisdnTokenRequest,
    response=SubmitMsisdnTokenResponse,
    auth=Auth.NONE,
    rate_limit="validation",
)

ENDPOINTS = (
    GET_ACCOUNT3PIDS,
    POST3PIDS,
    ADD3PID,
    BIND3PID,
    DELETE3PID_FROM_ACCOUNT,
    UNBIND3PID_FROM_ACCOUNT,
    REQUEST_TOKEN_TO3PIDEMAIL,
    REQUEST_TOKEN_TO3PIDMSISDN,
    REQUEST_TOKEN_TO_REGISTER_EMAIL,
    REQUEST_TOKEN_TO_REGISTER_MSISDN,
    REQUEST_TOKEN_TO_RESET_PASSWORD_EMAIL,
    REQUEST_TOKEN_TO_RESET_PASSWORD_MSISDN,
    SHOW_EMAIL_CONFIRMATION,
    CONFIRM_EMAIL,
    SUBMIT_MSISDN_TOKEN,
)
