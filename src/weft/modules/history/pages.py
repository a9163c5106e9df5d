"""Pages of a room's history, from one place towards the past or the present.

A place divides a room's events in two: before it is what lies in its cut, below its order; after it is everything else.
Backwards, a page goes through what is before its start in graph order. Forwards, it first goes through the rest of
the cut in graph order, and then through what came after the cut in the order in which it arrived. So pages join
without gap or overlap, and they join `/sync`, whose `prev_batch` and `next_batch` are such places too.

What is newest comes from the room in memory; of anything else only the ids are read, and events that nobody holds.

https://spec.matrix.org/v1.19/client-server-api/#pagination
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from weft.modules.events import Sight
from weft.modules.events.places import LAST, Place, after
from weft.modules.events.sight import Seen
from weft.modules.history import store
from weft.modules.history.hidden import Hidden
from weft.modules.history.store import Order, Row
from weft.protocol.filters import EVERY_EVENT, EventFilter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

#: How many events are looked at for one page, of which few may be left; then the client has to ask on.
MAX_LOOKED_AT = 2_000
_BATCH = 500
#: So many ids are read where we are; more, or any that have to be searched for, in a thread.
_FEW = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody wants of a room's history."""

    user_id: str
    limit: int
    filter: EventFilter = EVERY_EVENT
    ignored: Collection[str] = ()
    #: Nothing from this place on, which is just after some event: there the user's sight of the room ends.
    end: Order = LAST


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of reading. `end` is where the next page begins; None where there is nothing further."""

    seen: list[Seen]
    end: Place | None


class _Bounds(NamedTuple):
    """How far a page may go forwards: to what is in `cut` and below `order`."""

    order: Order
    cut: Vector


class Pages:
    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine = engine
        self._sight = sight
        self._hidden = Hidden(engine, sight)

    async def backwards(self, room: Room, start: Place, ask: Ask, until: Place | None = None) -> Page:
        """What is before `start` and not before `until`, newest first."""
        cut = start.cut or self._engine.log.head
        order = min(start.order, ask.end)
        floor = await self._floor(room, until, cut)
        found: list[Seen] = []
        looked_at = 0
        while len(found) < ask.limit and looked_at < MAX_LOOKED_AT:
            wanted = ask.limit - len(found)
            batch, more = await self._before(room, order, cut, _batch_size(ask, wanted, looked_at))
            inside = batch
            if until is not None:
                inside = [stored for stored in batch if not is_before(stored, until)]
                more = more and batch[-1].order > floor
            seen = await self._chosen(room, ask, inside)
            found += seen[:wanted]
            if not more and len(seen) <= wanted:
                return Page(found, None)
            order = batch[-1].order if len(seen) < wanted else found[-1].stored.order
            if not seen:
                order = await self._hidden.skipped_backwards(room, ask.user_id, order)
            looked_at += len(batch)
        return Page(found, Place(order, cut))

    async def forwards(self, room: Room, start: Place, ask: Ask, until: Place | None = None) -> Page:
        """What is not before `start` and before `until`, oldest first."""
        head = self._engine.log.head
        cut = start.cut or head
        to = _Bounds(LAST, head) if until is None else _Bounds(until.order, _common(until.cut or head, head))
        if ask.end != LAST and start.order >= ask.end:
            return Page([], None)
        page = Page([], Place(LAST, cut))
        if start.order < to.order:
            page = await self._rest_of_cut(room, Place(start.order, cut), ask, to)
        if page.end is None or page.end.order != LAST:
            return page
        return await self._beyond_cut(room, cut, ask, to, page.seen)

    async def _rest_of_cut(self, room: Room, start: Place, ask: Ask, to: _Bounds) -> Page:
        """The events of the cut from `start` on. `end` is the end of the cut where all of it was looked at."""
        cut = start.cut or Vector()
        order = start.order
        found: list[Seen] = []
        looked_at = 0
        while len(found) < ask.limit and looked_at < MAX_LOOKED_AT:
            wanted = ask.limit - len(found)
            batch, more = await self._following(room, order, cut, _batch_size(ask, wanted, looked_at))
            ceiling = min(to.order, ask.end)
            inside = [stored for stored in batch if stored.order < ceiling and stored.position in to.cut]
            more = more and batch[-1].order < ceiling
            seen = await self._chosen(room, ask, inside)
            found += seen[:wanted]
            if not more and len(seen) <= wanted:
                return Page(found, Place(LAST, cut))
            order = after(batch[-1].order if len(seen) < wanted else found[-1].stored.order).order
            if not seen:
                order = await self._hidden.skipped_forwards(room, ask.user_id, order)
            looked_at += len(batch)
        return Page(found, Place(order, cut))

    async def _beyond_cut(self, room: Room, cut: Vector, ask: Ask, to: _Bounds, found: list[Seen]) -> Page:
        """What came after the cut, in the order of arrival; `found` is what the page has already."""
        looked_at = 0
        has_ended = ask.end != LAST and ask.end[1] - 1 in cut
        while not (has_ended or cut.covers(to.cut)):
            wanted = ask.limit - len(found)
            if wanted <= 0 or looked_at >= MAX_LOOKED_AT:
                return Page(found, Place(LAST, cut))
            size = _batch_size(ask, wanted, looked_at)
            rows = await self._engine.database.read(store.arrived, [room.number], cut, to.cut, size)
            inside = [stored for stored in await self._events(rows) if stored.order < min(to.order, ask.end)]
            seen = await self._chosen(room, ask, inside)
            found = found + seen[:wanted]
            if len(seen) > wanted:
                last = found[-1].stored.position
                told = next(index for index, row in enumerate(rows) if row.position == last)
                return Page(found, Place(LAST, cut.advanced(row.position for row in rows[: told + 1])))
            cut = cut.advanced(row.position for row in rows) if len(rows) == size else cut.joined(to.cut)
            looked_at += len(rows)
        return Page(found, None)

    # -- where events come from

    async def _before(self, room: Room, order: Order, cut: Vector, size: int) -> tuple[list[StoredEvent], bool]:
        """Events of the cut below a place, newest first; and whether there may be more."""
        memory, is_all = self._from_memory(room, order, cut, size)
        if len(memory) < size and not is_all and (not room.timeline or room.timeline[0].order < order):
            await self._engine.rooms.deepen(room)
            memory, is_all = self._from_memory(room, order, cut, size)
        if memory and (len(memory) == size or is_all):
            return memory, not _is_first(memory[-1])
        return await self._stored(store.before, room, order, cut, size)

    def _from_memory(self, room: Room, order: Order, cut: Vector, size: int) -> tuple[list[StoredEvent], bool]:
        """As `_before`, of what is in memory; and whether that goes back to the room's first event."""
        covers_all = cut.covers(self._engine.log.head)
        newest = reversed(room.timeline)
        if order == LAST and covers_all:
            memory = list(islice(newest, size))
        else:
            memory = [s for s in newest if s.order < order and (covers_all or s.position in cut)][:size]
        return memory, room.timeline_whole

    async def _following(self, room: Room, order: Order, cut: Vector, size: int) -> tuple[list[StoredEvent], bool]:
        """Events of the cut from a place on, oldest first; and whether there may be more."""
        timeline = room.timeline
        if timeline and (room.timeline_whole or timeline[0].order <= order):
            memory = [stored for stored in timeline if stored.order >= order and stored.position in cut]
            return memory[:size], len(memory) > size
        return await self._stored(store.following, room, order, cut, size)

    async def _stored(
        self,
        page: Callable[[Transaction, int, Order, int, Vector | None], list[Row]],
        room: Room,
        order: Order,
        cut: Vector,
        size: int,
    ) -> tuple[list[StoredEvent], bool]:
        covers_all = cut.covers(self._engine.log.head)
        if covers_all and size <= _FEW:
            rows = await self._engine.database.get(page, room.number, order, size, None)
        else:
            rows = await self._engine.database.read(page, room.number, order, size, None if covers_all else cut)
        # What was committed a moment ago is there before it is in the log.
        stored = await self._events([row for row in rows if row.position in cut])
        if len(rows) == size and not stored:
            return await self._stored(page, room, _beyond(rows, page is store.before), cut, size)
        return stored, len(rows) == size and not (page is store.before and _is_first(stored[-1]))

    async def _events(self, rows: Sequence[Row]) -> list[StoredEvent]:
        found = await self._engine.rooms.events([row.event_id for row in rows])
        return [found[row.event_id] for row in rows if row.event_id in found]

    # -- which of them are wanted

    async def _chosen(self, room: Room, ask: Ask, stored: Sequence[StoredEvent]) -> list[Seen]:
        chosen = ask.filter
        if not chosen.passes_everything:
            stored = [one for one in stored if wants(chosen, one)]
        if chosen.asks_for_relations and stored:
            related = await self._engine.database.get(
                store.related,
                room.number,
                [one.event.event_id for one in stored],
                chosen.related_by_rel_types,
                chosen.related_by_senders,
            )
            stored = [one for one in stored if one.event.event_id in related]
        return await self._sight.of(room, ask.user_id, stored, ask.ignored)

    async def _floor(self, room: Room, until: Place | None, cut: Vector) -> Order:
        """The lowest place in graph order at which there is something that is not before `until`."""
        if until is None:
            return (-1, 0)
        if until.cut is None or until.cut.covers(cut):
            return until.order
        lowest = await self._engine.database.read(store.lowest_beyond, room.number, until.cut, cut)
        return until.order if lowest is None else min(lowest, until.order)


def is_before(stored: StoredEvent, place: Place) -> bool:
    """Whether an event is before a place."""
    return stored.order < place.order and (place.cut is None or stored.position in place.cut)


def wants(event_filter: EventFilter, stored: StoredEvent) -> bool:
    """Whether a filter lets an event through; what relates to it is not asked here."""
    event = stored.event
    return event_filter.wants_room(event.room_id) and event_filter.wants(
        event.type, event.sender, has_url="url" in event.content
    )


def _batch_size(ask: Ask, wanted: int, looked_at: int) -> int:
    """Just what is wanted; where few of the events turn out to be wanted, more is looked at in one go."""
    if looked_at == 0 and ask.filter.passes_everything:
        return wanted
    return max(wanted, min(_BATCH, 100 + 2 * looked_at))


def _is_first(stored: StoredEvent) -> bool:
    return stored.event.type == "m.room.create" and not stored.event.prev_events


def _beyond(rows: Sequence[Row], backwards: bool) -> Order:
    return rows[-1].order if backwards else after(rows[-1].order).order


def _common(one: Vector, other: Vector) -> Vector:
    """What is in both vectors."""
    return Vector({writer: min(number, other.number(writer)) for writer, number in one if other.number(writer)})
