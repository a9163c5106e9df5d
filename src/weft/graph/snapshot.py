"""A room's state as a value: snapshots that share structure and form a tree.

Each snapshot is its parent with some changes. Two are compared by walking to where their branches meet, at the
cost of what differs. Besides its parent each knows an ancestor further up, its base: the one at its own depth with
the lowest set bit cleared. What differs from the base is kept too (`skip`), so that any state can be read in O(log n)
steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import immutables

from weft.protocol.event import StateKey

State = immutables.Map[StateKey, str]
#: What changed: the new event id of a key, or None where the key is gone.
Changes = Mapping[StateKey, str | None]

#: How many parents a snapshot keeps in memory; older ones are read from the store.
_KEPT_PARENTS = 512


class Snapshot:
    """An immutable state: `state` maps (type, state key) to event ids."""

    __slots__ = ("base", "changes", "depth", "id", "parent", "parent_id", "skip", "state")

    def __init__(
        self,
        id: int,
        depth: int,
        state: State,
        *,
        parent: Snapshot | None = None,
        parent_id: int | None = None,
        base: Snapshot | None = None,
        changes: Changes | None = None,
        skip: Changes | None = None,
    ) -> None:
        self.id = id
        self.depth = depth
        self.state = state
        self.parent = parent
        self.parent_id = parent.id if parent is not None else parent_id
        self.base = base
        self.changes: Changes = changes or {}
        self.skip: Changes = skip if skip is not None else self.changes

    @classmethod
    def root(cls, id: int) -> Snapshot:
        """The empty state, before a room's first event."""
        return cls(id, 0, immutables.Map())

    def get(self, event_type: str, state_key: str = "") -> str | None:
        """The event id in a place of the state."""
        return self.state.get((event_type, state_key))

    def child(self, id: int, changes: Changes) -> Snapshot:
        """This state with the changes, as a snapshot of its own."""
        depth = self.depth + 1
        base, skip = _skip(self, depth, changes)
        self._forget_old_parents()
        return Snapshot(id, depth, apply(self.state, changes), parent=self, base=base, changes=changes, skip=skip)

    def _forget_old_parents(self) -> None:
        if self.depth % _KEPT_PARENTS:
            return
        node: Snapshot | None = self
        for _ in range(_KEPT_PARENTS):
            node = node.parent if node is not None else None
        if node is not None:
            node.parent = None


def apply(state: State, changes: Changes) -> State:
    """The state with changes made to it."""
    if len(changes) == 1:
        ((key, event_id),) = changes.items()
        if event_id is not None:
            return state.set(key, event_id)
    mutation = state.mutate()
    for key, event_id in changes.items():
        if event_id is not None:
            mutation[key] = event_id
        elif key in mutation:
            del mutation[key]
    return mutation.finish()


def _skip(parent: Snapshot, depth: int, changes: Changes) -> tuple[Snapshot, Changes]:
    """The base of a new snapshot at `depth`, and what differs from it."""
    base_depth = depth & (depth - 1)
    node = parent
    steps: list[Changes] = []
    while node.depth > base_depth and node.base is not None:
        steps.append(node.skip)
        node = node.base
    if not steps:
        return node, changes
    merged: dict[StateKey, str | None] = {}
    for step in reversed(steps):
        merged.update(step)
    merged.update(changes)
    return node, merged


def differing(one: Snapshot, other: Snapshot) -> set[StateKey] | None:
    """The keys whose values differ, or None where the branches meet further up than is kept in memory."""
    candidates: set[StateKey] = set()
    a: Snapshot | None = one
    b: Snapshot | None = other
    while a is not None and b is not None and a.id != b.id:
        if a.depth >= b.depth:
            candidates.update(a.changes)
            a = a.parent
        else:
            candidates.update(b.changes)
            b = b.parent
    if a is None or b is None:
        return None
    return {key for key in candidates if one.state.get(key) != other.state.get(key)}
