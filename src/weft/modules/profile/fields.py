"""What a profile may hold: the names of fields, their values, their size.

https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from weft.protocol.errors import BadJson, InvalidParam, MatrixError
from weft.protocol.identifiers import is_namespaced_identifier, is_valid_mxc

MAX_BYTES = 64 * 1024
MAX_KEY_BYTES = 255
#: The bounds are ours: these go into a member event in every room.
_MAX_DISPLAYNAME = 256
_MAX_AVATAR_URL = 1_000

#: The fields that member events show.
IN_ROOMS = ("displayname", "avatar_url")

Fields = dict[str, msgspec.Raw]


def check_key(key: str) -> None:
    """Raises `M_KEY_TOO_LARGE` or `InvalidParam` for what can't be a field's name."""
    if len(key.encode()) > MAX_KEY_BYTES:
        raise MatrixError(f"A key has at most {MAX_KEY_BYTES} bytes.", errcode="M_KEY_TOO_LARGE")
    if not is_namespaced_identifier(key):
        raise InvalidParam("A key begins with a-z and has only a-z, 0-9, `.`, `_` and `-`.")


def check_value(key: str, value: bytes) -> None:
    """Raises `BadJson` or `InvalidParam` for a value that the field can't have."""
    if key not in (*IN_ROOMS, "m.tz"):
        return
    text = msgspec.json.decode(value)
    if not isinstance(text, str):
        raise BadJson(f"{key} must be a string.")
    if key == "displayname" and len(text) > _MAX_DISPLAYNAME:
        raise InvalidParam(f"A display name has at most {_MAX_DISPLAYNAME} characters.")
    if key == "avatar_url" and text and (len(text) > _MAX_AVATAR_URL or not is_valid_mxc(text)):
        raise InvalidParam("avatar_url must be an mxc:// URI.")
    if key == "m.tz" and not 0 < len(text) <= MAX_KEY_BYTES:
        raise InvalidParam("m.tz must be the name of a time zone.")


def with_field(before: bytes, *, key: str, value: bytes) -> bytes:
    """Fields with one more, or another value. An empty name or picture is none. Raises `M_PROFILE_TOO_LARGE`."""
    if key in IN_ROOMS and value == b'""':
        return without_field(before, key=key)
    after = msgspec.json.encode({**read(before), key: msgspec.Raw(value)})
    if len(after) > MAX_BYTES:
        raise MatrixError("A profile has at most 64 KiB.", errcode="M_PROFILE_TOO_LARGE")
    return after


def without_field(before: bytes, *, key: str) -> bytes:
    fields = read(before)
    if fields.pop(key, None) is None:
        return before
    return msgspec.json.encode(fields)


def read(fields: bytes) -> Fields:
    return msgspec.json.decode(fields, type=Fields)


def in_rooms(fields: bytes) -> Mapping[str, str]:
    """What member events show: `displayname` and `avatar_url`, where they are set."""
    found = read(fields)
    return {key: msgspec.json.decode(found[key]) for key in IN_ROOMS if key in found}
