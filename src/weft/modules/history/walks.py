"""Walks over a room's graph towards the past, each bounded in what it gives and in what it looks at.

Only what has a place in the graph is walked over; what was rejected is walked through and not given.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from weft.graph.order import parents_first
from weft.graph.outcome import Outcome
from weft.storage import events
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

#: How many events one walk looks at.
_MAX_LOOKED_AT: Final = 1_000
#: The outcomes of what is given to other servers.
GIVEN: Final = frozenset({Outcome.ACCEPTED, Outcome.SOFT_FAILED})


def back_from(tx: Transaction, room: int, start: Iterable[str], limit: int) -> list[StoredEvent]:
    """Some events and their ancestors, the deepest first."""
    first = _in_graph(events.by_ids(tx, list(start)).values(), room)
    if not first:
        return []
    deepest = max(one.order for one in first)
    # In most rooms the ancestors are what lies below in graph order: that is one look.
    at_hand = {one.event.event_id: one for one in events.page(tx, room, start=deepest, backwards=True, limit=limit)} | {
        one.event.event_id: one for one in first
    }
    found: list[StoredEvent] = []
    met = {one.event.event_id for one in first}
    ahead = [_place(one) for one in first]
    heapq.heapify(ahead)
    while ahead and len(found) < limit and len(met) <= _MAX_LOOKED_AT:
        one = at_hand[heapq.heappop(ahead)[2]]
        if one.outcome in GIVEN:
            found.append(one)
        following = [event_id for event_id in one.event.prev_events if event_id not in met]
        met.update(following)
        missing = [event_id for event_id in following if event_id not in at_hand]
        if missing:
            at_hand |= events.by_ids(tx, missing)
        for parent in _in_graph((at_hand[event_id] for event_id in following if event_id in at_hand), room):
            heapq.heappush(ahead, _place(parent))
    return found


def between(
    tx: Transaction, room: int, earliest: Collection[str], latest: Sequence[str], *, limit: int, min_depth: int
) -> list[StoredEvent]:
    """What leads to the latest events, without these and what is not after the earliest; the oldest first.

    The walk goes breadth first, so that of too much the newest is given.
    """
    met = {*earliest, *latest}
    found: list[StoredEvent] = []
    ahead = list(_in_graph(events.by_ids(tx, [one for one in latest if one not in set(earliest)]).values(), room))
    while ahead and len(found) < limit and len(met) <= _MAX_LOOKED_AT + len(earliest) + len(latest):
        parents = dict.fromkeys(event_id for one in ahead for event_id in one.event.prev_events if event_id not in met)
        wanted = list(parents)[:_MAX_LOOKED_AT]
        met.update(wanted)
        read = events.by_ids(tx, wanted)
        ahead = [
            one
            for one in _in_graph((read[event_id] for event_id in wanted if event_id in read), room)
            if one.event.depth >= min_depth
        ]
        found.extend(one for one in ahead if one.outcome in GIVEN)
    known = {one.event.event_id: one for one in found[:limit]}
    return [known[event.event_id] for event in parents_first(one.event for one in known.values())]


def _in_graph(stored: Iterable[StoredEvent], room: int) -> list[StoredEvent]:
    """Those of the events that are of the room and have a place in its graph."""
    return [one for one in stored if one.room == room and one.is_placed]


def _place(stored: StoredEvent) -> tuple[int, int, str]:
    depth, position = stored.order
    return -depth, -position, stored.event.event_id
