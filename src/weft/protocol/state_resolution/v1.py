"""State resolution version 1: for rooms of version 1 only, with its known faults.

Only entries with different events conflict; what some states have and others lack is kept. Power levels, join rules
and members are resolved in that order, each along its events from oldest to newest as far as every step is allowed;
then each other entry gets its newest event that is allowed. Age is `depth`, and SHA-1 of the event id where that is
equal.

Two things that the specification leaves open are done as servers in use do them: conflicting members are resolved
entry by entry, none seeing the outcome of the others; and where no event of an entry is allowed, the oldest is taken.

Rules: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, TypeAlias

from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event_auth import auth_event_keys, authorise
from weft.protocol.state_resolution.auth_graph import AuthGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weft.protocol.event import Event, StateKey
    from weft.protocol.state_resolution.reader import Reader
    from weft.protocol.state_resolution.state_sets import StateSets

#: The types that are resolved first, in this order.
_AUTH_TYPES = ("m.room.power_levels", "m.room.join_rules", "m.room.member")

_State: TypeAlias = "Callable[[StateKey], Event | None]"


def resolve_conflicts(sets: StateSets, reader: Reader) -> dict[StateKey, str]:
    """The event of each key that the states don't all have alike."""
    graph = AuthGraph(reader)
    graph.load(sets.conflicted_events())
    resolved: dict[StateKey, str] = {}
    conflicts: dict[StateKey, list[Event]] = {}
    for key, holders in sets.conflicted.items():
        events = [event for event_id in holders if (event := graph.event(event_id)) is not None]
        if len(holders) == 1:
            resolved[key] = next(iter(holders))
        elif events:
            conflicts[key] = sorted(events, key=age)

    def event_id_at(key: StateKey) -> str | None:
        return resolved.get(key) or sets.unconflicted(key)

    def state(key: StateKey) -> Event | None:
        event_id = event_id_at(key)
        return None if event_id is None else graph.event(event_id)

    graph.load(_authorities((event for events in conflicts.values() for event in events), event_id_at))
    for auth_type in _AUTH_TYPES:
        keys = [key for key in conflicts if key[0] == auth_type]
        resolved.update([(key, last_of_allowed_steps(conflicts.pop(key), state)) for key in keys])
    resolved.update([(key, newest_allowed(events, state)) for key, events in conflicts.items()])
    return resolved


def age(event: Event) -> tuple[int, int]:
    """Sorts the oldest first: by ascending depth, then by descending SHA-1 of the id."""
    digest = sha1(event.event_id.encode(), usedforsecurity=False).digest()
    return event.depth, -int.from_bytes(digest, "big")


def last_of_allowed_steps(events: list[Event], state: _State) -> str:
    """The event where going from the oldest to the newest ends, each allowed in the state with the one before it."""
    last = events[0]
    for event in events[1:]:
        if not _is_allowed(event, _with(last, state)):
            break
        last = event
    return last.event_id


def newest_allowed(events: list[Event], state: _State) -> str:
    """The newest event that the state allows; the oldest if it allows none."""
    allowed = (event for event in reversed(events) if _is_allowed(event, state))
    return next(allowed, events[0]).event_id


def _with(added: Event, state: _State) -> _State:
    return lambda key: added if key == added.key else state(key)


def _is_allowed(event: Event, state: _State) -> bool:
    try:
        authorise(event, state)
    except AuthRuleViolation:
        return False
    return True


def _authorities(events: Iterable[Event], event_id_at: Callable[[StateKey], str | None]) -> Iterable[str]:
    """The events of agreed state that the auth checks are going to ask for."""
    for event in events:
        for key in auth_event_keys(event.type, event.state_key, event.sender, event.content, event.version):
            event_id = event_id_at(key)
            if event_id is not None:
                yield event_id
