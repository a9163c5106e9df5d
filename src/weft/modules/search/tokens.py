"""Where a search goes on: an opaque text, read back with care."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import msgspec

from weft.protocol.errors import InvalidParam

_Number = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]


class Continuation(msgspec.Struct, array_like=True, frozen=True):
    """After which result a search goes on, and in which group, if in one.

    By rank `offset` is how many matches were looked at; by time `last` is the time and the position of the last one.
    """

    offset: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    last: tuple[_Number, _Number] | None = None
    group: tuple[Literal["room_id", "sender"], str] | None = None


def spell(continuation: Continuation) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(continuation)).decode().rstrip("=")


def parse(token: str) -> Continuation:
    """Reads what `spell` wrote. Raises `InvalidParam`."""
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(text, type=Continuation)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidParam("The token is not one that this server made.") from None
