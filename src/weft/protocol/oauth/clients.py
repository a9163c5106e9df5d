"""What a client says of itself when it registers.

What is not known here is not kept, and the answer says what is: grants and response types that are not supported,
names in other languages, keys.

https://spec.matrix.org/v1.19/client-server-api/#client-registration
https://www.rfc-editor.org/rfc/rfc7591
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from weft.protocol.oauth import redirects
from weft.protocol.oauth.errors import OAuthError

CODE_GRANT: Final = "authorization_code"
REFRESH_GRANT: Final = "refresh_token"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
#: How clients prove to the token endpoint who they are: not at all, they can keep no secret.
NO_SECRET: Final = "none"
GRANTS: Final = (CODE_GRANT, REFRESH_GRANT, DEVICE_GRANT)
_APPLICATIONS: Final = ("web", "native")
_MOST_REDIRECTS: Final = 20
_LONGEST_NAME: Final = 100


class ClientMetadata(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is registered of a client; it was checked."""

    client_uri: str
    redirect_uris: tuple[str, ...] = ()
    response_types: tuple[str, ...]
    grant_types: tuple[str, ...]
    application_type: str
    token_endpoint_auth_method: str
    client_name: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None
    policy_uri: str | None = None

    @property
    def host(self) -> str:
        """Of its `client_uri`: what it is known by."""
        return redirects.host_of(self.client_uri) or ""

    @property
    def name(self) -> str:
        """What people are told it is called, which is its own word."""
        return self.client_name or self.host


def read(given: Mapping[str, Any]) -> ClientMetadata:
    """Raises `OAuthError`: `invalid_client_metadata` or `invalid_redirect_uri`."""
    client_uri = _text(given, "client_uri")
    host = redirects.host_of(client_uri) if client_uri is not None else None
    if client_uri is None or host is None:
        raise _invalid("`client_uri` must be an https address without a user, a password or a fragment.")
    if _text(given, "token_endpoint_auth_method") not in (None, NO_SECRET):
        raise _invalid("`token_endpoint_auth_method` must be `none`: clients have no secrets here.")
    application = _text(given, "application_type") or "web"
    if application not in _APPLICATIONS:
        raise _invalid("`application_type` must be `web` or `native`.")
    grants = _known(given, "grant_types", GRANTS, (CODE_GRANT,))
    types = _known(given, "response_types", ("code",), ("code",) if CODE_GRANT in grants else ())
    uris = _redirect_uris(given, host, native=application == "native")
    if CODE_GRANT in grants:
        if "code" not in types:
            raise _invalid("`response_types` must have `code` for the authorisation code grant.")
        if not uris:
            raise _invalid_redirect("The authorisation code grant needs a redirect URI.")
    elif DEVICE_GRANT not in grants:
        raise _invalid("`grant_types` has no grant by which anybody can sign in here.")
    return ClientMetadata(
        client_uri=client_uri,
        redirect_uris=uris,
        response_types=types,
        grant_types=grants,
        application_type=application,
        token_endpoint_auth_method=NO_SECRET,
        client_name=_name(given),
        logo_uri=_below(given, "logo_uri", host),
        tos_uri=_below(given, "tos_uri", host),
        policy_uri=_below(given, "policy_uri", host),
    )


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"`{key}` must be a string.")
    return value


def _texts(given: Mapping[str, Any], key: str) -> list[str] | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _invalid(f"`{key}` must be an array of strings.")
    return value


def _known(given: Mapping[str, Any], key: str, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the values that mean something here."""
    values = _texts(given, key)
    return default if values is None else tuple(each for each in known if each in values)


def _redirect_uris(given: Mapping[str, Any], host: str, *, native: bool) -> tuple[str, ...]:
    uris = _texts(given, "redirect_uris") or []
    if len(uris) > _MOST_REDIRECTS:
        raise _invalid_redirect(f"There may be {_MOST_REDIRECTS} redirect URIs at most.")
    for uri in uris:
        if not redirects.is_allowed(uri, host, native=native):
            raise _invalid_redirect(f"This redirect URI is not one that a client of {host} may have: {uri[:200]}")
    return tuple(dict.fromkeys(uris))


def _below(given: Mapping[str, Any], key: str, host: str) -> str | None:
    uri = _text(given, key)
    if uri is not None and not redirects.is_below(uri, host):
        raise _invalid(f"`{key}` must be an https address on the host of `client_uri`, or below it.")
    return uri


def _name(given: Mapping[str, Any]) -> str | None:
    """Cut to a line that people can read; nothing in it may turn the direction of text, or hide."""
    name = _text(given, "client_name")
    if name is None:
        return None
    shown = "".join(char if char.isprintable() else " " for char in name)
    return " ".join(shown.split())[:_LONGEST_NAME] or None


def _invalid(message: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", message)


def _invalid_redirect(message: str) -> OAuthError:
    return OAuthError("invalid_redirect_uri", message)
