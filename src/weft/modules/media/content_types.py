"""What type a content is said to have, what it is called, and how a browser may show it.

https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

DEFAULT: Final = "application/octet-stream"
#: Characters of a file's name that are kept.
MAX_NAME: Final = 255

#: What may be shown in place; everything else is for saving.
INLINE: Final = frozenset(
    {
        "text/css",
        "text/plain",
        "text/csv",
        "application/json",
        "application/ld+json",
        "image/jpeg",
        "image/gif",
        "image/png",
        "image/apng",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/quicktime",
        "audio/mp4",
        "audio/webm",
        "audio/aac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wave",
        "audio/wav",
        "audio/x-wav",
        "audio/x-pn-wav",
        "audio/flac",
        "audio/x-flac",
    }
)

#: With every content: nothing of it runs in this server's origin, whatever a browser takes it for.
SAFETY: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
    "style-src 'unsafe-inline'; object-src 'self';",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive, noimageindex",
}

_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}(?:\s*;[\x20-\x7e]{{1,150}})?")
_PLAIN_NAME: Final = re.compile(r"[ !#-\[\]-~]*")
#: A parameter of a header; its value is quoted or not.
_PARAMETER: Final = re.compile(r';\s*([!#$&+.^_`|~0-9A-Za-z*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)\s*(?=;|$)')


def checked(given: str | None) -> str:
    """A content type as it was given, if it is one."""
    return given if given is not None and _TYPE.fullmatch(given) else DEFAULT


def essence(content_type: str) -> str:
    """The type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def checked_name(given: str | None) -> str | None:
    """A file's name without what could act on whoever sees it: control characters and lone surrogates."""
    if given is None:
        return None
    name = "".join(letter for letter in given if letter.isprintable() and not "\ud800" <= letter <= "\udfff")
    return name[:MAX_NAME] or None


def disposition(content_type: str, name: str | None) -> str:
    """The `Content-Disposition` of a content. https://www.rfc-editor.org/rfc/rfc6266"""
    kind = "inline" if essence(content_type) in INLINE else "attachment"
    if not name:
        return kind
    if _PLAIN_NAME.fullmatch(name):
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"


def name_in(disposition_: str | None) -> str | None:
    """The file name in a `Content-Disposition` that another server sent."""
    if disposition_ is None:
        return None
    found = parameters(disposition_)
    extended = found.get("filename*")
    if extended is not None:
        charset, _, rest = extended.partition("'")
        _, quote_, text = rest.partition("'")
        if quote_ and charset.lower() in ("utf-8", "us-ascii"):
            return checked_name(unquote_to_bytes(text).decode("utf-8", "replace"))
    return checked_name(found.get("filename"))


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header that another server sent, by small names, without the quotes around them."""
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(header[:4096]):
        quoted = value.startswith('"')
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value)
    return found
