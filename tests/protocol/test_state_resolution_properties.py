"""State resolution on rooms made by chance, compared with the specification taken at its word.

The reference below builds whole auth chains and whole states. It knows nothing of what makes the real thing fast.

What holds, and is tested: neither the order of the states nor giving one twice matters, nor in which order events
arrived; resolving a result with itself changes nothing; what the fast search finds is exactly the auth difference
and the conflicted state subgraph, for states that no honest server would send as well. What the algorithm does not
promise: that three states resolved two by two give what they give at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.state_resolution_rooms import DrawnRoom, State, key, user
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import authorise
from weft.protocol.power_levels import PowerLevels
from weft.protocol.room_versions import V6, RoomVersion, StateResolution
from weft.protocol.state_resolution import MemoryReader, resolve_maps
from weft.protocol.state_resolution.auth_difference import auth_difference
from weft.protocol.state_resolution.auth_graph import AuthGraph
from weft.protocol.state_resolution.conflicted_subgraph import conflicted_subgraph
from weft.protocol.state_resolution.state_sets import StateSets

VERSIONS = st.sampled_from(["1", "2", "6", "10", "12"])
RANDOMS = st.builds(Random, st.integers(0, 2**32))
Events = Mapping[str, Event]


@settings(max_examples=60, deadline=None)
@given(VERSIONS, RANDOMS)
def test_order_repetition_and_arrival_do_not_matter(version: str, random: Random) -> None:
    room, states = random_room(version, random)
    chosen = random_states(room, states, random)
    result = room.resolve(*chosen)
    arrivals = list(room.events.values())
    random.shuffle(arrivals)
    assert resolve_maps(room.version, chosen, MemoryReader(arrivals)) == result
    assert resolve_maps(room.version, [result], room.reader) == result


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["2", "6", "10", "12"]), RANDOMS)
def test_the_result_is_what_the_specification_says(version: str, random: Random) -> None:
    room, states = random_room(version, random)
    for _ in range(4):
        chosen = random_states(room, states, random)
        assert resolve_maps(room.version, chosen, room.reader) == reference(room.version, chosen, room.events)


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_the_auth_difference_and_subgraph_are_exact_on_any_graph(random: Random) -> None:
    events = random_graph(random)
    states = [random_state(events, random) for _ in range(random.randint(2, 4))]
    common = random_state(events, random)
    if random.random() < 0.7:
        states = [{**state, **common} for state in states]
    sets = StateSets(states, {place for state in states for place in state})
    conflicted = sets.conflicted_events()
    assert auth_difference(sets, AuthGraph(MemoryReader(events.values()))) == full_difference(states, events)
    found = conflicted_subgraph(conflicted, AuthGraph(MemoryReader(events.values())))
    assert found == full_subgraph(conflicted, events)


# Rooms by chance


def random_room(version: str, random: Random) -> tuple[DrawnRoom, list[State]]:
    """A room whose members went on from whatever they had seen: its events, and the state after each."""
    room = DrawnRoom(version)
    states = [room.start("bob", "carol", bob=50, carol=random.choice([0, 25, 50]), invite=random.choice([0, 30]))]
    for number in range(random.randint(4, 24)):
        seen = random.choices(states[-6:], k=random.choice([1, 1, 1, 2, 3]))
        before = resolve_maps(room.version, seen, room.reader)
        after = random_event(room, before, f"{number:02}", random)
        event = next(reversed(room.events.values()))
        if is_allowed(event, before, room.events):
            states.append(after)
        else:
            del room.events[event.event_id]
    return room, states


def random_event(room: DrawnRoom, state: State, name: str, random: Random) -> State:
    sender, target = (
        random.choice(["alice", "alice", "bob", "bob", "carol", "dave"]),
        random.choice(["bob", "carol", "dave"]),
    )
    ts = random.randint(20_000, 20_010)
    kind = random.choice(["topic", "name", "power", "power", "rules", "own", "own", "other"])
    if kind == "power":
        levels = {who: random.choice([0, 25, 50, 75]) for who in ("bob", "carol", "dave")}
        if sender != "alice" and random.random() < 0.7:
            levels = old_levels(room, state) | {target: random.choice([0, 25, 50])}
        return room.power(state, name, sender=sender, ts=ts, **levels)
    if kind == "rules":
        rule = random.choice(["public", "invite", "restricted"])
        return room.send(state, name, sender, "rules", {"join_rule": rule}, ts=ts)
    if kind == "own":
        membership = random.choice(["join", "join", "join", "leave"])
        via = {"join_authorised_via_users_server": user("bob")} if random.random() < 0.3 else {}
        return room.member(state, name, sender, membership, ts=ts, **via)
    if kind == "other":
        membership = random.choice(["invite", "ban", "leave"])
        return room.member(state, name, target, membership, sender=sender, ts=ts)
    return room.send(state, name, sender, kind, {kind: name}, ts=ts)


def old_levels(room: DrawnRoom, state: State) -> dict[str, int]:
    power = state.get(key("power"))
    users: dict[str, int] = room.events[power].content["users"] if power else {}
    return {who[1:].partition(":")[0]: level for who, level in users.items() if who != user("alice")}


def random_states(room: DrawnRoom, states: Sequence[State], random: Random) -> list[State]:
    """Some of the states; sometimes with entries that are older than they should be, or missing."""
    chosen = [dict(state) for state in random.choices(states, k=random.randint(2, 4))]
    for state in chosen:
        if random.random() < 0.3:
            place = random.choice(sorted(state.keys() - {key("create")}))
            older = [event_id for event_id, event in room.events.items() if event.key == place]
            state[place] = random.choice(older)
        if random.random() < 0.1:
            del state[random.choice(sorted(state.keys() - {key("create")}))]
    return chosen


def random_graph(random: Random) -> dict[str, Event]:
    """Events that name any earlier ones in their `auth_events`, whatever the rules say."""
    events: dict[str, Event] = {}
    places = [(f"type-{number}", "") for number in range(random.randint(2, 12))]
    for number in range(random.randint(3, 60)):
        place = random.choice(places)
        named = random.sample(list(events), k=min(len(events), random.choice([0, 1, 1, 2, 3])))
        pdu = {
            "room_id": "!room:example.org",
            "type": place[0],
            "state_key": place[1],
            "sender": user("alice"),
            "content": {},
            "depth": number,
            "origin_server_ts": number,
            "prev_events": [],
            "auth_events": named,
        }
        events[f"${number}"] = Event.stored(pdu, V6, f"${number}")
    return events


def random_state(events: Events, random: Random) -> State:
    chosen = random.sample(list(events.values()), k=random.randint(1, len(events)))
    return {event.key: event.event_id for event in chosen[: random.randint(1, 10)]}


# The specification at its word


def chain_with(start: Iterable[str], events: Events) -> set[str]:
    """The events and their auth chains."""
    found: set[str] = set()
    agenda = list(start)
    while agenda:
        event_id = agenda.pop()
        if event_id not in found:
            found.add(event_id)
            agenda.extend(events[event_id].auth_events)
    return found


def full_difference(states: Sequence[State], events: Events) -> set[str]:
    chains = [chain_with(state.values(), events) for state in states]
    everywhere = chains[0].intersection(*chains[1:])
    return chains[0].union(*chains[1:]) - everywhere


def full_subgraph(conflicted: Iterable[str], events: Events) -> set[str]:
    ends = set(conflicted)
    above = chain_with(ends, events)
    return {event_id for event_id in above if ends & chain_with([event_id], events)}


def reference(version: RoomVersion, states: Sequence[State], events: Events) -> State:
    keys = {place for state in states for place in state}
    unconflicted = {place: states[0][place] for place in keys if len({state.get(place) for state in states}) == 1}
    conflicted = {state[place] for state in states for place in state if place not in unconflicted}
    full = conflicted | full_difference(states, events)
    partial: State = dict(unconflicted)
    if version.state_resolution is StateResolution.V2_1:
        full |= full_subgraph(conflicted, events)
        partial = {}
    power = {event_id for event_id in full if is_power(events[event_id])}
    while above := {named for event_id in power for named in events[event_id].auth_events if named in full} - power:
        power |= above
    check_all(power_order(power, events), partial, events)
    check_all(mainline_order(full - power, partial, events), partial, events)
    return {**partial, **unconflicted}


def is_power(event: Event) -> bool:
    if event.type in {"m.room.power_levels", "m.room.join_rules"}:
        return True
    return event.content.get("membership") in {"leave", "ban"} and event.sender != event.state_key


def power_order(ids: Iterable[str], events: Events) -> list[str]:
    left = set(ids)
    ordered = []
    while left:
        ready = [event_id for event_id in left if not left & set(events[event_id].auth_events)]
        ordered.append(min(ready, key=power_rank(events)))
        left.remove(ordered[-1])
    return ordered


def power_rank(events: Events) -> Callable[[str], tuple[int, int, str]]:
    def rank(event_id: str) -> tuple[int, int, str]:
        event = events[event_id]
        create = next(event for event in events.values() if event.type == "m.room.create")
        level = PowerLevels.of(power_before(event, events), create, event.version).user(event.sender)
        return -level, event.origin_server_ts, event_id

    return rank


def power_before(event: Event, events: Events) -> Event | None:
    named = (events[event_id] for event_id in event.auth_events)
    return next((event for event in named if event.key == key("power")), None)


def power_line(event: Event | None, events: Events) -> list[str]:
    line: list[str] = []
    while event is not None:
        line.append(event.event_id)
        event = power_before(event, events)
    return line


def mainline_order(ids: Iterable[str], state: State, events: Events) -> list[str]:
    power = state.get(key("power"))
    mainline = power_line(events[power] if power else None, events)

    def rank(event_id: str) -> tuple[float, int, str]:
        event = events[event_id]
        line = power_line(power_before(event, events), events)
        position = next((mainline.index(step) for step in line if step in mainline), float("inf"))
        return -position, event.origin_server_ts, event_id

    return sorted(ids, key=rank)


def check_all(ordered: Iterable[str], state: State, events: Events) -> None:
    for event_id in ordered:
        event = events[event_id]
        named = {events[other].key: other for other in event.auth_events}
        create = {} if not event.version.format.room_id_is_create_hash else {key("create"): "$create"}
        if is_allowed(event, {**create, **named, **state}, events):
            state[event.key] = event_id


def is_allowed(event: Event, state: Mapping[StateKey, str], events: Events) -> bool:
    try:
        authorise(event, lambda place: events[state[place]] if place in state else None)
    except AuthRuleViolation:
        return False
    return True
