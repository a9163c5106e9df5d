"""Snapshots: values that share structure, compared at the cost of what differs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weft.graph import snapshot as module
from weft.graph.snapshot import Snapshot, apply, differing
from weft.protocol.event import StateKey

KEYS: list[StateKey] = [("t", str(number)) for number in range(6)]
CHANGE = st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from(["$a", "$b", "$c"]), max_size=3)
#: Which snapshot to build on (counted from the newest), and what changes.
TREES = st.lists(st.tuples(st.integers(0, 9), CHANGE), max_size=40)


def grown(tree: list[tuple[int, dict[StateKey, str | None]]]) -> list[Snapshot]:
    nodes = [Snapshot.root(0)]
    for back, changes in tree:
        nodes.append(nodes[max(0, len(nodes) - 1 - back)].child(len(nodes), changes))
    return nodes


@given(TREES)
def test_a_state_is_its_parents_with_the_changes(tree: list[tuple[int, dict[StateKey, str | None]]]) -> None:
    for node in grown(tree)[1:]:
        assert node.parent is not None
        expected = dict(node.parent.state)
        for key, event_id in node.changes.items():
            expected.pop(key, None)
            if event_id is not None:
                expected[key] = event_id
        assert dict(node.state) == expected
        assert node.depth == node.parent.depth + 1
        assert node.parent_id == node.parent.id
        assert all(node.get(*key) == expected.get(key) for key in KEYS)


@given(TREES)
def test_each_knows_what_differs_from_its_base(tree: list[tuple[int, dict[StateKey, str | None]]]) -> None:
    for node in grown(tree)[1:]:
        assert node.base is not None
        assert node.base.depth == node.depth & (node.depth - 1)
        assert apply(node.base.state, node.skip) == node.state
        steps, at = 0, node
        while at.base is not None:
            at, steps = at.base, steps + 1
        assert steps == node.depth.bit_count()


@given(TREES, st.data())
def test_what_differs(tree: list[tuple[int, dict[StateKey, str | None]]], data: st.DataObject) -> None:
    nodes = grown(tree)
    one, other = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(nodes))
    assert differing(one, other) == {key for key in KEYS if one.state.get(key) != other.state.get(key)}


@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["$a", "$b"])), CHANGE)
def test_applying_twice_is_applying_once(before: dict[StateKey, str], changes: dict[StateKey, str | None]) -> None:
    state = apply(Snapshot.root(0).state, before)
    once = apply(state, changes)
    assert apply(once, changes) == once
    assert dict(state) == before, "a state is never changed"


def test_a_long_line_does_not_keep_all_of_its_past() -> None:
    node = first = Snapshot.root(0)
    kept: int = vars(module)["_KEPT_PARENTS"]
    for number in range(1, 4 * kept):
        node = node.child(number, {("t", str(number % 7)): f"${number}"})
    length, at = 0, node
    while at.parent is not None:
        at, length = at.parent, length + 1
    assert kept <= length <= 3 * kept
    assert differing(node, first) is None, "where they meet is too far up"
    assert dict(node.state) == {("t", str(number % 7)): f"${number}" for number in range(4 * kept - 7, 4 * kept)}
