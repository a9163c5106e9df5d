"""Tokens for paging: a place in a room's history, inside a cut.

A cut (a vector) is how much of the log is looked at; inside it events stand in graph order, by depth and then position.
A sync token `s…` is a cut alone; a paging token `t…` is a place in a cut. Both are opaque to clients, and either is
taken where a place is asked for.

https://spec.matrix.org/v1.19/client-server-api/#pagination
"""

from __future__ import annotations

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


def spell_cut(cut: Vector) -> str:
    """A sync token."""
    return "s" + cut.spell()


def parse_cut(token: str) -> Vector:
    """Reads a sync token; a paging token counts as its cut. Raises `InvalidParam`."""
    if token.startswith("s"):
        return Vector.parse(token[1:])
    cut = parse_place(token).cut
    if cut is None:
        raise InvalidParam("The token is not one that this server made for /sync.")
    return cut


def parse_place(token: str) -> Place:
    """Reads either kind of token. Raises `InvalidParam`."""
    if token.startswith("s"):
        return Place(LAST, Vector.parse(token[1:]))
    if not token.startswith("t"):
        raise InvalidParam("The token is not one that this server made.")
    parts = token[1:].split("-")
    if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() and len(p) <= _DIGITS for p in parts[:2]):
        raise InvalidParam("The token is not one that this server made.")
    order = (min(int(parts[0]) - 1, _MAX), min(int(parts[1]), _MAX))
    return Place(order, Vector.parse(parts[2]) if len(parts) == 3 else None)
