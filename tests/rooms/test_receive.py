"""Events of other servers, in any order: what becomes of them depends on the graph, and not on how they came."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest

from tests.rooms.drawn_graphs import POWERS, DrawnGraph
from tests.rooms.engines import (
    ALICE,
    check_database,
    check_in_memory,
    identity_of,
    make_room,
    member,
    message,
    state,
)
from weft.graph.build import Draft
from weft.graph.order import parents_first
from weft.graph.outcome import Outcome
from weft.protocol.event import Event, StateKey, seal
from weft.rooms.engine import Engine
from weft.rooms.receive import Before
from weft.rooms.room import Room
from weft.storage import gaps

VERSIONS = ["2", "6", "10", "11", "12"]


async def drawn(engine: Engine, version: str, chance: random.Random, name: str, count: int = 22) -> DrawnGraph:
    """A room of Alice's, and a graph on top of it that the engine has not seen."""
    room = await make_room(engine, version, name, POWERS)
    first = await engine.rooms.events(room.current.state.values())
    ordered = sorted((one.event for one in first.values()), key=lambda event: event.depth)
    graph = DrawnGraph(chance, room.version, room.id, ordered)
    graph.draw(count)
    graph.close()
    return graph


async def deliver(engine: Engine, room_id: str, batches: Sequence[Sequence[Event]]) -> None:
    """Has the engine take in events as they come; what lacks something is tried again after each batch."""
    waiting: list[Event] = []
    for batch in batches:
        waiting = parents_first([*waiting, *batch])
        while True:
            taken = await engine.receive.take(room_id, waiting)
            left = [event for event in waiting if taken[event.event_id].is_missing_something]
            if len(left) == len(waiting) or not left:
                waiting = left
                break
            waiting = left
    assert not waiting


def batches_of(events: Sequence[Event], chance: random.Random) -> list[list[Event]]:
    left, batches = list(events), []
    while left:
        size = chance.choice([1, 1, 2, 5, 50])
        batches.append(left[:size])
        left = left[size:]
    return batches


async def given_state(engine: Engine, graph: DrawnGraph, event: Event) -> dict[str, Before]:
    """The state before an event as another server would tell it, and what the event builds on that is not here."""
    room = await engine.rooms.get(graph.room_id)
    state = graph.state_of(event.prev_events)
    await engine.receive.add_outliers(room, with_auth_chains(graph, [*state.values(), *event.auth_events]))
    stored = await engine.rooms.events(event.prev_events)
    missing = [one for one in event.prev_events if one not in stored or not stored[one].is_placed]
    current = (await engine.rooms.get(graph.room_id)).current
    changes: dict[StateKey, str | None] = {key: one for key, one in state.items() if current.state.get(key) != one}
    changes.update((key, None) for key in current.state if key not in state)
    snapshot = current.child(engine.rooms.new_snapshot_id(), changes) if changes else current
    fresh = (snapshot,) if changes else ()
    return {event.event_id: Before(snapshot.id, snapshot, fresh, gaps=tuple(missing), gaps_wanted=True)}


def with_auth_chains(graph: DrawnGraph, event_ids: Iterable[str]) -> list[Event]:
    agenda, found = list(event_ids), dict[str, Event]()
    while agenda:
        event = graph.known[agenda.pop()]
        if event.event_id not in found:
            found[event.event_id] = event
            agenda.extend(event.auth_events)
    return list(found.values())


