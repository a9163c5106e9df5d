"""The states to be resolved, seen as what they agree on and what they don't.

Sets of states are numbers with one bit for each state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weft.protocol.event import StateKey


class StateSets:
    """Asks the states for single keys only: those that differ at once, others when they matter."""

    def __init__(self, states: Sequence[Mapping[StateKey, str]], differing: Iterable[StateKey]) -> None:
        self.states = states
        #: The set of all states.
        self.all = (1 << len(states)) - 1
        #: The conflicted state set by key: each event with the set of states that have it.
        self.conflicted: dict[StateKey, dict[str, int]] = {}
        for key in differing:
            holders = self._holders_by_event(key)
            if holders and self.all not in holders.values():
                self.conflicted[key] = holders

    def _holders_by_event(self, key: StateKey) -> dict[str, int]:
        holders: dict[str, int] = {}
        for bit, state in enumerate(self.states):
            event_id = state.get(key)
            if event_id is not None:
                holders[event_id] = holders.get(event_id, 0) | 1 << bit
        return holders

    def conflicted_events(self) -> dict[str, StateKey]:
        """The conflicted state set."""
        return {event_id: key for key, holders in self.conflicted.items() for event_id in holders}

    def unconflicted(self, key: StateKey) -> str | None:
        """The unconflicted state map's event for a key: the one that every state has."""
        return None if key in self.conflicted or not self.states else self.states[0].get(key)

    def holders(self, key: StateKey, event_id: str) -> int:
        """The set of states in which an event stands at its key."""
        conflict = self.conflicted.get(key)
        if conflict is not None:
            return conflict.get(event_id, 0)
        return self.all if self.states[0].get(key) == event_id else 0
