"""State resolution versions 2 and 2.1, in the specification's own steps and names.

What 2.1 changes: the full conflicted set holds the conflicted state subgraph too, and the iterative auth checks begin
with an empty state, so that authority comes from the events' own `auth_events` and not from what the states happen
to agree on.

Unconflicted state is never collected: it is asked for the keys that the auth checks need, and the caller keeps its
unconflicted entries anyway, which is the specification's last step.

Rules: https://spec.matrix.org/v1.19/rooms/v2/#state-resolution
       https://spec.matrix.org/v1.19/rooms/v12/#state-resolution
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event_auth import CREATE_KEY, JOIN_RULES_KEY, POWER_LEVELS_KEY, auth_event_keys, authorise
from weft.protocol.room_versions import StateResolution
from weft.protocol.state_resolution.auth_difference import auth_difference
from weft.protocol.state_resolution.auth_graph import AuthGraph
from weft.protocol.state_resolution.conflicted_subgraph import conflicted_subgraph
from weft.protocol.state_resolution.orderings import mainline_ordering, reverse_topological_power_ordering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from weft.protocol.event import Event, StateKey
    from weft.protocol.room_versions import RoomVersion
    from weft.protocol.state_resolution.reader import Reader
    from weft.protocol.state_resolution.state_sets import StateSets

_POWER_KEYS = frozenset({POWER_LEVELS_KEY, JOIN_RULES_KEY, CREATE_KEY})


def resolve_conflicts(version: RoomVersion, sets: StateSets, reader: Reader) -> dict[StateKey, str]:
    """The events that win, by key. Keys of unconflicted entries may be among them; those entries stay as they are."""
    graph = AuthGraph(reader)
    subgraph = version.state_resolution is StateResolution.V2_1
    conflicted = full_conflicted_set(sets, graph, subgraph=subgraph)
    state = _PartialState(graph, sets.unconflicted if not subgraph else lambda key: None)
    _load_authorities(conflicted.values(), state, graph)

    power_events = select_power_events(conflicted)
    iterative_auth_checks(reverse_topological_power_ordering(power_events, graph), state)

    remaining = [event for event_id, event in conflicted.items() if event_id not in power_events]
    iterative_auth_checks(mainline_ordering(remaining, state.event_id(POWER_LEVELS_KEY), graph), state)
    return state.resolved


def full_conflicted_set(sets: StateSets, graph: AuthGraph, *, subgraph: bool) -> dict[str, Event]:
    """The conflicted state set, the auth difference and (2.1) the conflicted state subgraph, as far as known."""
    conflicted = sets.conflicted_events()
    ids = conflicted.keys() | auth_difference(sets, graph)
    if subgraph:
        ids |= conflicted_subgraph(conflicted, graph)
    graph.load(ids)
    events = ((event_id, graph.event(event_id)) for event_id in ids)
    return {event_id: event for event_id, event in events if event is not None and event.is_state}


def is_power_event(event: Event) -> bool:
    """Whether the event might take away somebody's ability to do something."""
    if event.key in _POWER_KEYS:
        return True
    return event.membership in {"leave", "ban"} and event.sender != event.state_key


def select_power_events(conflicted: Mapping[str, Event]) -> dict[str, Event]:
    """The power events of the full conflicted set, and those members of it that stand above them by `auth_events`."""
    selected = {event_id: event for event_id, event in conflicted.items() if is_power_event(event)}
    agenda = list(selected.values())
    while agenda:
        for event_id in agenda.pop().auth_events:
            if event_id in conflicted and event_id not in selected:
                selected[event_id] = conflicted[event_id]
                agenda.append(conflicted[event_id])
    return selected


def iterative_auth_checks(ordered: Iterable[Event], state: _PartialState) -> None:
    """Puts each event into the state if the authorisation rules allow it there."""
    for event in ordered:
        try:
            authorise(event, state.authority_for(event))
        except AuthRuleViolation:
            continue
        state.resolved[event.key] = event.event_id


class _PartialState:
    """The state that the auth checks build up over what they begin with."""

    def __init__(self, graph: AuthGraph, base: Callable[[StateKey], str | None]) -> None:
        self.resolved: dict[StateKey, str] = {}
        self._graph = graph
        self._base = base

    def event_id(self, key: StateKey) -> str | None:
        return self.resolved.get(key) or self._base(key)

    def authority_for(self, event: Event) -> Callable[[StateKey], Event | None]:
        """What an event is checked against: the state, and the event's own `auth_events` where that has no entry."""

        def authority(key: StateKey) -> Event | None:
            event_id = self.event_id(key)
            found = None if event_id is None else self._graph.event(event_id)
            return self._graph.cited(event, key) if found is None else found

        return authority


def _load_authorities(events: Iterable[Event], state: _PartialState, graph: AuthGraph) -> None:
    """Looks up in one batch what the orderings and the auth checks are going to ask for."""
    wanted: set[str] = set()
    for event in events:
        wanted.update(event.auth_events)
        for key in auth_event_keys(event.type, event.state_key, event.sender, event.content, event.version):
            event_id = state.event_id(key)
            if event_id is not None:
                wanted.add(event_id)
    graph.load(wanted)
