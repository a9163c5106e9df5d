"""Sticky events: for up to an hour whoever is in the room is sure to get them, and then they are like any other.

https://github.com/matrix-org/matrix-spec-proposals/pull/4354
"""

from __future__ import annotations

from typing import Any, Final

from weft.protocol.event import Event

#: The member of an event that makes it sticky, as the proposal spells it while it is one.
FIELD: Final = "msc4354_sticky"
#: The member of `unsigned` that tells for how many more milliseconds it is.
TTL: Final = "msc4354_sticky_duration_ttl_ms"
#: An hour: longer than that no event is sticky, whatever it says.
LONGEST_MS: Final = 3_600_000


def sticky(duration_ms: int) -> dict[str, Any]:
    """What makes an event sticky."""
    return {"duration_ms": duration_ms}


def duration_of(event: Event) -> int | None:
    """For how many milliseconds an event is sticky; None for one that is not, or says so in no valid way."""
    found = event.pdu.get(FIELD)
    duration = found.get("duration_ms") if isinstance(found, dict) else None
    if not isinstance(duration, int) or isinstance(duration, bool) or duration < 0:
        return None
    return min(duration, LONGEST_MS)


def sticky_until(event: Event, received_ms: int) -> int | None:
    """When an event that came at some time is sticky no more; None for one that is not. Both since the epoch."""
    duration = duration_of(event)
    return None if duration is None else min(received_ms, event.origin_server_ts) + duration


def ttl_ms(event: Event, now_ms: int) -> int | None:
    """For how long an event still is sticky; None for one that is not, or not any more."""
    until = sticky_until(event, now_ms)
    return until - now_ms if until is not None and until > now_ms else None
