"""The OAuth 2.0 API: this server as its own authorisation server.

What browsers and clients reach by addresses in the server's metadata lies below `/_weft/`. Forms are posted back to the
page's own address, query and all, and carry what was asked for from page to page.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
"""

from __future__ import annotations

from typing import Any, Final

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Raw, Struct, client

AUTHORIZE: Final = "/_weft/oauth/authorize"
TOKEN: Final = "/_weft/oauth/token"
REVOKE: Final = "/_weft/oauth/revoke"
REGISTER: Final = "/_weft/oauth/register"
DEVICE: Final = "/_weft/oauth/device"
KEYS: Final = "/_weft/oauth/keys"
LINK: Final = "/_weft/link"
ACCOUNT: Final = "/_weft/account"

#: The most bytes of a form, and of what a client says of itself.
_FORM: Final = 1 << 14


class GetAuthMetadataResponse(Struct):
    """What clients find the rest by. https://www.rfc-editor.org/rfc/rfc8414"""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    registration_endpoint: str
    response_types_supported: list[str]
    grant_types_supported: list[str]
    response_modes_supported: list[str]
    code_challenge_methods_supported: list[str]
    prompt_values_supported: list[str] | None = None
    account_management_uri: str | None = None
    account_management_actions_supported: list[str] | None = None
    device_authorization_endpoint: str | None = None
    jwks_uri: str | None = None
    scopes_supported: list[str] | None = None
    subject_types_supported: list[str] | None = None
    id_token_signing_alg_values_supported: list[str] | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    revocation_endpoint_auth_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class GetAuthIssuerResponse(Struct):
    issuer: str


class FormRequest(Struct):
    """`form` is the body as it came."""

    form: Body[bytes] = b""


class RegisterOauthClientRequest(Struct):
    """What a client says of itself; `weft.protocol.oauth.clients` reads it."""

    metadata: Body[bytes] = b""


class OauthTokenResponse(Struct):
    """`expires_in` is in seconds. `scope` is left out where it is what it was; `id_token` where none was asked for."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str | None = None
    id_token: str | None = None


class AuthorizeDeviceResponse(Struct, kw_only=True):
    """https://www.rfc-editor.org/rfc/rfc8628#section-3.2"""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class GetOauthKeysResponse(Struct):
    """https://www.rfc-editor.org/rfc/rfc7517#section-5"""

    keys: list[dict[str, Any]]


GET_AUTH_METADATA = Endpoint(
    operation_id="getAuthMetadata",
    method="GET",
    paths=client("/auth_metadata", v="v1", unstable=("unstable/org.matrix.msc2965/auth_metadata",)),
    request=Empty,
    response=GetAuthMetadataResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

GET_OPENID_CONFIGURATION = Endpoint(
    operation_id="getOpenidConfiguration",
    method="GET",
    paths=("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    request=Empty,
    response=GetAuthMetadataResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

GET_AUTH_ISSUER = Endpoint(
    operation_id="getAuthIssuer",
    method="GET",
    paths=("/_matrix/client/unstable/org.matrix.msc2965/auth_issuer",),
    request=Empty,
    response=GetAuthIssuerResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
    deprecated=True,
)

REGISTER_OAUTH_CLIENT = Endpoint(
    operation_id="registerOauthClient",
    method="POST",
    paths=(REGISTER,),
    request=RegisterOauthClientRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="oauth_client",
    max_body=_FORM,
)

SHOW_AUTHORIZATION = Endpoint(
    operation_id="showAuthorization",
    method="GET",
    paths=(AUTHORIZE,),
    request=Empty,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

DECIDE_AUTHORIZATION = Endpoint(
    operation_id="decideAuthorization",
    method="POST",
    paths=(AUTHORIZE,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
    max_body=_FORM,
)

GET_OAUTH_TOKEN = Endpoint(
    operation_id="getOauthToken",
    method="POST",
    paths=(TOKEN,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="refresh",
    max_body=_FORM,
)

REVOKE_OAUTH_TOKEN = Endpoint(
    operation_id="revokeOauthToken",
    method="POST",
    paths=(REVOKE,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="refresh",
    max_body=_FORM,
)

GET_OAUTH_KEYS = Endpoint(
    operation_id="getOauthKeys",
    method="GET",
    paths=(KEYS,),
    request=Empty,
    response=GetOauthKeysResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

AUTHORIZE_DEVICE = Endpoint(
    operation_id="authorizeDevice",
    method="POST",
    paths=(DEVICE,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="oauth_client",
    max_body=_FORM,
)

SHOW_LINK = Endpoint(
    operation_id="showLink",
    method="GET",
    paths=(LINK,),
    request=Empty,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

DECIDE_LINK = Endpoint(
    operation_id="decideLink",
    method="POST",
    paths=(LINK,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="user_code",
    max_body=_FORM,
)

SHOW_ACCOUNT = Endpoint(
    operation_id="showAccount",
    method="GET",
    paths=(ACCOUNT,),
    request=Empty,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
)

CHANGE_ACCOUNT = Endpoint(
    operation_id="changeAccount",
    method="POST",
    paths=(ACCOUNT,),
    request=FormRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="lookup",
    max_body=_FORM,
)

ENDPOINTS = (
    GET_AUTH_METADATA,
    GET_OPENID_CONFIGURATION,
    GET_AUTH_ISSUER,
    REGISTER_OAUTH_CLIENT,
    SHOW_AUTHORIZATION,
    DECIDE_AUTHORIZATION,
    GET_OAUTH_TOKEN,
    REVOKE_OAUTH_TOKEN,
    GET_OAUTH_KEYS,
    AUTHORIZE_DEVICE,
    SHOW_LINK,
    DECIDE_LINK,
    SHOW_ACCOUNT,
    CHANGE_ACCOUNT,
)
