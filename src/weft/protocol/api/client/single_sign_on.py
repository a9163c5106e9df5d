"""Single sign-on: the browser goes to a provider that knows the person, and comes back.

What browsers reach besides the specification's two addresses lies below `/_weft/single_sign_on/`.

https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Body, Endpoint, Path, Query, Raw, Struct, client

#: Where a browser begins on its way to a provider, from a page of this server.
BEGIN: Final = "/_weft/single_sign_on/begin"
#: Where a provider sends it back.
CALLBACK: Final = "/_weft/single_sign_on/callback"
#: Where the forms are posted that are shown then.
CONTINUE: Final = "/_weft/single_sign_on/continue"

_Text = Annotated[str, Meta(max_length=16_384)]
_Action = Literal["login", "register"]


class RedirectToSsoRequest(Struct):
    redirect_url: Query[_Text] = field(name="redirectUrl")
    action: Query[_Action | None] = None


class RedirectToIdPRequest(Struct):
    """`idp_id` is the id of one of the flow's `identity_providers`."""

    idp_id: Path[_Text] = field(name="idpId")
    redirect_url: Query[_Text] = field(name="redirectUrl")
    action: Query[_Action | None] = None


class BeginSingleSignOnRequest(Struct):
    """`session` is one of user-interactive authentication; `next` a page of this server's."""

    provider: Path[_Text]
    session: Query[_Text | None] = None
    next: Query[_Text | None] = None


class FinishSingleSignOnRequest(Struct):
    """https://openid.net/specs/openid-connect-core-1_0.html#AuthResponse"""

    provider: Path[_Text]
    state: Query[_Text | None] = None
    code: Query[_Text | None] = None
    iss: Query[_Text | None] = None
    error: Query[_Text | None] = None


class ContinueSingleSignOnRequest(Struct):
    """`form` is the body as it came."""

    form: Body[bytes] = b""


REDIRECT_TO_SSO = Endpoint(
    operation_id="redirectToSSO",
    method="GET",
    paths=client("/login/sso/redirect"),
    request=RedirectToSsoRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="login",
)

REDIRECT_TO_ID_P = Endpoint(
    operation_id="redirectToIdP",
    method="GET",
    paths=client("/login/sso/redirect/{idpId}"),
    request=RedirectToIdPRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="login",
)

BEGIN_SINGLE_SIGN_ON = Endpoint(
    operation_id="beginSingleSignOn",
    method="GET",
    paths=(f"{BEGIN}/{{provider}}",),
    request=BeginSingleSignOnRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="login",
)

FINISH_SINGLE_SIGN_ON = Endpoint(
    operation_id="finishSingleSignOn",
    method="GET",
    paths=(f"{CALLBACK}/{{provider}}",),
    request=FinishSingleSignOnRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="login",
)

CONTINUE_SINGLE_SIGN_ON = Endpoint(
    operation_id="continueSingleSignOn",
    method="POST",
    paths=(CONTINUE,),
    request=ContinueSingleSignOnRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="login",
    max_body=1 << 14,
)

ENDPOINTS = (
    REDIRECT_TO_SSO,
    REDIRECT_TO_ID_P,
    BEGIN_SINGLE_SIGN_ON,
    FINISH_SINGLE_SIGN_ON,
    CONTINUE_SINGLE_SIGN_ON,
)