async def deliver_with_gaps(
    engine: Engine, graph: DrawnGraph, batches: Sequence[Sequence[Event]], chance: random.Random
) -> int:
    """As `deliver`; but of some events the state before them is told, and what they build on comes later.

    Whatever is missing, the ends of the graph are right. Returns how many gaps there were.
    """
    receive, waiting, gaps_made = engine.receive, list[Event](), 0
    room = await engine.rooms.get(graph.room_id)
    for batch in [*batches, []]:
        waiting = parents_first([*waiting, *batch])
        followed = await engine.database.read(gaps.which_are_followed, room.number, [one.event_id for one in waiting])
        past = {one for one in followed if chance.random() < 0.5}
        taken = {
            **await receive.take(graph.room_id, [one for one in waiting if one.event_id in past], past=True),
            **await receive.take(graph.room_id, [one for one in waiting if one.event_id not in past]),
        }
        for event in waiting:
            if taken[event.event_id].is_missing_something and chance.random() < 0.4:
                given = await given_state(engine, graph, event)
                gaps_made += len(given[event.event_id].gaps)
                taken.update(await receive.take(graph.room_id, [event], given=given, past=event.event_id in past))
        waiting = [event for event in waiting if taken[event.event_id].is_missing_something]
        check_in_memory(engine, await engine.rooms.get(graph.room_id))
        await engine.database.read(check_database)
    await deliver(engine, graph.room_id, [waiting])
    return gaps_made


async def check(engine: Engine, graph: DrawnGraph) -> Room:
    """What was refused is what the graph says, and the room's state is that after its last event."""
    stored = await engine.rooms.events([event.event_id for event in graph.events])
    for event in graph.events:
        found, wanted = stored[event.event_id].outcome, graph.outcomes[event.event_id]
        if wanted is Outcome.ACCEPTED:
            assert found in (Outcome.ACCEPTED, Outcome.SOFT_FAILED), (event, found)
        else:
            assert found is wanted, (event, found, wanted)
    room = await engine.rooms.get(graph.room_id)
    last = graph.events[-1].event_id
    assert list(room.extremities) == [last]
    assert dict(room.current.state) == dict(graph.after[last])
    check_in_memory(engine, room)
    return room


@pytest.mark.parametrize("version", VERSIONS)
async def test_any_order_and_batching_leads_to_one_state(engine: Engine, version: str) -> None:
    refused = 0
    for seed in range(6):
        chance = random.Random(f"{version}/{seed}")
        graph = await drawn(engine, version, chance, f"!room{seed}:a")
        arriving = list(graph.events)
        if seed:
            chance.shuffle(arriving)
        await deliver(engine, graph.room_id, batches_of(arriving, chance))
        await check(engine, graph)
        refused += sum(outcome.is_rejected for outcome in graph.outcomes.values())
    assert refused


@pytest.mark.parametrize("version", VERSIONS)
async def test_gaps_and_outliers_lead_to_the_same_state(engine: Engine, version: str) -> None:
    """However much was missing meanwhile, the graph's ends are the accepted events that no accepted one follows."""
    gaps_made = 0
    for seed in range(6):
        chance = random.Random(f"gaps/{version}/{seed}")
        graph = await drawn(engine, version, chance, f"!room{seed}:a")
        arriving = list(graph.events)
        chance.shuffle(arriving)
        gaps_made += await deliver_with_gaps(engine, graph, batches_of(arriving, chance), chance)
        await check(engine, graph)
    assert gaps_made


