"""Room graphs made by chance, as several servers would make one, and what has to become of each event."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

from tests.rooms.engines import ALICE, identity_of
from weft.graph.build import Draft, auth_keys, build
from weft.graph.decide import decide
from weft.graph.outcome import Outcome
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import CREATE_KEY
from weft.protocol.room_versions import RoomVersion
from weft.protocol.state_resolution import MemoryReader, resolve_maps

PEOPLE = ("@carol:c", "@dave:d", "@erin:e", "@frank:f")
POWERS = {"@carol:c": 100, "@dave:d": 50}
State = Mapping[StateKey, str]
#: More ends than this are joined by the next event.
_MOST_ENDS = 6


class DrawnGraph:
    """Grows on top of a room's first events. Nothing here knows of databases, or of an order of arrival."""

    def __init__(self, chance: random.Random, version: RoomVersion, room_id: str, first: Sequence[Event]) -> None:
        self.chance = chance
        self.version = version
        self.room_id = room_id
        self.known = {event.event_id: event for event in first}
        self.reader = MemoryReader(first)
        self.base = first[-1].event_id
        state = {event.key: event.event_id for event in first}
        #: The state after each event, and what becomes of it if nothing else but the graph counts.
        self.after: dict[str, State] = {self.base: state}
        self.outcomes: dict[str, Outcome] = {}
        #: Those that were drawn, what is built on first.
        self.events: list[Event] = []
        self._times = itertools.count(2_000_000)

    def ends(self) -> list[str]:
        built_on = {one for event in self.events for one in event.prev_events}
        return [one for one in self.after if one not in built_on]

    def draw(self, count: int) -> None:
        for person in PEOPLE:
            self.add(_member(person, "join"), [self.base] if not self.events else [self.events[-1].event_id])
        for _ in range(count):
            ends = self.ends()
            prev = ends if len(ends) > _MOST_ENDS else self._some_places()
            self.add(self._anything(), prev, is_careless=self.chance.random() < 0.2)

    def close(self) -> Event:
        """A last event of Alice's, whom nobody can silence, on top of all ends."""
        return self.add(Draft(type="m.room.message", sender=ALICE, content={"body": "last"}), self.ends())

    def add(self, draft: Draft, prev: Sequence[str], *, is_careless: bool = False) -> Event:
        """An event on top of others. A careless one leans on the room's first state, whatever happened since."""
        before = self.state_of(prev)
        state = self.after[self.base] if is_careless else before
        auth = [self.known[state[key]] for key in auth_keys(draft, self.version) if key in state]
        event = build(
            draft,
            version=self.version,
            room_id=self.room_id,
            prev_events=[self.known[one] for one in prev],
            auth_events=auth,
            identity=identity_of(draft.sender.partition(":")[2]),
            now_ms=next(self._times),
        )
        verdict = decide(
            event,
            auth_events=auth,
            rejected=frozenset(one for one, outcome in self.outcomes.items() if outcome.is_rejected),
            create=self.known[before[CREATE_KEY]] if self.version.format.room_id_is_create_hash else None,
            before={key: self.known[event_id] for key, event_id in before.items()},
            current=None,
        )
        outcome = verdict.outcome
        self.known[event.event_id] = event
        if outcome is not Outcome.REJECTED:
            self.reader.add(event)
        self.outcomes[event.event_id] = outcome
        is_new_state = event.is_state and outcome is Outcome.ACCEPTED
        self.after[event.event_id] = {**before, event.key: event.event_id} if is_new_state else before
        self.events.append(event)
        return event

    def state_of(self, prev: Sequence[str]) -> State:
        states = [self.after[one] for one in prev]
        if all(one == states[0] for one in states):
            return states[0]
        return resolve_maps(self.version, states, self.reader)

    def _some_places(self) -> list[str]:
        recent = [self.base, *(event.event_id for event in self.events)][-7:]
        return self.chance.sample(recent, self.chance.choice([1, 1, 1, 2, 3]))

    def _anything(self) -> Draft:
        sender, other = self.chance.choice(PEOPLE), self.chance.choice(PEOPLE)
        number = self.chance.randrange(100)
        kind = self.chance.choice(
            ["say", "say", "name", "power", "power", "ban", "ban", "kick", "join", "join", "rules"]
        )
        if kind == "say":
            return Draft(type="m.room.message", sender=sender, content={"body": f"{number}"})
        if kind == "name":
            return _state(sender, "m.room.name", name=f"{number}")
        if kind == "power":
            own = {} if self.version.auth.privileged_creators else {ALICE: 100}
            return _state(
                sender, "m.room.power_levels", users={**own, **POWERS, other: self.chance.choice([0, 50, 100])}
            )
        if kind == "rules":
            return _state(sender, "m.room.join_rules", join_rule=self.chance.choice(["public", "invite"]))
        if kind == "join":
            return _member(sender, "join")
        return _member(other, "ban" if kind == "ban" else "leave", sender)


def _state(sender: str, event_type: str, **content: object) -> Draft:
    return Draft(type=event_type, sender=sender, state_key="", content=content)


def _member(user: str, membership: str, sender: str | None = None) -> Draft:
    return Draft(type="m.room.member", sender=sender or user, state_key=user, content={"membership": membership})
