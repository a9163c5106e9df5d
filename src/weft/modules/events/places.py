"""Tokens for paging: a place in a room's history, inside a cut.

A cut (a vector) is how much of the log is looked at; inside it events stand in graph order, by depth and then position.
A sync token `s…` is a cut. Where some of what waited for the device has not been told yet, another cut follows behind
a `~`: as much as the device has of that. A position of sliding sync is one too, with something of its own behind a `!`.
A paging token `t…` is a place in a cut. All are opaque to clients, and either is taken where a place is asked for.

https://spec.matrix.org/v1.19/client-server-api/#pagination
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from weft.protocol.errors import InvalidParam
from weft.storage.positions import Vector

_MAX = (1 << 62) - 1
_DIGITS = len(str(_MAX))

#: Before every event, and after every event.
FIRST = (-1, 0)
LAST = (_MAX, _MAX)


class Place(NamedTuple):
    """Just before the event with this `order`, in this cut. `order` is (depth, position), or `FIRST` or `LAST`.

    Backwards from here come the events below `order`, forwards those from it on.
    """

    order: tuple[int, int]
    cut: Vector | None = None

    def spell(self) -> str:
        """As a token."""
        depth, position = self.order
        if self.order == LAST and self.cut is not None:
            return spell_cut(self.cut)
        cut = f"-{self.cut.spell()}" if self.cut is not None else ""
        return f"t{depth + 1}-{position}{cut}"


def after(order: tuple[int, int], cut: Vector | None = None) -> Place:
    """The place just after an event."""
    return Place((order[0], order[1] + 1), cut)


def spell_cut(cut: Vector, to_device: Vector | None = None) -> str:
    """A sync token. `to_device`: what the device has of its messages, if that is not all in the cut."""
    return f"s{cut.spell()}" if to_device is None else f"s{cut.spell()}~{to_device.spell()}"


def parse_cut(token: str) -> Vector:
    """Reads a sync token; a paging token counts as its cut. Raises `InvalidParam`."""
    return parse_sync_token(token)[0]


@lru_cache(maxsize=1024)  # clients that hear of the same things come with the same token
def parse_sync_token(token: str) -> tuple[Vector, Vector | None]:
    """As `parse_cut`, with what the device has of its messages where that is not all in the cut."""
    if token.startswith("s"):
        cut, tilde, to_device = token[1:].partition("!")[0].partition("~")
        return Vector.parse(cut), Vector.parse(to_device) if tilde else None
    place = parse_place(token).cut
    if place is None:
        raise InvalidParam("The token is not one that this server made for /sync.")
    return place, None


def parse_place(token: str) -> Place:
    """Reads either kind of token. Raises `InvalidParam`."""
    if token.startswith("s"):
        return Place(LAST, parse_sync_token(token)[0])
    if not token.startswith("t"):
        raise InvalidParam("The token is not one that this server made.")
    parts = token[1:].split("-")
    if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() and len(p) <= _DIGITS for p in parts[:2]):
        raise InvalidParam("The token is not one that this server made.")
    order = (min(int(parts[0]) - 1, _MAX), min(int(parts[1]), _MAX))
    return Place(order, Vector.parse(parts[2]) if len(parts) == 3 else None)
