"""Decides on an event of another server: the checks that need other events, in the specification's order.

What needs none (format, size, signatures, hashes) was checked before. A pure function of values that the caller
looked up.

https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from weft.graph.outcome import Outcome
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import CREATE_KEY, authorise, check_auth_events

#: Events of a state by their places: at least those that the event leans on, and the create event.
States = Mapping[StateKey, Event]


class Verdict(NamedTuple):
    """What becomes of an event, and which rule says so where it is not accepted."""

    outcome: Outcome
    violation: AuthRuleViolation | None = None

    @property
    def is_turned_down(self) -> bool:
        """Whether no rule forbids it and yet it is not wanted, which no change of the room's state makes good."""
        return self.outcome is Outcome.SOFT_FAILED and self.violation is None


ACCEPTED = Verdict(Outcome.ACCEPTED)


def decide(
    event: Event,
    *,
    auth_events: Sequence[Event],
    rejected: Container[str],
    create: Event | None,
    before: States,
    current: States | None,
) -> Verdict:
    """Checks 4 to 6.

    `auth_events` are all that the event names, `rejected` the ids of those that were rejected, `before` is the state
    before the event, `current` the room's current state: None where that is the state before the event, or where the
    event belongs to the past, which nobody may take back.
    """
    verdict = decide_by_auth_events(event, auth_events, rejected, create)
    if verdict.outcome is not Outcome.ACCEPTED:
        return verdict
    try:
        authorise(event, before.get)
    except AuthRuleViolation as violation:
        return Verdict(Outcome.REJECTED_BY_STATE, violation)
    if current is not None:
        try:
            authorise(event, current.get)
        except AuthRuleViolation as violation:
            return Verdict(Outcome.SOFT_FAILED, violation)
    return ACCEPTED


def decide_by_auth_events(
    event: Event, auth_events: Sequence[Event], rejected: Container[str], create: Event | None
) -> Verdict:
    """Check 4 alone: all that can be said of an event whose place in the graph is not known."""
    cited = {(one.type, one.state_key): one for one in auth_events if one.state_key is not None}
    if create is not None:
        cited.setdefault(CREATE_KEY, create)
    try:
        check_auth_events(event, auth_events, create, rejected)
        authorise(event, cited.get)
    except AuthRuleViolation as violation:
        return Verdict(Outcome.REJECTED, violation)
    return ACCEPTED
