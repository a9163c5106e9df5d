"""What a client asks at the authorisation endpoint, and how it is answered.

A request from a client that is not known, or that wants its answer sent to where the client is not, is answered to the
person alone: `OAuthError`. Everything else goes back to the client: `RefusedRequest`.

https://spec.matrix.org/v1.19/client-server-api/#authorisation-code-flow
https://www.rfc-editor.org/rfc/rfc6749#section-4.1
https://www.rfc-editor.org/rfc/rfc9207
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from weft.protocol.errors import WeftError
from weft.protocol.oauth import pkce, redirects, scopes
from weft.protocol.oauth.clients import CODE_GRANT, ClientMetadata
from weft.protocol.oauth.errors import OAuthError, invalid_request
from weft.protocol.oauth.scopes import Scope

RESPONSE_MODES: Final = ("query", "fragment")
CREATE: Final = "create"
#: Of `state` and `nonce`, in characters.
_LONGEST: Final = 2048

Parameters = Mapping[str, Sequence[str]]


class Answering(NamedTuple):
    """How a client is answered."""

    redirect_uri: str
    mode: str
    state: str | None
    issuer: str

    def uri(self, **parameters: str) -> str:
        """Where to send the browser; `iss` says who answers, so that no other server's answer is taken for it."""
        state = {} if self.state is None else {"state": self.state}
        return redirects.answered(self.redirect_uri, self.mode, {**parameters, **state, "iss": self.issuer})

    def error(self, error: str, description: str) -> str:
        return self.uri(error=error, error_description=description)


class RefusedRequest(WeftError):
    """The client is told by sending the browser to `uri`."""

    def __init__(self, uri: str) -> None:
        super().__init__("The client's request is not one that can be granted.")
        self.uri = uri


class AuthorizationRequest(NamedTuple):
    client_id: str
    answering: Answering
    scope: Scope
    challenge: str
    nonce: str | None
    #: The person wants a new account.
    create: bool
    #: Who the client thinks it is: a user id, to be offered in the form.
    login_hint: str


def client_id_of(parameters: Parameters) -> str:
    """Raises `OAuthError` if it is missing or said twice."""
    client_id = _one(parameters, "client_id")
    if not client_id:
        raise invalid_request("`client_id` is missing.")
    return client_id


def read(parameters: Parameters, client_id: str, client: ClientMetadata, issuer: str) -> AuthorizationRequest:
    """Raises `OAuthError` or `RefusedRequest`."""
    answering = _answering(parameters, client, issuer)
    try:
        return _read(parameters, client_id, client, answering)
    except OAuthError as error:
        raise RefusedRequest(answering.error(error.error, error.message)) from None


def _answering(parameters: Parameters, client: ClientMetadata, issuer: str) -> Answering:
    uri = _one(parameters, "redirect_uri")
    if uri is None:
        raise invalid_request("`redirect_uri` is missing.")
    if not redirects.is_registered(uri, client.redirect_uris):
        raise invalid_request("The redirect URI is not one that the client has registered.")
    modes, states = parameters.get("response_mode", ()), parameters.get("state", ())
    # How it is to be answered may be what is wrong: then it is answered in the ordinary way.
    mode = modes[0] if len(modes) == 1 and modes[0] in RESPONSE_MODES else RESPONSE_MODES[0]
    return Answering(uri, mode, states[0] if len(states) == 1 and len(states[0]) <= _LONGEST else None, issuer)


def _read(parameters: Parameters, client_id: str, client: ClientMetadata, answering: Answering) -> AuthorizationRequest:
    given = {name: _one(parameters, name) for name in _PARAMETERS}
    for name in ("state", "nonce"):
        if len(given[name] or "") > _LONGEST:
            raise invalid_request(f"`{name}` is too long.")
    if given["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "`response_type` must be `code`.")
    if CODE_GRANT not in client.grant_types:
        raise OAuthError("unauthorized_client", "The client has not registered for the authorisation code grant.")
    if (given["response_mode"] or RESPONSE_MODES[0]) not in RESPONSE_MODES:
        raise invalid_request("`response_mode` must be `query` or `fragment`.")
    if given["code_challenge_method"] != pkce.METHOD or not pkce.is_challenge(given["code_challenge"] or ""):
        raise invalid_request("`code_challenge` and `code_challenge_method=S256` are needed.")
    prompts = (given["prompt"] or "").split(" ")
    if "none" in prompts:
        raise OAuthError("interaction_required", "People are always asked here.")
    return AuthorizationRequest(
        client_id,
        answering,
        scopes.read(given["scope"] or ""),
        given["code_challenge"] or "",
        given["nonce"],
        CREATE in prompts,
        _user_of(given["login_hint"] or ""),
    )


def _user_of(hint: str) -> str:
    """A login hint is a user id, as `mxid:@user:domain`; others are passed over."""
    return hint.removeprefix("mxid:")[:255] if hint.startswith("mxid:@") else ""


def _one(parameters: Parameters, name: str) -> str | None:
    """https://www.rfc-editor.org/rfc/rfc6749#section-3.1"""
    values = parameters.get(name, ())
    if len(values) > 1:
        raise invalid_request(f"`{name}` is there more than once.")
    return values[0] if values else None


_PARAMETERS: Final = (
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "login_hint",
    "code_challenge",
    "code_challenge_method",
)
