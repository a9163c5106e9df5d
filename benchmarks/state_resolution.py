"""How long it takes to resolve two forks of a large room, and how much is looked up for it.

    python benchmarks/state_resolution.py [members ...]

The room has a past: power levels, topics and display names changed while its members came. Then it forks, and a
hundred state events are made, half on either side: joins, display names, kicks, topics and new power levels on both.
`whole chains` is what the auth difference alone takes when it is found by building the chains of both states.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from time import perf_counter
from typing import Any

from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import auth_event_keys
from weft.protocol.room_versions import RoomVersion, room_version
from weft.protocol.state_resolution import MemoryReader, StateEntry, resolve

SIZES = (1_000, 10_000, 100_000)
VERSIONS = ("1", "10", "12")
RUNS = 9

ALICE, BOB = "@alice:example.org", "@bob:example.org"
POWER, RULES, TOPIC = ("m.room.power_levels", ""), ("m.room.join_rules", ""), ("m.room.topic", "")


class Branch:
    """The state at the end of a branch, and what it takes to go on from there."""

    def __init__(self, version: RoomVersion, reader: MemoryReader, state: dict[StateKey, str], number: int) -> None:
        self.version = version
        self.reader = reader
        self.state = state
        self.number = number

    def fork(self) -> Branch:
        return Branch(self.version, self.reader, dict(self.state), self.number)

    def send(self, sender: str, key: StateKey, content: dict[str, Any], side: str = "") -> None:
        wanted = auth_event_keys(*key, sender, content, self.version)
        auth_events = [self.state[place] for place in wanted if place in self.state]
        prev = [] if not self.state else list(self.state.values()) if len(self.state) == 1 else ["$before"]
        pairs = self.version.format.references_are_pairs
        pdu: dict[str, Any] = {
            "type": key[0],
            "state_key": key[1],
            "sender": sender,
            "content": content,
            "depth": self.number,
            "origin_server_ts": 1000 * self.number,
            "prev_events": [[event_id, {}] for event_id in prev] if pairs else prev,
            "auth_events": [[event_id, {}] for event_id in auth_events] if pairs else auth_events,
        }
        if not self.version.format.room_id_is_create_hash:
            pdu["room_id"] = "!room:example.org"
        elif self.state:
            pdu["room_id"] = "!0"
        event = Event.stored(pdu, self.version, f"${self.number}{side}")
        self.reader.add(event)
        self.state[key] = event.event_id
        self.number += 1

    def member(self, target: str, membership: str, sender: str = "", side: str = "") -> None:
        content = {"membership": membership, "displayname": f"{target} {self.number}"}
        self.send(sender or target, ("m.room.member", target), content, side)

    def power(self, side: str = "", **more: int) -> None:
        users = {BOB: 50} if self.version.auth.privileged_creators else {ALICE: 100, BOB: 50}
        self.send(ALICE, POWER, {"users": users, **more}, side)


class CountingReader:
    def __init__(self, reader: MemoryReader) -> None:
        self._reader = reader
        self.events_read = 0
        self.edges_read = 0

    def events(self, ids: Iterable[str]) -> Mapping[str, Event]:
        found = self._reader.events(ids)
        self.events_read += len(found)
        return found

    def auth_children(self, ids: Iterable[str]) -> Mapping[str, Iterable[StateEntry]]:
        return {event_id: self._counted(found) for event_id, found in self._reader.auth_children(ids).items()}

    def _counted(self, entries: Iterable[StateEntry]) -> Iterable[StateEntry]:
        for entry in entries:
            self.edges_read += 1
            yield entry


def large_room(version: RoomVersion, members: int) -> Branch:
    room = Branch(version, MemoryReader(), {}, 0)
    room.send(ALICE, ("m.room.create", ""), {"creator": ALICE})
    room.member(ALICE, "join")
    room.power()
    room.send(ALICE, RULES, {"join_rule": "public"})
    room.member(BOB, "join")
    for number in range(members):
        room.member(f"@m{number}:example.org", "join")
        if number % 200 == 0:
            room.power(kick=40 + number % 3)
        if number % 20 == 0:
            room.send(BOB, TOPIC, {"topic": str(number)})
        if number % 5 == 0:
            room.member(f"@m{number}:example.org", "join")
    return room


def go_on(branch: Branch, side: str) -> None:
    """Fifty state events on one side of a fork."""
    offset = 100 if side == "r" else 0
    for number in range(25):
        branch.member(f"@new-{side}{number}:example.org", "join", side=side)
    branch.power(side=side, ban=40 if side == "r" else 45)
    for number in range(15):
        branch.member(f"@m{offset + number}:example.org", "join", side=side)
    for number in range(5):
        branch.member(f"@m{200 + number + offset // 50}:example.org", "leave", BOB, side=side)
    for number in range(4):
        branch.send(BOB, TOPIC, {"topic": f"{side} {number}"}, side)


def whole_chains(states: Iterable[Mapping[StateKey, str]], reader: MemoryReader) -> set[str]:
    chains = []
    for state in states:
        chain: set[str] = set()
        agenda = set(state.values())
        while agenda:
            chain |= agenda
            agenda = {above for event in reader.events(agenda).values() for above in event.auth_events} - chain
        chains.append(chain)
    return chains[0] ^ chains[1]


def milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return 1000 * median(times)


def measure(version: RoomVersion, members: int) -> str:
    left = large_room(version, members)
    right = left.fork()
    go_on(left, "l")
    go_on(right, "r")
    states = [left.state, right.state]
    differing = [key for key in left.state | right.state if left.state.get(key) != right.state.get(key)]
    counting = CountingReader(left.reader)
    resolved = resolve(version, states, differing, counting)
    if len(resolved) != len(differing):
        raise AssertionError("Every differing key has an answer.")
    taken = milliseconds(lambda: resolve(version, states, differing, left.reader))
    naive = milliseconds(lambda: whole_chains(states, left.reader))
    counts = f"{len(differing):,} | {counting.events_read:,} | {counting.edges_read:,}"
    return f"| {members:,} | {version.identifier} | {counts} | {taken:.2f} | {naive:.1f} |"


def main(sizes: Iterable[int]) -> None:
    print("| members | room version | differing keys | events read | edges read | resolve, ms | whole chains, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for members in sizes:
        for identifier in VERSIONS:
            print(measure(room_version(identifier), members), flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
