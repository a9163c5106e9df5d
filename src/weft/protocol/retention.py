"""How long a room's messages are kept, by its `m.room.retention`.

https://github.com/matrix-org/matrix-spec-proposals/pull/1763
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from weft.protocol.event import StateKey

KEY: Final[StateKey] = ("m.room.retention", "")
#: The largest number that an event can hold.
_MOST: Final = 2**53 - 1


class Bounds(NamedTuple):
    """What a server makes of rooms' wishes, in ms. `default` is for rooms without one of their own."""

    default: int | None = None
    shortest: int | None = None
    longest: int | None = None


def lifetime_ms(content: Mapping[str, Any] | None, bounds: Bounds) -> int | None:
    """How long the messages of a room are kept; None: for ever. `content` is the room's policy, if it has one.

    A policy that is not one counts for nothing; one that asks for no `max_lifetime` has messages kept for ever, unless
    the server has a longest time.
    """
    policy = _policy(content)
    wanted = bounds.default if policy is None else policy.longest
    if wanted is None:
        return bounds.longest if policy is not None else None
    if bounds.shortest is not None:
        wanted = max(wanted, bounds.shortest)
    if bounds.longest is not None:
        wanted = min(wanted, bounds.longest)
    return wanted


class _Policy(NamedTuple):
    shortest: int | None
    longest: int | None


def _policy(content: Mapping[str, Any] | None) -> _Policy | None:
    if content is None:
        return None
    values = (content.get("min_lifetime"), content.get("max_lifetime"))
    if not all(one is None or (type(one) is int and 0 <= one <= _MOST) for one in values):
        return None
    policy = _Policy(*values)
    is_in_order = policy.shortest is None or policy.longest is None or policy.shortest <= policy.longest
    return policy if is_in_order and values != (None, None) else None
