"""What becomes of an event.

https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """Only what is accepted is shown to anybody, built on by our own events, or part of a room's current state."""

    ACCEPTED = 0
    #: In the graph, and in the state after it; but the room had moved on so that it is no longer allowed there.
    #: https://spec.matrix.org/v1.19/server-server-api/#soft-failure
    SOFT_FAILED = 1
    #: What its own auth events say forbids it: it is never part of a state, and nothing may lean on it.
    REJECTED = 2
    #: Known, but its place in the graph is not.
    OUTLIER = 3
    #: The state before it forbids it. Nothing may lean on it; where states are resolved it takes part all the same.
    REJECTED_BY_STATE = 4

    @property
    def is_rejected(self) -> bool:
        return self in (Outcome.REJECTED, Outcome.REJECTED_BY_STATE)
