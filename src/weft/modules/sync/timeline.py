"""Which events of a room a client is told: the newest ones that it does not have and may see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from weft.modules.events import Sight
from weft.modules.events.places import LAST, Place
from weft.modules.events.sight import Seen
from weft.protocol.filters import EventFilter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events, gaps
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

DEFAULT_LIMIT = 10
MAX_LIMIT = 500
#: How many events are looked at for one answer, of which a filter may let few through.
_MAX_LOOKED_AT = 1_000


@dataclass(slots=True)
class Timeline:
    """`events` oldest first; `limited` if there are more between what the client has and the first of them."""

    events: list[Seen]
    limited: bool
    #: From where `/messages` goes on.
    prev_batch: Place


class Timelines:
    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine = engine
        self._sight = sight

    async def of(
        self,
        room: Room,
        user_id: str,
        *,
        new: Sequence[StoredEvent] | None,
        since: Vector | None,
        upto: Vector,
        event_filter: EventFilter,
        ignored: Collection[str],
        until: tuple[int, int] = LAST,
    ) -> Timeline:
        """The newest events beyond `since` and within `upto`; `new` are all of those, where they are at hand.

        `until` is the place at which the user's sight of the room ends.
        """
        limit = event_filter.limit(DEFAULT_LIMIT, MAX_LIMIT)
        if new is None:
            candidates, complete = await self._newest(room, since, upto, limit, event_filter, until)
        else:
            candidates, complete = sorted(new, key=lambda stored: stored.order), True
            candidates = [stored for stored in candidates if stored.order <= until]
        if not event_filter.passes_everything:
            candidates = [stored for stored in candidates if wants(event_filter, stored, room.id)]
        seen = await self._sight.of(room, user_id, candidates, ignored)
        limited = len(seen) > limit or not complete
        if len(seen) > limit:
            seen = seen[-limit:]
        gap = await self._gap_among(room, seen)
        if gap is not None:
            # What lies there is on other servers only; `/messages` fetches it.
            seen, limited = [one for one in seen if one.stored.event.depth >= gap], True
        order = seen[0].stored.order if seen else (until if new is None else LAST)
        return Timeline(seen, limited, Place(order, upto))

    async def _gap_among(self, room: Room, seen: Sequence[Seen]) -> int | None:
        """The depth of the newest of some events before which something is missing here; None where nothing is."""
        if not seen or not self._engine.is_shared(room):
            return None
        newest = seen[-1].stored.event.depth
        gaps_below = await self._engine.database.get(gaps.below, room.number, newest, 1)
        return gaps_below[0].depth if gaps_below and gaps_below[0].depth >= seen[0].stored.event.depth else None

    async def _newest(
        self,
        room: Room,
        since: Vector | None,
        upto: Vector,
        limit: int,
        event_filter: EventFilter,
        until: tuple[int, int],
    ) -> tuple[list[StoredEvent], bool]:
        """The newest events, oldest first, a few more than asked for; and whether there are no others."""
        enough = limit + 1 if event_filter.passes_everything else _MAX_LOOKED_AT
        memory, reaches_back = _from_memory(room, since, upto, enough, until)
        if len(memory) < enough and not reaches_back:
            await self._engine.rooms.deepen(room)
            memory, reaches_back = _from_memory(room, since, upto, enough, until)
        if len(memory) == enough:
            return memory[::-1], False
        if reaches_back:
            return memory[::-1], True
        found = await self._engine.database.read(
            events.arrivals, room.number, since or Vector(), upto, enough, below=until
        )
        return found[::-1], len(found) < enough


def _from_memory(
    room: Room, since: Vector | None, upto: Vector, enough: int, until: tuple[int, int]
) -> tuple[list[StoredEvent], bool]:
    """The newest events that are in memory, newest first, up to `enough`; and whether there are no older ones."""
    memory: list[StoredEvent] = []
    for stored in reversed(room.timeline):
        if since is not None and stored.position in since:
            return memory, True
        if stored.position in upto and stored.order <= until:
            memory.append(stored)
            if len(memory) == enough:
                return memory, False
    return memory, room.timeline_whole


def wants(event_filter: EventFilter, stored: StoredEvent, room_id: str) -> bool:
    """Whether a filter lets an event through."""
    event = stored.event
    return event_filter.wants_room(room_id) and event_filter.wants(
        event.type, event.sender, has_url="url" in event.content
    )
