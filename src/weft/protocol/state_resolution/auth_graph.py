"""The auth graph as one resolution sees it: each event is looked up once, in batches where that is possible.

`auth_events` edges point up, towards the create event; the reader's `auth_children` point down.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from weft.protocol.event_auth import CREATE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from weft.protocol.event import Event, StateKey
    from weft.protocol.state_resolution.reader import Reader, StateEntry

_BATCH = 64


class AuthGraph:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._events: dict[str, Event | None] = {}
        self._children: dict[str, _Replayed] = {}

    def load(self, ids: Iterable[str]) -> None:
        """Looks events up in one batch, for the calls that follow."""
        missing = [event_id for event_id in dict.fromkeys(ids) if event_id not in self._events]
        if missing:
            found = self._reader.events(missing)
            self._events.update((event_id, found.get(event_id)) for event_id in missing)

    def event(self, event_id: str) -> Event | None:
        """None for an event that the reader doesn't show."""
        if event_id not in self._events:
            self.load((event_id,))
        return self._events[event_id]

    def auth_events(self, event_id: str) -> tuple[str, ...]:
        """The ids in an event's `auth_events`; none for an event that the reader doesn't show."""
        event = self.event(event_id)
        return () if event is None else event.auth_events

    def cited(self, event: Event, key: StateKey) -> Event | None:
        """The event of a key among an event's `auth_events`; the create event also where the room id implies it."""
        if key == CREATE_KEY and event.version.format.room_id_is_create_hash:
            return self.event("$" + event.room_id[1:])
        for event_id in event.auth_events:
            auth_event = self.event(event_id)
            if auth_event is not None and auth_event.type == key[0] and auth_event.state_key == key[1]:
                return auth_event
        return None

    def load_children(self, ids: Iterable[str]) -> None:
        """Asks for the children of events in one batch, for the calls that follow."""
        missing = [event_id for event_id in dict.fromkeys(ids) if event_id not in self._children]
        if missing:
            found = self._reader.auth_children(missing)
            self._children.update((event_id, _Replayed(found.get(event_id, ()))) for event_id in missing)

    def children(self, event_id: str) -> Iterator[StateEntry]:
        """The state events that name an event in their `auth_events`, read as far as the caller goes."""
        if event_id not in self._children:
            self.load_children((event_id,))
        return iter(self._children[event_id])


class Walk:
    """All that can be reached from some events in one direction, found step by step so that one may stop early."""

    def __init__(
        self,
        starts: Collection[str],
        prepare: Callable[[Iterable[str]], None],
        step: Callable[[str], Iterable[str]],
    ) -> None:
        self._prepare = prepare
        self._step = step
        self._edges: dict[str, list[str]] = {}
        self._steps = self._run(list(starts))

    def finishes_within(self, steps: int) -> bool:
        """Goes on for so many steps. True when nothing is left to be found."""
        return next(islice(self._steps, steps - 1, None), None) is None

    def reaching(self, targets: Collection[str]) -> set[str]:
        """Of what a finished walk found, the events from which a target is reached; the targets are among them."""
        before: dict[str, list[str]] = {}
        for event_id, nexts in self._edges.items():
            for next_id in nexts:
                before.setdefault(next_id, []).append(event_id)
        found = set(targets)
        agenda = list(found)
        while agenda:
            fresh = [event_id for event_id in before.get(agenda.pop(), ()) if event_id not in found]
            found.update(fresh)
            agenda.extend(fresh)
        return found

    def _run(self, frontier: list[str]) -> Iterator[str]:
        seen = set(frontier)
        while frontier:
            batch = frontier[-_BATCH:]
            del frontier[-_BATCH:]
            self._prepare(batch)
            for event_id in batch:
                edges = self._edges[event_id] = []
                yield event_id
                for next_id in self._step(event_id):
                    edges.append(next_id)
                    if next_id not in seen:
                        seen.add(next_id)
                        frontier.append(next_id)
                    yield next_id


class _Replayed:
    """An iterable that is read once, as far as asked, and can be walked again from its beginning."""

    def __init__(self, source: Iterable[StateEntry]) -> None:
        self._read: list[StateEntry] = []
        self._source = iter(source)

    def __iter__(self) -> Iterator[StateEntry]:
        read = self._read
        position = 0
        while True:
            if position == len(read):
                entry = next(self._source, None)
                if entry is None:
                    return
                read.append(entry)
            yield read[position]
            position += 1
