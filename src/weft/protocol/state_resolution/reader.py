"""The two look-ups that state resolution makes, and an implementation in memory.

The first is plain: events by id. The second answers which state events name an event in their `auth_events`, that is
the auth graph downwards. It is what makes the auth difference exact and cheap at once; `auth_difference` says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weft.protocol.event import Event, StateKey

#: An entry of a state, as the items of its map are: the key and the event's id.
StateEntry: TypeAlias = "tuple[StateKey, str]"


class Reader(Protocol):
    """What resolution may look up. Both look-ups take many ids at once and may be asked for the same id again."""

    def events(self, ids: Iterable[str]) -> Mapping[str, Event]:
        """Those of the events that are known and were not refused because of their own auth events."""
        ...

    def auth_children(self, ids: Iterable[str]) -> Mapping[str, Iterable[StateEntry]]:
        """For each id the state events that name it in their `auth_events`; an id without any may be left out.

        It must know every state event that `events` knows, those on their way into the store too; an edge that is
        missing makes the auth difference too large. Each iterable is read lazily and most are left after a few
        entries, so it should be made page by page. Newest first ends the search soonest; any order is right.
        """
        ...


class MemoryReader:
    """Events in dictionaries: for tests and tools, and as a layer for events that are not stored yet."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: dict[str, Event] = {}
        self._children: dict[str, list[StateEntry]] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Makes an event known. Events that were refused because of their auth events don't belong here."""
        if event.event_id in self._events:
            return
        self._events[event.event_id] = event
        if event.is_state:
            for auth_event in event.auth_events:
                self._children.setdefault(auth_event, []).append((event.key, event.event_id))

    def events(self, ids: Iterable[str]) -> dict[str, Event]:
        known = self._events
        return {event_id: known[event_id] for event_id in ids if event_id in known}

    def auth_children(self, ids: Iterable[str]) -> dict[str, Iterator[StateEntry]]:
        children = self._children
        return {event_id: reversed(children[event_id]) for event_id in ids if event_id in children}
