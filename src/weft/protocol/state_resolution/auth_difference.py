"""The auth difference: events in the auth chain of some of the states, but not of all.

An auth chain here holds the state's own events too. The specification leaves them out, but then an event that all
states agree on would count as different wherever just one of them has an event that names it; all servers in use
read it as we do, and the conflicted events are in the full conflicted set anyway.

Building the chains of whole states costs as much as the room is large. So does the question whether an event that
was met on one side only is also in the chain of one of 10,000 unconflicted events, if it is asked from above. It is
cheap from below. Let an event's *reach* be the set of states in whose auth chain it is: the states that hold the
event itself, and the reach of every event that names it in its `auth_events`. An unconflicted event's reach is all
states. Then the auth difference is found from its definition:

* walk up from the conflicted events, since whatever differs is in their chains;
* of each event met, ask the reach, walking down `auth_children` until it is known to be all states, or to the end;
* an event that all states reach is not in the difference, nor is anything above it, so the walk up ends there.

An event that many events name, like an old join rule, has some unconflicted member among its first children. Only
for an event of the difference has everything below it to be seen, and nothing below it is common to all states:
it is in the difference as well, or was lost in the branches that differ. What was found out is kept, so each event is
walked once. No depth or other number is believed: the answer is exact however old, stale or hostile the states are.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.protocol.state_resolution.auth_graph import AuthGraph
    from weft.protocol.state_resolution.reader import StateEntry
    from weft.protocol.state_resolution.state_sets import StateSets

#: So many children are looked at, at most, before the search goes deeper into any of them.
_SIBLINGS = 32


def auth_difference(sets: StateSets, graph: AuthGraph) -> set[str]:
    """The ids of the auth difference, conflicted events included where they are in it."""
    search = _ReachSearch(sets, graph)
    difference: set[str] = set()
    frontier = list(sets.conflicted_events())
    seen = set(frontier)
    while frontier:
        graph.load(frontier)
        graph.load_children(frontier)
        differing = [event_id for event_id in frontier if not search.is_common(event_id)]
        difference.update(differing)
        above = dict.fromkeys(above for event_id in differing for above in graph.auth_events(event_id))
        frontier = [event_id for event_id in above if event_id not in seen]
        seen.update(frontier)
    return difference


class _ReachSearch:
    """Finds reaches by a depth-first walk down the auth graph that stops at the first proof."""

    def __init__(self, sets: StateSets, graph: AuthGraph) -> None:
        self._sets = sets
        self._graph = graph
        #: Final for what is not on the path of the walk under way.
        self._reach: dict[str, int] = {}

    def is_common(self, event_id: str) -> bool:
        """Whether the event is in every state's auth chain. An event that can't be looked up counts as common."""
        event = self._graph.event(event_id)
        if event is None or not event.is_state:
            return True
        return self._find(event.key, event_id) == self._sets.all

    def _find(self, key: tuple[str, str], event_id: str) -> int:
        known = self._known((key, event_id))
        if known == self._sets.all or event_id in self._reach:
            return known
        path = [self._enter(event_id, known)]
        while path:
            step = path[-1]
            if step.undecided:
                child = step.undecided.pop()
                if child[1] in self._reach:
                    self._reach[step.event_id] |= self._reach[child[1]]
                else:
                    path.append(self._enter(child[1], self._known(child)))
            elif not self._look_at_children(step):
                path.pop()
                if path:
                    self._reach[path[-1].event_id] |= self._reach[step.event_id]
            if path and self._reach[path[-1].event_id] == self._sets.all:
                # Whatever is further up the path is in the chains of this one's states.
                self._reach.update((above.event_id, self._sets.all) for above in path)
                break
        return self._reach[event_id]

    def _known(self, entry: StateEntry) -> int:
        """What is known of an event's reach without walking on."""
        found = self._reach.get(entry[1])
        return self._sets.holders(*entry) if found is None else found

    def _enter(self, event_id: str, reach: int) -> _Step:
        self._reach[event_id] = reach
        return _Step(self._graph, event_id)

    def _look_at_children(self, step: _Step) -> bool:
        """Takes in what is known of the next few children and notes those to be walked. False if there are none."""
        reach = self._reach[step.event_id]
        any_left = False
        for child in islice(step.children, _SIBLINGS):
            any_left = True
            reach |= self._known(child)
            if reach == self._sets.all:
                break
            if child[1] not in self._reach:
                step.undecided.append(child)
        else:
            step.undecided.reverse()
            self._graph.load_children(event_id for _, event_id in step.undecided)
        self._reach[step.event_id] = reach
        return any_left


class _Step:
    """An event on the path of the walk, and how far its children were looked at."""

    __slots__ = ("children", "event_id", "undecided")

    def __init__(self, graph: AuthGraph, event_id: str) -> None:
        self.event_id = event_id
        self.children = graph.children(event_id)
        #: Children to be walked, the next one last.
        self.undecided: list[StateEntry] = []
