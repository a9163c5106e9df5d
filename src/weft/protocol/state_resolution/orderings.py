"""The two orders in which conflicted events are tried: by authority, and by the line of power levels.

Both are total: the event id decides where nothing else does, so no order of arguments shows through.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

import heapq
from itertools import takewhile
from typing import TYPE_CHECKING

from weft.protocol.event_auth import CREATE_KEY, POWER_LEVELS_KEY
from weft.protocol.power_levels import PowerLevels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weft.protocol.event import Event
    from weft.protocol.state_resolution.auth_graph import AuthGraph


def reverse_topological_power_ordering(events: Mapping[str, Event], graph: AuthGraph) -> list[Event]:
    """The events by `auth_events`, oldest first; among those that could come next, the mightiest sender's first.

    Edges count where both ends are among `events`; a path that leaves them orders nothing. (Version 2.1 closes the
    set under paths, so there it makes no difference. Servers in use do the same in version 2.)
    """
    waits_for = {
        event_id: {above for above in event.auth_events if above in events} for event_id, event in events.items()
    }
    below: dict[str, list[str]] = {}
    for event_id, above in waits_for.items():
        for auth_event in above:
            below.setdefault(auth_event, []).append(event_id)
    rank = {event_id: _power_rank(event, graph) for event_id, event in events.items()}
    ready = [rank[event_id] for event_id, above in waits_for.items() if not above]
    heapq.heapify(ready)
    ordered: list[Event] = []
    while ready:
        event_id = heapq.heappop(ready)[-1]
        ordered.append(events[event_id])
        for child in below.get(event_id, ()):
            waits_for[child].discard(event_id)
            if not waits_for[child]:
                heapq.heappush(ready, rank[child])
    return ordered


def mainline_ordering(events: Iterable[Event], power_levels: str | None, graph: AuthGraph) -> list[Event]:
    """The events by the last event of the mainline that they rest on, oldest first; then by time and id.

    `power_levels` is the id of the event that the mainline starts from; without one all have the same place.
    """
    mainline = _Mainline(power_levels, graph)

    def rank(event: Event) -> tuple[float, int, str]:
        return -mainline.position(event), event.origin_server_ts, event.event_id

    return sorted(events, key=rank)


def _power_rank(event: Event, graph: AuthGraph) -> tuple[int, int, str]:
    return -_sender_power(event, graph), event.origin_server_ts, event.event_id


def _sender_power(event: Event, graph: AuthGraph) -> int:
    """The sender's power level as the event's own `auth_events` have it."""
    create = event if event.type == "m.room.create" else graph.cited(event, CREATE_KEY)
    if create is None:
        return 0
    return PowerLevels.of(graph.cited(event, POWER_LEVELS_KEY), create, event.version).user(event.sender)


class _Mainline:
    """The mainline of a power levels event, walked back only as far as somebody's position needs it.

    The mainline and the line of power levels that an event rests on are walked in turns until they meet, so a position
    costs the distance to where they part, not the room's whole history of power levels.
    """

    def __init__(self, power_levels: str | None, graph: AuthGraph) -> None:
        self._graph = graph
        #: Of each power levels event that was met: its own place in the mainline, or the place where its line joins.
        self._positions: dict[str, float] = {}
        self._length = 0
        self._next = None if power_levels is None else graph.event(power_levels)

    def position(self, event: Event) -> float:
        """The event's mainline position; infinite where the lines don't meet."""
        if self._next is None and not self._positions:
            return float("inf")
        passed: dict[str, None] = {}
        step = self._before(event)
        while True:
            if step is not None and step.event_id in self._positions:
                return self._joins(passed, self._positions[step.event_id])
            if step is not None:
                passed[step.event_id] = None
                step = self._before(step)
                if step is not None and step.event_id in passed:
                    step = None  # A circle: nothing that was checked has one, and it may not hold us up.
            grown = self._grow()
            if grown is not None and grown in passed:
                return self._joins(_up_to(grown, passed), self._positions[grown])
            if grown is None and step is None:
                return self._joins(passed, float("inf"))

    def _joins(self, passed: Iterable[str], position: float) -> float:
        self._positions.update(dict.fromkeys(passed, position))
        return position

    def _grow(self) -> str | None:
        """Walks the mainline one event further; None at its end."""
        event = self._next
        if event is None or event.event_id in self._positions:
            return None
        self._positions[event.event_id] = self._length
        self._length += 1
        self._next = self._before(event)
        return event.event_id

    def _before(self, event: Event) -> Event | None:
        return self._graph.cited(event, POWER_LEVELS_KEY)


def _up_to(end: str, ids: Iterable[str]) -> Iterable[str]:
    return takewhile(lambda event_id: event_id != end, ids)
