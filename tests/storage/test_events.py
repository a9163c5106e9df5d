"""Events on disk, and the tables of a room that change with them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage import synthetic
from tests.storage.conftest import Transactions
from tests.storage.synthetic import event, store
from weft.graph.outcome import Outcome
from weft.graph.snapshot import Snapshot
from weft.protocol.event import Event
from weft.protocol.room_versions import room_version
from weft.storage import current_state, events, rooms, snapshots, transaction_ids
from weft.storage.database import UniqueViolation, Writer, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.front import ends, extend, is_forked
from weft.storage.positions import END, WRITER_SHIFT, Vector
from weft.storage.transaction_ids import TransactionKey


def front(tx: WriteTransaction, room: int) -> set[str]:
    return set(ends(tx, room))


def put(tx: WriteTransaction, room: int, made: Event, snapshot: Snapshot | None = None) -> bool | None:
    """The event, stored and put at the room's front."""
    store(tx, room, made, snapshot=snapshot.id if snapshot else None)
    return extend(tx, room, made)


# -- one event


@pytest.mark.parametrize("version", ["1", "5", "12", "I.1"])
def test_an_event_is_read_as_it_was_written(transactions: Transactions, version: str) -> None:
    with transactions() as tx:
        room = rooms.create(tx, "!room:a", version)
        made = event("e", "nul\x00", state_key="\x1b\x00", content={"a": ["\x00", "ä"]}, version=room_version(version))
        stored = store(tx, room, made, snapshot=7, outcome=Outcome.SOFT_FAILED)
        for found in (
            events.by_id(tx, "$e"),
            events.by_ids(tx, ["$e", "$nothing"]).get("$e"),
            events.by_positions(tx, [stored.position, 99]).get(stored.position),
        ):
            assert found is not None
            assert found.event.wire == made.wire
            assert found.event.pdu == made.pdu
            assert (found.room, found.snapshot, found.outcome) == (room, 7, Outcome.SOFT_FAILED)
            assert found.client == stored.client
            assert found.order == (1, stored.position)
        assert events.by_id(tx, "$nothing") is None
        assert [entry.kind for entry in tx.entries] == ["hidden_event"]


def test_numbers_beyond_64_bits_survive_in_old_rooms(transactions: Transactions) -> None:
    with transactions() as tx:
        room = rooms.create(tx, "!room:a", "1")
        made = event("e", content={"big": 1 << 80, "float": 0.5}, version=room_version("1"), depth=END)
        store(tx, room, made)
        found = events.page(tx, room, start=(END, END), backwards=True, limit=9)
        assert [one.event.content for one in found] == [{"big": 1 << 80, "float": 0.5}]


