"""Rooms drawn by hand or by chance for the tests of state resolution.

A `DrawnRoom` holds the events of one room; states are plain maps from key to event id, and `send` gives back the
state after an event. Ids are the names that the test gives (`$topic-2`), so that expectations can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any

from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import auth_event_keys
from weft.protocol.room_versions import EventIdFormat, room_version
from weft.protocol.state_resolution import MemoryReader, StateEntry, resolve, resolve_maps

State = dict[StateKey, str]

SHORT_TYPES = {"power": "power_levels", "rules": "join_rules"}


def user(name: str) -> str:
    return f"@{name}:{name}.example"


def key(short: str) -> StateKey:
    """`topic`, `power`, `rules` or `member bob` as the key of a state."""
    kind, _, name = short.partition(" ")
    return f"m.room.{SHORT_TYPES.get(kind, kind)}", user(name) if kind == "member" else ""


class DrawnRoom:
    """A room that alice created; time goes on by a second per event unless the test says otherwise."""

    def __init__(self, version: str) -> None:
        self.version = room_version(version)
        self.events: dict[str, Event] = {}
        self._clock = 0

    def id(self, name: str) -> str:
        assigned = self.version.format.event_id is EventIdFormat.SERVER_ASSIGNED
        return f"${name}:alice.example" if assigned else f"${name}"

    def name(self, event_id: str | None) -> str | None:
        return None if event_id is None else event_id[1:].removesuffix(":alice.example")

    @property
    def reader(self) -> MemoryReader:
        return MemoryReader(self.events.values())

    def create(self) -> State:
        """The state after the room's create event."""
        return self.send({}, "create", "alice", "create", {"creator": user("alice")})

    def start(self, *members: str, rule: str = "public", **levels: Any) -> State:
        """A room with members, the creator among them, power levels `power-0` and a join rule."""
        state = self.create()
        state = self.join(state, "alice")
        state = self.power(state, "power-0", **levels)
        state = self.send(state, "rules-0", "alice", "rules", {"join_rule": "public"})
        for name in members:
            state = self.join(state, name)
        if rule != "public":
            state = self.send(state, "rules-1", "alice", "rules", {"join_rule": rule})
        return state

    def send(
        self,
        state: Mapping[StateKey, str],
        name: str,
        sender: str,
        short: str,
        content: dict[str, Any],
        *,
        ts: int | None = None,
        depth: int | None = None,
        auth: Iterable[str] | None = None,
    ) -> State:
        """Adds a state event, authorised by that state or by the events named; returns the state with it."""
        self._clock += 1000
        state_key = key(short)
        wanted = auth_event_keys(*state_key, user(sender), content, self.version)
        auth_events = [state[place] for place in wanted if place in state]
        if auth is not None:
            auth_events = [self.id(other) for other in auth]
        pairs = self.version.format.references_are_pairs
        # The creator's join follows the create event alone, which is why the rules allow it.
        prev = [self.id("before")] if len(state) > 1 else list(state.values())
        pdu = {
            "type": state_key[0],
            "state_key": state_key[1],
            "sender": user(sender),
            "content": content,
            "origin_server_ts": self._clock if ts is None else ts,
            "depth": self._clock // 1000 if depth is None else depth,
            "prev_events": [[event_id, {}] for event_id in prev] if pairs else prev,
            "auth_events": [[event_id, {}] for event_id in auth_events] if pairs else auth_events,
        }
        if not self.version.format.room_id_is_create_hash:
            pdu["room_id"] = "!room:alice.example"
        elif state_key[0] != "m.room.create":
            pdu["room_id"] = "!create"
        event = Event.stored(pdu, self.version, self.id(name))
        self.events[event.event_id] = event
        return {**state, state_key: event.event_id}

    def member(self, state: State, name: str, target: str, membership: str, sender: str = "", **more: Any) -> State:
        content = {"membership": membership, **{field: more.pop(field) for field in list(more) if "_" in field}}
        return self.send(state, name, sender or target, f"member {target}", content, **more)

    def join(self, state: State, name: str, **more: Any) -> State:
        return self.member(state, f"join-{name}", name, "join", **more)

    def power(self, state: State, name: str, sender: str = "alice", ts: int | None = None, **levels: Any) -> State:
        """Power levels by user name (`bob=50`) and by what they allow (`kick=0`)."""
        content: dict[str, Any] = {"users": {} if self.version.auth.privileged_creators else {user("alice"): 100}}
        for level, value in levels.items():
            if level in {"ban", "kick", "invite", "state_default", "users_default"}:
                content[level] = value
            else:
                content["users"][user(level)] = value
        return self.send(state, name, sender, "power", content, ts=ts)

    def topic(self, state: State, name: str, sender: str = "alice", **more: Any) -> State:
        return self.send(state, name, sender, "topic", {"topic": name}, **more)

    def resolve(self, *states: State) -> State:
        """The resolved state, after making sure that nothing hangs on how the question is put."""
        reader = self.reader
        result = resolve_maps(self.version, states, reader)
        for order in list(permutations(states))[:6]:
            assert resolve_maps(self.version, order, reader) == result
        assert resolve_maps(self.version, [*states, *states], reader) == result
        everything = {key for state in states for key in state}
        unlisted = [Unlisted(state) for state in states]
        assert resolve(self.version, unlisted, everything, reader).items() >= result.items()
        assert resolve_maps(self.version, [result, result], reader) == result
        return result

    def names(self, *states: State) -> dict[str, str | None]:
        """The resolved state by short key, with names for ids."""
        result = self.resolve(*states)
        return {short(place): self.name(event_id) for place, event_id in result.items()}


def short(place: StateKey) -> str:
    kind = place[0].removeprefix("m.room.")
    kind = {long: brief for brief, long in SHORT_TYPES.items()}.get(kind, kind)
    return f"{kind} {place[1][1:].partition(':')[0]}" if kind == "member" else kind


class Unlisted(Mapping[StateKey, str]):
    """A state that can be asked, but not gone through."""

    def __init__(self, state: Mapping[StateKey, str]) -> None:
        self._state = state

    def __getitem__(self, place: StateKey) -> str:
        return self._state[place]

    def __iter__(self) -> Any:
        raise AssertionError("A whole state was gone through.")

    def __len__(self) -> int:
        raise AssertionError("A whole state was measured.")


class CountingReader:
    """Counts the events and the edges that were read."""

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