@pytest.mark.parametrize("is_past", [True, False])
@pytest.mark.parametrize("is_state", [True, False])
async def test_what_a_missing_event_builds_on_is_no_end_once_it_has_come(
    engine: Engine, is_state: bool, is_past: bool
) -> None:
    """Whether it came by itself or was fetched: the ends are what they would be had it come in time."""
    graph = await drawn(engine, "10", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    await deliver(engine, graph.room_id, [members])
    draft = state("@carol:c", "m.room.topic", topic="new") if is_state else message("@carol:c", "missed")
    missed = graph.add(draft, [members[-1].event_id])
    later = graph.add(message("@dave:d", "later"), [missed.event_id])
    await engine.receive.take(graph.room_id, [later], given=await given_state(engine, graph, later))
    room = await engine.rooms.get(graph.room_id)
    assert room.extremities.keys() == {members[-1].event_id, later.event_id}
    await engine.receive.take(graph.room_id, [missed], past=is_past)
    engine.rooms.drop(graph.room_id)
    room = await engine.rooms.get(graph.room_id)
    assert list(room.extremities) == [later.event_id]
    assert dict(room.current.state) == dict(graph.after[later.event_id])
    check_in_memory(engine, room)
    said = await engine.append.append(graph.room_id, message(ALICE, "goes on"))
    assert said.event.prev_events == (later.event_id,)


async def test_what_lies_behind_refused_events_is_no_end(engine: Engine) -> None:
    """Not even where the refused one had been missing, or what it builds on was."""
    graph = await drawn(engine, "10", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    await deliver(engine, graph.room_id, [members])
    missed = graph.add(message("@carol:c", "missed"), [members[-1].event_id])
    refused = graph.add(state("@erin:e", "m.room.name", name="no"), [missed.event_id])
    later = graph.add(message("@dave:d", "later"), [refused.event_id])
    await engine.receive.take(graph.room_id, [later], given=await given_state(engine, graph, later))
    await engine.receive.take(graph.room_id, [refused], given=await given_state(engine, graph, refused))
    await engine.receive.take(graph.room_id, [missed])
    room = await engine.rooms.get(graph.room_id)
    assert list(room.extremities) == [later.event_id]


async def test_a_refused_event_that_was_seen_as_part_of_a_state_has_no_place_yet(engine: Engine) -> None:
    """What builds on it lacks something, until it comes with what it builds on itself."""
    graph = await drawn(engine, "10", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    await deliver(engine, graph.room_id, [members])
    missed = graph.add(state("@carol:c", "m.room.topic", topic="new"), [members[-1].event_id])
    refused = graph.add(state("@erin:e", "m.room.name", name="no"), [missed.event_id])
    later = graph.add(message("@dave:d", "later"), [refused.event_id])
    room = await engine.rooms.get(graph.room_id)
    seen = await engine.receive.add_outliers(room, [refused])
    assert seen[refused.event_id].outcome is Outcome.REJECTED
    for event in (later, refused):
        taken = (await engine.receive.take(graph.room_id, [event]))[event.event_id]
        assert taken.missing_prev == tuple(event.prev_events)
    await deliver(engine, graph.room_id, [[later, refused], [missed]])
    stored = await engine.rooms.events([refused.event_id, later.event_id])
    assert stored[refused.event_id].outcome is Outcome.REJECTED
    assert stored[refused.event_id].is_placed
    assert stored[later.event_id].outcome is Outcome.ACCEPTED
    engine.rooms.drop(graph.room_id)
    room = await engine.rooms.get(graph.room_id)
    assert list(room.extremities) == [later.event_id]
    assert dict(room.current.state) == dict(graph.after[later.event_id])


async def test_events_that_follow_each_other_in_a_circle_leave_the_graph_an_end(engine: Engine) -> None:
    """In the first room versions a server gives its events what ids it likes."""
    graph = await drawn(engine, "2", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    await deliver(engine, graph.room_id, [members])
    first = in_version_2(graph.add(message("@carol:c", "one"), [members[-1].event_id]), "$first:c", "$second:c")
    room = await engine.rooms.get(graph.room_id)
    before = Before(room.current.id, room.current, gaps=("$second:c",), gaps_wanted=True)
    await engine.receive.take(graph.room_id, [first], given={"$first:c": before})
    second = in_version_2(graph.add(message("@carol:c", "two"), [members[-1].event_id]), "$second:c", "$first:c")
    await engine.receive.take(graph.room_id, [second])
    room = await engine.rooms.get(graph.room_id)
    assert "$first:c" in room.extremities
    await engine.append.append(graph.room_id, message(ALICE, "goes on"))


def in_version_2(event: Event, event_id: str, builds_on: str) -> Event:
    """The event with another id, on top of another."""
    kept = {key: value for key, value in event.pdu.items() if key not in ("hashes", "signatures")}
    pdu = {**kept, "event_id": event_id, "prev_events": [[builds_on, {"sha256": "invented"}]]}
    return seal(pdu, event.version, "c", identity_of("c").signing_key)


@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("version", ["6", "11"])
async def test_a_redaction_before_its_target(engine: Engine, version: str, is_early: bool) -> None:
    chance = random.Random(version)
    graph = await drawn(engine, version, chance, "!room:a", count=0)
    members = graph.events[:-1]
    said = graph.add(Draft(type="m.room.message", sender="@dave:d", content={"body": "secret"}), graph.ends())
    beside = members[-1].event_id
    redaction = graph.add(
        Draft(type="m.room.redaction", sender="@carol:c", content={}, redacts=said.event_id), [beside]
    )
    later = [redaction, said] if is_early else [said, redaction]
    await deliver(engine, graph.room_id, [graph.events[: len(members) + 1], *[[event] for event in later]])
    stored = await engine.rooms.event(said.event_id)
    assert stored is not None
    assert stored.redacted_by == redaction.event_id
    assert stored.event.content == {}


async def test_an_event_that_the_room_has_moved_on_from_is_soft_failed(engine: Engine) -> None:
    """Whichever of the two comes first; it becomes part of the graph when somebody builds on it."""
    for number, is_late in enumerate((True, False)):
        graph = await drawn(engine, "10", random.Random(1), f"!room{number}:a", count=0)
        members = graph.events[:-1]
        beside = [members[-1].event_id]
        ban = graph.add(member("@erin:e", "ban", "@carol:c"), beside)
        said = graph.add(Draft(type="m.room.message", sender="@erin:e", content={"body": "still here"}), beside)
        await deliver(engine, graph.room_id, [members, [ban, said] if is_late else [said], [ban]])
        stored = await engine.rooms.event(said.event_id)
        assert stored is not None
        assert stored.outcome is (Outcome.SOFT_FAILED if is_late else Outcome.ACCEPTED)
        room = await engine.rooms.get(graph.room_id)
        assert room.memberships["@erin:e"] == "ban"
        assert (said.event_id in room.extremities) is not is_late


async def test_states_that_are_still_being_written_are_resolved(engine: Engine) -> None:
    """An event joins two ends of which one came in the same batch, and whose state is on its way to the disk."""
    graph = await drawn(engine, "10", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    old = graph.add(state("@carol:c", "m.room.name", name="old"), [members[-1].event_id])
    await deliver(engine, graph.room_id, [[*members, old]])
    new = graph.add(state("@carol:c", "m.room.topic", topic="new"), [old.event_id])
    joining = graph.add(state("@dave:d", "m.room.avatar", url="mxc://a/b"), [new.event_id, members[-1].event_id])
    taken = await engine.receive.take(graph.room_id, [new, joining])
    verdict = taken[joining.event_id].verdict
    assert verdict is not None
    assert verdict.outcome is Outcome.ACCEPTED
    room = await engine.rooms.get(graph.room_id)
    assert dict(room.current.state) == dict(graph.after[joining.event_id])
    assert room.membership(ALICE) == "join"


async def test_what_only_a_refused_event_was_waiting_for_is_an_end(engine: Engine) -> None:
    """Nothing that was accepted builds on it, though it had been missed."""
    graph = await drawn(engine, "10", random.Random(1), "!room:a", count=0)
    members = graph.events[:-1]
    await deliver(engine, graph.room_id, [members])
    room = await engine.rooms.get(graph.room_id)
    missed = graph.add(state("@carol:c", "m.room.topic", topic="new"), [members[-1].event_id])
    refused = graph.add(state("@erin:e", "m.room.name", name="no"), [missed.event_id])
    before = Before(room.current.id, room.current, gaps=(missed.event_id,), gaps_wanted=True)
    taken = await engine.receive.take(graph.room_id, [refused], given={refused.event_id: before})
    verdict = taken[refused.event_id].verdict
    assert verdict is not None
    assert verdict.outcome is Outcome.REJECTED
    await engine.receive.take(graph.room_id, [missed])
    engine.rooms.drop(graph.room_id)
    room = await engine.rooms.get(graph.room_id)
    assert missed.event_id in room.extremities
    assert dict(room.current.state) == dict(graph.after[missed.event_id])