def test_an_event_is_stored_once(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        store(tx, room, event("e"))
        with pytest.raises(UniqueViolation) as raised:
            store(tx, room, event("e"))
        assert raised.value.table == "events"


def test_what_a_state_event_replaced_is_told(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        before = store(tx, room, event("before", "m.room.topic", state_key="", content={"topic": "old"}))
        after = StoredEvent(event("after", "m.room.topic", state_key=""), room=room, snapshot=None, replaces=before)
        events.insert(tx, after)
        found = events.by_id(tx, "$after")
        assert found is not None
        assert found.replaces == "$before"
        assert found.replaced == after.replaced
        assert found.replaced is not None
        assert b'"prev_content":{"topic":"old"}' in found.replaced
        assert b'"replaces_state":"$before"' in found.replaced


# -- the front


def test_a_line_has_one_end(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        assert put(tx, room, event("a")) is True
        assert put(tx, room, event("b", prev=["a"])) is True
        assert put(tx, room, event("c", prev=["b"])) is True
        assert front(tx, room) == {"$c"}


def test_a_fork_and_its_end(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        put(tx, room, event("a"))
        assert put(tx, room, event("b", prev=["a"])) is True
        assert put(tx, room, event("c", prev=["a"])) is False
        assert front(tx, room) == {"$b", "$c"}
        assert put(tx, room, event("d", prev=["a"])) is False
        assert put(tx, room, event("e", prev=["b", "c"])) is False
        assert front(tx, room) == {"$d", "$e"}
        assert put(tx, room, event("f", prev=["d", "e"])) is True
        assert front(tx, room) == {"$f"}


def test_what_builds_on_nothing_known_is_told(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        put(tx, room, event("a"))
        assert put(tx, room, event("c", prev=["b"])) is None
        assert put(tx, room, event("d", prev=["a", "b"])) is None


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """For each event the earlier events that it builds on."""
    size = draw(st.integers(2, 14))
    return [[]] + [
        draw(st.lists(st.integers(max(0, n - 5), n - 1), min_size=1, max_size=3, unique=True)) for n in range(1, size)
    ]


def test_ends_of_any_graph(transactions: Transactions) -> None:
    """What is at the front is what nothing builds on, whatever the order of arrival was."""
    with transactions() as tx:

        @settings(max_examples=40, deadline=None)
        @given(graphs())
        def agree(graph: list[list[int]]) -> None:
            tx.run("DELETE FROM rooms")
            tx.run("DELETE FROM events")
            tx.run("DELETE FROM forward_extremities")
            room = synthetic.room(tx)
            built_on: set[int] = set()
            for number, prev in enumerate(graph):
                linear = put(tx, room, event(str(number), prev=[str(one) for one in prev]))
                built_on.update(prev)
                ends = {f"${one}" for one in range(number + 1) if one not in built_on}
                assert front(tx, room) == ends
                assert linear is (len(ends) == 1)

        agree()


# -- the current state


def tables(tx: WriteTransaction, room: int) -> dict[tuple[str, str], str]:
    state = {
        (t, k): e for t, k, e in tx.all("SELECT type, state_key, event_id FROM current_state WHERE room = :r", r=room)
    }
    members = tx.all("SELECT user_id, event_id FROM memberships WHERE room = :r", r=room)
    return state | {("m.room.member", user_id): event_id for user_id, event_id in members}


class States:
    """A room whose states are written down step by step."""

    def __init__(self, tx: WriteTransaction) -> None:
        self.tx = tx
        self.room = synthetic.room(tx)
        self.ids = iter(range(1, 1_000))
        self.root = Snapshot.root(next(self.ids))
        snapshots.insert(tx, self.room, self.root)

    def state(self, name: str, event_type: str, key: str, on: Snapshot, *prev: str, **content: str) -> Snapshot:
        made = event(name, event_type, state_key=key, content=content, prev=prev)
        snapshot = on.child(next(self.ids), {made.key: made.event_id})
        linear = put(self.tx, self.room, made, snapshot)
        snapshots.insert(self.tx, self.room, snapshot)
        if linear:
            current_state.make_current(self.tx, self.room, snapshot)
        return snapshot


def test_tables_follow_the_state(transactions: Transactions) -> None:
    with transactions() as tx:
        room = States(tx)
        create = room.state("create", "m.room.create", "", room.root)
        alice = room.state("alice", "m.room.member", "@alice:a", create, "create", membership="join")
        topic = room.state("topic", "m.room.topic", "", alice, "alice")
        assert tables(tx, room.room) == dict(topic.state)
        left = room.state("left", "m.room.member", "@alice:a", topic, "topic", membership="leave")
        assert tables(tx, room.room) == dict(left.state)
        assert [m.user_id for m in rooms.members(tx, room.room)] == []
        assert [m.user_id for m in rooms.members(tx, room.room, ("leave",))] == ["@alice:a"]
        # Any other state, for example what resolution makes of a fork.
        for snapshot in (alice, create, left):
            current_state.make_current(tx, room.room, snapshot)
            assert tables(tx, room.room) == dict(snapshot.state)


def test_a_fork_is_noted_where_states_differ(transactions: Transactions) -> None:
    with transactions() as tx:
        room = States(tx)
        create = room.state("create", "m.room.create", "", room.root)
        hello = put(tx, room.room, event("hello", prev=["create"]), create)
        assert hello is True
        assert put(tx, room.room, event("fork", prev=["create"]), create) is False
        assert not is_forked(tx, room.room), "both ends have the state that the tables have"
        topic = room.state("topic", "m.room.topic", "", create, "hello")
        assert is_forked(tx, room.room)
        assert tables(tx, room.room) == dict(create.state), "until it is resolved"
        current_state.make_current(tx, room.room, topic)
        assert not is_forked(tx, room.room)
        assert tables(tx, room.room) == dict(topic.state)


def test_a_forgotten_room_is_remembered_on_return(transactions: Transactions) -> None:
    with transactions() as tx:
        room = States(tx)
        state = room.state("create", "m.room.create", "", room.root)
        before = "create"
        for name, membership, forget in (
            ("j1", "join", False),
            ("l1", "leave", True),
            ("b1", "ban", True),
            ("i1", "invite", False),
            ("l2", "leave", False),
        ):
            state = room.state(name, "m.room.member", "@alice:a", state, before, membership=membership)
            before = name
            (row,) = rooms.memberships_of_user(tx, "@alice:a")
            assert (row.membership, bool(row.forgotten)) == (membership, name == "b1")
            assert rooms.forget(tx, room.room, "@alice:a") is (membership in ("leave", "ban"))
            if not forget:
                tx.run("UPDATE memberships SET forgotten = 0")


def test_rooms_in_common(transactions: Transactions) -> None:
    with transactions() as tx:
        rows = [(1, "a", "join"), (1, "b", "join"), (1, "c", "leave"), (2, "a", "leave"), (2, "d", "join")]
        for room, user, membership in rows:
            tx.run(
                """INSERT INTO memberships (room, user_id, membership, event_id, position)
                   VALUES (:room, :user, :membership, '', 0)""",
                room=room,
                user=user,
                membership=membership,
            )
        assert rooms.rooms_in_common(tx, "a", ["a", "b", "c", "d", "e"]) == {"a", "b"}


# -- redactions and relations


def relations(tx: WriteTransaction) -> list[tuple[str, str]]:
    return [(t, r) for t, r in tx.all("SELECT target, rel_type FROM relations ORDER BY position")]


def related(name: str, **relates_to: object) -> Event:
    return event(name, content={"body": "x", "m.relates_to": relates_to})


def test_relations(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        store(tx, room, related("a", event_id="$x", rel_type="m.thread"))
        store(tx, room, related("b", event_id="$x", rel_type="m.annotation", key="\x00"))
        store(tx, room, related("c", event_id=["$x"], rel_type="m.thread"))
        store(tx, room, related("d", event_id="$x", rel_type=7))
        store(tx, room, event("e", content={"m.relates_to": "$x"}))
        store(tx, room, related("f", event_id="$x", rel_type="m.thread"), outcome=Outcome.SOFT_FAILED)
        assert relations(tx) == [("$x", "m.thread"), ("$x", "m.annotation")]


def test_a_redaction_strips_an_event_for_good(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        secret = related("secret", event_id="$x", rel_type="m.thread")
        stored = store(tx, room, secret)
        events.apply_redaction(tx, stored, "$first")
        events.apply_redaction(tx, stored, "$second")
        found = events.by_id(tx, "$secret")
        assert found is not None
        assert found.redacted_by == "$first"
        assert found.event.content == {}
        assert found.event.wire == secret.redacted().wire
        assert relations(tx) == []
        assert b"body" not in bytes(tx.value("SELECT json FROM events WHERE event_id = '$secret'"))
        assert [(entry.kind, entry.key) for entry in tx.entries] == [("event", None), ("redacted", "$secret")]


def test_redactions_that_wait_for_their_target(transactions: Transactions) -> None:
    with transactions() as tx:
        events.add_pending_redactions(tx, "$later", ["$r1", "$r2"])
        events.add_pending_redactions(tx, "$later", ["$r2"])
        assert sorted(events.pending_redactions(tx, "$later")) == ["$r1", "$r2"]
        assert events.pending_redactions(tx, "$other") == []


# -- reading in order

#: Depth and writer of each event, in the order in which they came.
ARRIVALS = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 3)), min_size=1, max_size=25)
VECTORS = st.dictionaries(st.integers(1, 3), st.integers(1, 12)).map(Vector)


def fill(tx: WriteTransaction, arrived: Sequence[tuple[int, int]]) -> tuple[int, list[StoredEvent]]:
    for table in ("rooms", "events", "log"):
        tx.run(f"DELETE FROM {table}")
    room, elsewhere = synthetic.room(tx), synthetic.room(tx, "!elsewhere:a")
    numbers = {1: 0, 2: 0, 3: 0}
    stored = []
    for index, (depth, writer) in enumerate(arrived):
        tx.writer = Writer(writer, numbers[writer])
        tx.entries = []
        stored.append(store(tx, room, event(f"e{index}", depth=depth)))
        store(tx, room, event(f"hidden{index}", depth=depth), outcome=Outcome.REJECTED)
        store(tx, elsewhere, event(f"other{index}", depth=depth))
        numbers[writer] += 3
    return room, sorted(stored, key=lambda one: one.order)


def ids(stored: Sequence[StoredEvent]) -> list[str]:
    return [one.event.event_id for one in stored]


def test_pages_and_arrivals_are_slices_of_the_graph_order(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transactions() as tx:

        @settings(max_examples=40, deadline=None)
        @given(ARRIVALS, VECTORS, VECTORS, st.integers(1, 6), st.data())
        def agree(arrived: list[tuple[int, int]], since: Vector, cut: Vector, limit: int, data: st.DataObject) -> None:
            monkeypatch.setattr(events, "_FEW_ARRIVALS", data.draw(st.sampled_from([1, 3, 200])))
            room, ordered = fill(tx, arrived)
            place = data.draw(st.sampled_from([(0, 0), (END, END), *(one.order for one in ordered)]))
            before = [one for one in reversed(ordered) if one.order < place]
            after = [one for one in ordered if one.order > place]
            assert ids(events.page(tx, room, start=place, backwards=True, limit=limit)) == ids(before[:limit])
            assert ids(events.page(tx, room, start=place, backwards=False, limit=limit)) == ids(after[:limit])
            inside = [one for one in before if one.position in cut]
            assert ids(events.page(tx, room, start=place, backwards=True, limit=limit, cut=cut)) == ids(inside[:limit])
            new = [one for one in reversed(ordered) if one.position in cut and one.position not in since]
            assert ids(events.arrivals(tx, room, since, cut, limit)) == ids(new[:limit])
            upto = [one for one in new if one.order <= place]
            assert ids(events.arrivals(tx, room, since, cut, limit, below=place)) == ids(upto[:limit])
            newest = events.newest_within(tx, room, cut)
            everything = [one for one in reversed(ordered) if one.position in cut]
            assert ids([newest] if newest else []) == ids(everything[:1])
            has_news = any(
                p not in since for (p,) in tx.all("SELECT position FROM events WHERE room = :room", room=room)
            )
            assert events.rooms_with_news(tx, [room, 999], since) == ({room} if has_news else set())

        agree()


def test_children_in_the_graph_of_authority(transactions: Transactions) -> None:
    with transactions() as tx:
        room = synthetic.room(tx)
        store(tx, room, event("create", "m.room.create", state_key=""))
        for number in range(45):
            made = event(f"m{number}", "m.room.member", state_key=f"@{number}:a", auth=["create"])
            store(tx, room, made, outcome=Outcome.REJECTED if number == 44 else Outcome.ACCEPTED)
        store(tx, room, event("message", auth=["create", "m1"]))
        children = list(events.auth_children(tx, "$create"))
        assert children == [(("m.room.member", f"@{n}:a"), f"$m{n}") for n in range(43, -1, -1)]
        assert list(events.auth_children(tx, "$m1")) == []


# -- transaction ids


def test_transaction_ids(transactions: Transactions) -> None:
    key = TransactionKey("@alice:a", "DEVICE", "rooms/!room:a/send/m.room.message", "1")
    with transactions() as tx:
        assert transaction_ids.find(tx, key) is None
        transaction_ids.insert(tx, key, now_ms=100, event_id="$e")
        transaction_ids.insert(tx, key._replace(device_id="OTHER"), now_ms=200, response=b"{}")
        assert transaction_ids.find(tx, key) == ("$e", None)
        assert transaction_ids.find(tx, key._replace(device_id="OTHER")) == (None, b"{}")
        assert transaction_ids.find(tx, key._replace(endpoint="other")) is None
        assert transaction_ids.of_events(tx, ["$e", "$f"]) == {"$e": {"DEVICE": "1"}}
        assert transaction_ids.prune(tx, 200) == 1
        assert transaction_ids.find(tx, key) is None
        with pytest.raises(UniqueViolation) as raised:
            transaction_ids.insert(tx, key._replace(device_id="OTHER"), now_ms=300)
        assert raised.value.table == "transaction_ids"


def test_positions_are_the_writers(transactions: Transactions) -> None:
    with transactions() as tx:
        tx.writer = Writer(3, 10)
        room = synthetic.room(tx)
        assert store(tx, room, event("a")).position == 3 << WRITER_SHIFT | 11
        assert store(tx, room, event("b")).position == 3 << WRITER_SHIFT | 12
