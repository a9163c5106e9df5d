"""State resolution: what a room's state is where branches of its event graph meet.

A pure function from states to a state. Every server must come to the same answer, so nothing here depends on the
order of its arguments, on what arrived when, or on a clock. Costs grow with what differs between the states, never
with what they hold: the caller says which keys differ, and whatever else is needed is looked up through a `Reader`.

* `resolve` for states as large as they are, with their differences known;
* `resolve_maps` for whole maps of a size to be compared.

Rejected events: nothing that was refused because of its own auth events may be in a state, or is shown by the
`Reader`; an id that the reader leaves out is passed over, as a candidate and as an authority. What was refused only
because of the state before it takes part like any other event, as the specification says.

Rules: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
       https://spec.matrix.org/v1.19/rooms/v2/#state-resolution
       https://spec.matrix.org/v1.19/rooms/v12/#state-resolution
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weft.protocol.room_versions import StateResolution
from weft.protocol.state_resolution import v1, v2
from weft.protocol.state_resolution.reader import MemoryReader, Reader, StateEntry
from weft.protocol.state_resolution.state_sets import StateSets

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from weft.protocol.event import StateKey
    from weft.protocol.room_versions import RoomVersion

__all__ = ["MemoryReader", "Reader", "StateEntry", "resolve", "resolve_maps"]


def resolve(
    version: RoomVersion,
    states: Sequence[Mapping[StateKey, str]],
    differing: Collection[StateKey],
    reader: Reader,
) -> dict[StateKey, str | None]:
    """The resolved event id of each key in `differing`, None where the resolved state has no such entry.

    `states` are asked for single keys only. `differing` must hold every key for which they don't all have the same
    event; what it holds beyond that does no harm. An entry outside of it keeps the value that all states give it.
    The result may name a further key, one that no state has: an event of the auth difference took its place.
    """
    sets = StateSets(states, differing)
    if not sets.conflicted:
        return {key: sets.unconflicted(key) for key in differing}
    if version.state_resolution is StateResolution.V1:
        resolved = v1.resolve_conflicts(sets, reader)
    else:
        resolved = v2.resolve_conflicts(version, sets, reader)
    result = {key: sets.unconflicted(key) or resolved.get(key) for key in differing}
    for key, event_id in resolved.items():
        if key not in result and sets.unconflicted(key) is None:
            result[key] = event_id
    return result


def resolve_maps(version: RoomVersion, states: Sequence[Mapping[StateKey, str]], reader: Reader) -> dict[StateKey, str]:
    """The whole resolved state. Compares whole maps: for small rooms, tests and tools."""
    merged: dict[StateKey, str | None] = {}
    for state in states:
        merged.update(state)
    differing = [key for key in merged if len({state.get(key) for state in states}) > 1]
    merged.update(resolve(version, states, differing, reader))
    return {key: event_id for key, event_id in merged.items() if event_id is not None}
