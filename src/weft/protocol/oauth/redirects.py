"""Where a client may be answered: a client proves who it is by being reached there, so nothing here is lenient.

* Web clients: `https`, on the host of their `client_uri` or below it.
* Native clients: these too; a private scheme that is their host backwards (`com.example.app:/callback`); and this
  machine's loopback interface, where the port is any.

https://spec.matrix.org/v1.19/client-server-api/#redirect-uri-validation
https://www.rfc-editor.org/rfc/rfc8252#section-7
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

LONGEST: Final = 2048

#: What URIs are made of; no spaces, controls, quotes or backslashes, over which parsers disagree. No fragment.
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9:/?\[\]@!$&'()*+,;=._~%-]+", re.A)
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HTTPS: Final = re.compile(rf"https://((?:{_LABEL}\.)*{_LABEL})(:[0-9]{{1,5}})?([/?].*)?", re.A | re.I)
_LOOPBACK: Final = re.compile(r"(http://(?:localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?([/?].*)?", re.A)
_PRIVATE: Final = re.compile(r"([a-z][a-z0-9+.-]*):(?!//).*", re.A | re.I)
_ADDRESS: Final = re.compile(r"[0-9.]+", re.A)


def host_of(uri: str) -> str | None:
    """The host of an `https` URI with no user, password or fragment, in lower case; None for anything else."""
    match = _https(uri)
    return match[1].lower() if match else None


def is_below(uri: str, base: str) -> bool:
    """Whether an `https` URI is on a host or, where that is a name of several labels, below it."""
    host = host_of(uri)
    return host is not None and (host == base or (_is_domain(base) and host.endswith(f".{base}")))


def is_allowed(uri: str, base: str, *, native: bool) -> bool:
    """Whether a client whose `client_uri` has the host `base` may register a redirect URI."""
    if is_below(uri, base):
        return True
    return native and (_is_private(uri, base) or _is_loopback(uri))


def _is_private(uri: str, base: str) -> bool:
    match = _PRIVATE.fullmatch(uri) if _is_plain(uri) else None
    if match is None or not _is_domain(base):
        return False
    scheme, prefix = match[1].lower(), ".".join(reversed(base.split(".")))
    return scheme == prefix or scheme.startswith(f"{prefix}.")


def _is_loopback(uri: str) -> bool:
    match = _LOOPBACK.fullmatch(uri) if _is_plain(uri) else None
    return match is not None and match[2] is None


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether a redirect URI in a request is one of the registered: character by character, but for loopback's port."""
    if uri in registered:
        return True
    match = _LOOPBACK.fullmatch(uri) if _is_plain(uri) else None
    if match is None or match[2] is None or not 0 < int(match[2][1:]) < 65_536:
        return False
    return match[1] + (match[3] or "") in registered


class Destination(NamedTuple):
    """Where an answer goes, for people and for a security policy."""

    #: The host; None where it is an app on the person's own device.
    host: str | None
    #: As `form-action` has it: an origin, or a scheme.
    source: str


def destination_of(uri: str) -> Destination:
    """Of a URI that `is_registered`."""
    if match := _https(uri):
        return Destination(match[1].lower(), f"https://{match[1]}{match[2] or ''}")
    if match := _LOOPBACK.fullmatch(uri):
        return Destination(None, match[1] + (match[2] or ""))
    return Destination(None, f"{uri.partition(':')[0]}:")


def answered(uri: str, mode: str, parameters: dict[str, str]) -> str:
    """The URI that brings an answer to a client, in the query or (`mode` is `fragment`) in the fragment."""
    text = urlencode(parameters, quote_via=quote)
    if mode == "fragment":
        return f"{uri}#{text}"
    return f"{uri}{'&' if '?' in uri else '?'}{text}"


def _https(uri: str) -> re.Match[str] | None:
    match = _HTTPS.fullmatch(uri) if _is_plain(uri) else None
    if match is None or (match[2] is not None and not 0 < int(match[2][1:]) < 65_536):
        return None
    return match


def _is_plain(uri: str) -> bool:
    return len(uri) <= LONGEST and _CHARACTERS.fullmatch(uri) is not None


def _is_domain(host: str) -> bool:
    """A name of several labels, so that "com" is nobody's base; an address has nothing below it."""
    return "." in host and not _ADDRESS.fullmatch(host)
