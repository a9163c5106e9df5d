"""The rules of single sign-on: where a browser may be sent, what a provider's word is worth, what somebody is called.

https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from weft.protocol.errors import InvalidParam

#: The longest address at which a client wants to be answered.
LONGEST_REDIRECT: Final = 4096
#: For how many seconds the clocks of a provider and of this server may differ.
CLOCK_SKEW: Final = 60
_LONGEST_SUBJECT: Final = 255
_LONGEST_LOCALPART: Final = 100
#: What URIs are made of; no spaces, controls, quotes or backslashes, over which parsers disagree.
_URI: Final = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&()*+,;=._~%'{}|^-]+", re.A)
#: A host and its port: nothing that would end a directive of a security policy, and no user.
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+", re.A)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*", re.A)
#: Schemes by which a browser runs or shows what is in the address itself, or opens files.
_NEVER: Final = frozenset(
    {"javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source", "jar", "intent"}
)
_OWN_PAGE: Final = re.compile(r"/_weft(?:/[A-Za-z0-9_-]+)+(?:\?[!$&-;=?@A-Z_a-z~%]*)?", re.A)
_NO_LOCALPART: Final = re.compile(r"[^a-z0-9._=/+-]+", re.A)


# -- where a browser may be sent


def check_redirect(uri: str) -> str:
    """A `redirectUrl`, if a browser can be sent there without harm. Raises `InvalidParam`.

    An address of the web, or of an app by a scheme of its own.
    """
    parts = _split(uri)
    if parts is None or not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _NEVER:
        raise InvalidParam("`redirectUrl` is no address that a browser may be sent to.")
    if parts.scheme in ("http", "https") and (not parts.hostname or not _HOST.fullmatch(parts.netloc)):
        raise InvalidParam("`redirectUrl` has no host, or names a user.")
    return uri


def is_trusted(uri: str, trusted: Iterable[str]) -> bool:
    """Whether an address that was checked is a trusted one, or below one: the same origin, the path beginning so."""
    parts = _split(uri)
    if parts is None or _climbs(parts.path):
        return False
    return any(_covers(each, parts) for each in map(_split, trusted) if each is not None)


def _covers(base: SplitResult, parts: SplitResult) -> bool:
    if (base.scheme, base.netloc.lower()) != (parts.scheme, parts.netloc.lower()):
        return False
    path = base.path or "/"
    return parts.path == base.path or (parts.path or "/").startswith(path if path.endswith("/") else f"{path}/")


def _climbs(path: str) -> bool:
    """Whether a path may lead above itself: browsers resolve dots, also encoded ones."""
    return ".." in re.sub(r"%2e", ".", path, flags=re.I) or "%2f" in path.lower() or "%5c" in path.lower()


def with_login_token(uri: str, token: str) -> str:
    """Where a browser is sent with a login token; one that is in the address already is replaced."""
    parts = urlsplit(uri)
    kept = [each for each in parts.query.split("&") if each and unquote_plus(each.partition("=")[0]) != "loginToken"]
    query = "&".join([*kept, f"loginToken={quote(token, safe='')}"])
    head = uri.partition("#")[0].partition("?")[0]
    return f"{head}?{query}" + (f"#{parts.fragment}" if parts.fragment else "")


def source_of(uri: str) -> str:
    """An address as the security policy `form-action` has it: its origin, or its scheme."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def shown_to_people(uri: str) -> str:
    """Whom an address belongs to, as far as it says: its host, or the scheme of an app."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"the app for {parts.scheme}: addresses"


def is_own_page(address: str) -> bool:
    """Whether an address is a page of this server's, spelled without its host."""
    return len(address) <= 2 * LONGEST_REDIRECT and _OWN_PAGE.fullmatch(address) is not None


def _split(uri: str) -> SplitResult | None:
    if len(uri) > LONGEST_REDIRECT or not _URI.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


# -- what a provider says


class Identity(NamedTuple):
    """Whom a provider has recognised: `subject` is theirs for ever, the rest may change."""

    subject: str
    localpart: str | None
    display_name: str | None
    #: Only one that the provider says it has verified.
    email: str | None


class NotValid(Exception):
    """What a provider says is not what it has to say."""


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float) -> str:
    """The subject of an ID token whose signature was checked. Raises `NotValid`. `now`: seconds since 1970."""
    if claims.get("iss") != issuer:
        raise NotValid("it is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise NotValid("it is for another client")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise NotValid("it was given to another client")
    if _seconds(claims, "exp") <= now - CLOCK_SKEW:
        raise NotValid("it has expired")
    if _seconds(claims, "iat") > now + CLOCK_SKEW or ("nbf" in claims and _seconds(claims, "nbf") > now + CLOCK_SKEW):
        raise NotValid("it is from the future")
    if claims.get("nonce") != nonce:
        raise NotValid("its nonce is another")
    return subject_of(claims)


def subject_of(claims: Mapping[str, Any]) -> str:
    """Raises `NotValid`."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or "\0" in subject:
        raise NotValid("it names no subject")
    return subject


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotValid(f"it has no {name}")
    return value


def text_claim(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is a text for people; None for one that is not there, or is something else."""
    value = claims.get(name) if name else None
    if not isinstance(value, str):
        return None
    text = " ".join("".join(each for each in value if each.isprintable()).split())
    return text[:255] or None


def proposed_localpart(text: str) -> str | None:
    """What a name elsewhere becomes here: accents fall away, spaces become dots; None where nothing is left."""
    plain = unicodedata.normalize("NFKD", text.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    dotted = ".".join(plain.split())
    return _NO_LOCALPART.sub("", dotted).strip("._-=/+")[:_LONGEST_LOCALPART] or None
