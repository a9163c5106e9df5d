"""`mxc://` URIs, which name media by server and id.

The narrow grammar of both parts is what keeps them from climbing out of a directory or a URL path.

Rules: https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers.server_names import is_valid_server_name

_SCHEME: Final = "mxc://"
_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.A)


class Mxc(NamedTuple):
    server_name: str
    media_id: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.server_name}/{self.media_id}"


def parse_mxc(uri: str) -> Mxc:
    """Raises `InvalidParam`."""
    server_name, _, media_id = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or _MEDIA_ID.fullmatch(media_id) is None or not is_valid_server_name(server_name):
        raise InvalidParam(f"{uri[:64]!r} is not an mxc URI.")
    return Mxc(server_name, media_id)


def is_valid_mxc(uri: str) -> bool:
    try:
        parse_mxc(uri)
    except InvalidParam:
        return False
    return True
