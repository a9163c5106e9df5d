"""States on disk: what is read is what was meant, in few rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count, pairwise

import immutables
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage import synthetic
from tests.storage.conftest import Transactions
from tests.storage.counting import counted
from weft.graph.snapshot import Snapshot
from weft.protocol.event import StateKey
from weft.storage import snapshots
from weft.storage.database import WriteTransaction

KEYS: list[StateKey] = [
    ("m.room.name", ""),
    ("m.room.member", "@a:x"),
    ("m.room.member", "@b:x"),
    ("m.room.member", ""),
    ("nul\x00", "\x00"),
    ("x", "\x1b0"),
]
#: Which snapshot to build on (counted from the newest), and for each of some keys whether it is put or taken away.
CHANGES = st.lists(
    st.tuples(st.integers(0, 12), st.dictionaries(st.sampled_from(KEYS), st.booleans(), min_size=1, max_size=3)),
    min_size=1,
    max_size=40,
)


@dataclass
class Tree:
    """Snapshots of a room, in memory and on disk."""

    tx: WriteTransaction
    room: int = 0
    nodes: list[Snapshot] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.room = synthetic.room(self.tx)
        root = Snapshot.root(next(self._numbers))
        snapshots.insert(self.tx, self.room, root)
        self.nodes.append(root)

    def put(self, parent: Snapshot, *changes: tuple[StateKey, bool]) -> Snapshot:
        """A child of a node, in which some keys have a new event or none."""
        made: dict[StateKey, str | None] = {}
        for key, is_there in changes:
            if is_there:
                event = synthetic.event(f"e{next(self._numbers)}", key[0], state_key=key[1])
                synthetic.store(self.tx, self.room, event)
                made[key] = event.event_id
            elif key in parent.state:
                made[key] = None
        child = parent.child(next(self._numbers), made)
        snapshots.insert(self.tx, self.room, child)
        self.nodes.append(child)
        return child

    def line(self, parent: Snapshot, length: int, keys: int = 50) -> Snapshot:
        """Many children in a row, of members whose number goes round."""
        for number in range(length):
            parent = self.put(parent, (("m.room.member", f"@u{number % keys}:x"), True))
        return parent


def naive_difference(one: Snapshot, other: Snapshot) -> dict[StateKey, tuple[str | None, str | None]]:
    keys = {*one.state, *other.state}
    return {k: (one.state.get(k), other.state.get(k)) for k in keys if one.state.get(k) != other.state.get(k)}


@settings(max_examples=40, deadline=None)
@given(changes=CHANGES, data=st.data())
def check_tree(tx: WriteTransaction, changes: list[tuple[int, dict[StateKey, bool]]], data: st.DataObject) -> None:
    for table in ("snapshots", "events", "rooms", "log"):
        tx.run(f"DELETE FROM {table}")
    tx.entries = []
    tree = Tree(tx)
    for back, change in changes:
        parent = tree.nodes[max(0, len(tree.nodes) - 1 - back)]
        # Now and then the parent is one that was read from disk, as after a restart.
        if len(tree.nodes) % 5 == 0:
            parent = snapshots.load(tx, parent.id)
        tree.put(parent, *change.items())
    chosen = data.draw(st.lists(st.sampled_from(tree.nodes), min_size=2, max_size=6))
    for node in chosen:
        loaded = snapshots.load(tx, node.id)
        assert dict(loaded.state) == dict(node.state)
        assert (loaded.id, loaded.depth, loaded.parent_id) == (node.id, node.depth, node.parent_id)
        wanted = data.draw(st.sets(st.sampled_from(KEYS)))
        expected = {key: node.state[key] for key in wanted if key in node.state}
        assert snapshots.entries(tx, node.id, wanted) == expected
    for one, other in pairwise(chosen):
        assert snapshots.changes_between(tx, one.id, other.id) == naive_difference(one, other)


def test_any_tree_is_read_as_it_was_written(transactions: Transactions) -> None:
    with transactions() as tx:
        check_tree(tx)


def test_reading_a_state_takes_a_row_for_each_bit_of_its_depth(transactions: Transactions) -> None:
    with transactions() as tx:
        tree = Tree(tx)
        tree.line(tree.nodes[0], 300)
        for node in tree.nodes[::13]:
            with counted(tx) as texts:
                assert snapshots.load(tx, node.id).state == node.state
            rows = sum("FROM snapshots" in text for text in texts)
            assert rows == 1 + node.depth.bit_count()
            assert len(texts) == rows + 1


def test_one_entry_is_found_without_reading_the_state(transactions: Transactions) -> None:
    with transactions() as tx:
        tree = Tree(tx)
        last = tree.line(tree.nodes[0], 300, keys=300)
        for user in (0, 128, 255, 256, 299, 1_000):
            key = ("m.room.member", f"@u{user}:x")
            with counted(tx) as texts:
                found = snapshots.entries(tx, last.id, [key])
            assert found.get(key) == last.state.get(key)
            assert len(texts) <= 2 * (1 + last.depth.bit_count())


@pytest.mark.parametrize("distance", [1, 5, 30])
def test_comparing_costs_what_differs(transactions: Transactions, distance: int) -> None:
    with transactions() as tx:
        tree = Tree(tx)
        fork = tree.line(tree.nodes[0], 300)
        one, other = tree.line(fork, distance, keys=3), tree.line(fork, distance, keys=4)
        for a, b in ((fork, one), (one, fork), (one, other), (tree.nodes[300 - distance], one)):
            with counted(tx) as texts:
                found = snapshots.changes_between(tx, a.id, b.id)
            assert found == naive_difference(a, b)
            rows = sum("FROM snapshots" in text for text in texts)
            steps = 2 * math.log2(2 * distance + 2) ** 2
            assert rows <= 2 * steps + 2 * (1 + (300 + distance).bit_length()) + 4


def test_what_is_not_there(transactions: Transactions) -> None:
    with transactions() as tx:
        with pytest.raises(KeyError):
            snapshots.load(tx, 12_345)
        assert snapshots.entries(tx, 12_345, KEYS) == {}
        tree = Tree(tx)
        assert snapshots.load(tx, tree.nodes[0].id).state == immutables.Map()
        assert snapshots.changes_between(tx, tree.nodes[0].id, tree.nodes[0].id) == {}
