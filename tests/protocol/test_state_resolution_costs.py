"""What a resolution looks up grows with what differs, and not with the room: counted, not timed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.protocol.state_resolution_rooms import CountingReader, DrawnRoom, State, Unlisted, key
from weft.protocol.state_resolution import resolve

Fork = Callable[[DrawnRoom, State, int], tuple[State, State]]


def big_room(version: str, members: int, epochs: int = 20) -> tuple[DrawnRoom, State]:
    """A room with a past: power levels, topics and display names changed while its members came."""
    room = DrawnRoom(version)
    state = room.start("bob", bob=50)
    for number in range(members):
        state = room.join(state, f"m{number}")
        for epoch in range(number * epochs // members, (number + 1) * epochs // members):
            state = room.power(state, f"power-{epoch}-m", bob=50, kick=40 + epoch % 3)
        if number % 7 == 0:
            state = room.topic(state, f"topic-{number}-m", sender="bob")
        if number % 5 == 0:
            state = room.member(state, f"rename-{number}", f"m{number}", "join")
    return room, state


def newcomers(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    left, right = base, base
    for number in range(size):
        left = room.join(left, f"left-{number}")
        right = room.topic(room.join(right, f"right-{number}"), f"topic-right-{number}", sender="bob")
    return left, right


def renamed(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    left, right = base, base
    for number in range(size):
        left = room.member(left, f"left-{number}", f"m{number}", "join")
        right = room.member(right, f"right-{number}", f"m{number}", "join")
    return left, right


def closed(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    """The old join rule stands in the auth events of every member."""
    left = room.send(base, "closed", "alice", "rules", {"join_rule": "invite"})
    return left, newcomers(room, base, size)[1]


def promoted(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    left, right = newcomers(room, room.power(base, "power-left", bob=60), size)
    return left, right | {key("power"): base[key("power")]}


def moderated(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    left, right = base, base
    for number in range(size):
        left = room.member(left, f"kick-{number}", f"m{number}", "leave", sender="bob")
        right = room.send(right, f"name-{number}", "bob", "name", {"name": str(number)})
    return left, right


def stale(room: DrawnRoom, base: State, size: int) -> tuple[State, State]:
    """One side has an old join rule and power levels that all members came after."""
    left, right = newcomers(room, base, size)
    old = [event_id for event_id, event in room.events.items() if event.key == key("power")]
    return left, right | {key("power"): old[-size]}


#: Look-ups are made in batches, of which a part may not have been needed.
SLACK = 80
FORKS = [newcomers, renamed, closed, promoted, moderated, stale]


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("version", ["1", "10", "12"])
def test_the_number_of_members_does_not_matter(version: str, fork: Fork) -> None:
    small, large = lookups(version, 100, fork, 8), lookups(version, 1500, fork, 8)
    assert large <= small + SLACK


@pytest.mark.parametrize(
    ("version", "fork"),
    # Where old authorities conflict, 2.1 has to know all that lies between, whichever side of them is smaller.
    [
        (version, fork)
        for fork in FORKS
        for version in ("1", "10", "12")
        if version != "12" or fork not in {closed, stale}
    ],
)
def test_the_number_of_past_power_levels_does_not_matter(version: str, fork: Fork) -> None:
    few, many = lookups(version, 100, fork, 8, epochs=20), lookups(version, 100, fork, 8, epochs=500)
    assert many <= few + SLACK


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("version", ["10", "12"])
def test_costs_grow_in_step_with_the_difference(version: str, fork: Fork) -> None:
    assert lookups(version, 400, fork, 32, epochs=40) <= 5 * lookups(version, 400, fork, 8, epochs=40)


def lookups(version: str, members: int, fork: Fork, size: int, epochs: int = 20) -> int:
    room, base = big_room(version, members, epochs)
    left, right = fork(room, base, size)
    differing = [place for place in left | right if left.get(place) != right.get(place)]
    assert differing
    reader = CountingReader(room.reader)
    resolve(room.version, [Unlisted(left), Unlisted(right)], differing, reader)
    return reader.events_read + reader.edges_read
