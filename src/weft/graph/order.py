"""The order in which events of a graph can be taken in: what is built on comes first.

https://spec.matrix.org/v1.19/server-server-api/#definitions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weft.protocol.event import Event


def parents_first(
    events: Iterable[Event], parents: Callable[[Event], Iterable[str]] = lambda event: event.prev_events
) -> list[Event]:
    """The events, each after those of its `parents` that are among them; otherwise by depth, time and id.

    `parents` says what counts as built on (`prev_events` if it is not given). Events that name each other in a circle,
    which nobody can make whose ids are hashes, come in any order.
    """
    known = {event.event_id: event for event in events}
    ordered: list[Event] = []
    entered: set[str] = set()
    for first in sorted(known.values(), key=_natural):
        # Depth first, without recursion: (event, whether its parents are done).
        agenda = [(first, False)]
        while agenda:
            event, is_ready = agenda.pop()
            if is_ready:
                ordered.append(event)
                continue
            if event.event_id in entered:
                continue
            entered.add(event.event_id)
            agenda.append((event, True))
            waiting = [known[one] for one in parents(event) if one in known and one not in entered]
            agenda.extend((one, False) for one in sorted(waiting, key=_natural, reverse=True))
    return ordered


def _natural(event: Event) -> tuple[int, int, str]:
    return event.depth, event.origin_server_ts, event.event_id
