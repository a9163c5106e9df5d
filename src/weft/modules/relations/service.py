"""What relates to an event, and the threads of a room, as far as somebody may see them.

https://spec.matrix.org/v1.19/client-server-api/#relationships-api
https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from weft.graph.outcome import Outcome
from weft.http.call import Requester
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.aggregations import relation_of
from weft.modules.events.places import FIRST, LAST, Place, after, parse_place
from weft.modules.events.sight import Seen
from weft.modules.history.service import History
from weft.modules.relations import store
from weft.modules.relations.store import Children, Row
from weft.protocol.api.client.history import GetRelatingEventsRequest, GetThreadRootsRequest
from weft.protocol.errors import Forbidden, InvalidParam
from weft.protocol.event import Event
from weft.protocol.redaction import redact
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent

DEFAULT_LIMIT = 20
MAX_LIMIT = 500
#: How many relations may lie between an event and one that is found by recursing.
LEVELS = 3
_MAX_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page as JSON events; `end` is where the next one begins, if there is more."""

    events: list[bytes]
    end: Place | None


class Relations:
    def __init__(self, engine: Engine, history: History, *, sight: Sight, forms: EventForms) -> None:
        self._engine = engine
        self._history = history
        self._sight = sight
        self._forms = forms

    async def of_event(
        self, requester: Requester, args: GetRelatingEventsRequest, rel_type: str | None, event_type: str | None
    ) -> Found:
        """A page of what relates to an event. Raises `NotFound` for an event that the user may not see."""
        view, _ = await self._history.event(args.room_id, args.event_id, requester.user_id)
        viewer = await self._history.viewer(requester)
        backwards = args.dir == "b"
        head = self._engine.log.head
        wanted = Children(
            room=view.room.number,
            target=args.event_id,
            start=parse_place(args.from_) if args.from_ is not None else Place(LAST if backwards else FIRST, head),
            until=parse_place(args.to) if args.to is not None else None,
            backwards=backwards,
            rel_type=rel_type,
            event_type=event_type,
            levels=LEVELS if args.recurse else 1,
        )

        async def read(place: Place, size: int) -> list[Row]:
            return await self._engine.database.read(store.children, replace(wanted, start=place), size)

        async def see(rows: Sequence[Row]) -> list[tuple[Row, Seen]]:
            by_id = {row.event_id: row for row in rows}
            seen = await self._sight.of(view.room, viewer.user_id, await self._events(rows), viewer.ignored)
            return [(by_id[one.stored.event.event_id], one) for one in seen]

        def following(row: Row) -> Place:
            return Place(row.order, wanted.start.cut or head) if backwards else after(row.order, head)

        found, end = await _gathered(_limit(args.limit), wanted.start, read, see, following)
        return Found(await self._forms.seen(view.room, found, viewer, self._sight), end)

    async def threads(self, requester: Requester, args: GetThreadRootsRequest) -> Found:
        """A page of a room's thread roots. Raises `Forbidden` for a room that is closed to the user."""
        if args.limit == 0:
            raise InvalidParam("The limit must be greater than zero.")
        view = await self._history.view(args.room_id, requester.user_id)
        if view.room.membership(requester.user_id) == "ban":
            raise Forbidden("You are banned from that room.")
        viewer = await self._history.viewer(requester)

        async def read(place: Place, size: int) -> list[Row]:
            return await self._engine.database.read(
                store.threads,
                view.room.number,
                place.order,
                size,
                participant=viewer.user_id if args.include == "participated" else None,
                ignored=viewer.ignored,
            )

        async def see(rows: Sequence[Row]) -> list[tuple[Row, Seen]]:
            return await self._roots(view.room, rows, viewer)

        start = Place(LAST) if args.from_ is None else parse_place(args.from_)
        found, end = await _gathered(_limit(args.limit), start, read, see, lambda row: Place(row.order))
        return Found(await self._forms.seen(view.room, found, viewer, self._sight), end)

    async def _roots(self, room: Room, rows: Sequence[Row], viewer: Viewer) -> list[tuple[Row, Seen]]:
        """The roots that the viewer may see; what an ignored user sent has nothing but its place left."""
        stored = [one for one in await self._events(rows) if relation_of(one.event.content)[0] is None]
        seen = {one.stored.event.event_id: one for one in await self._sight.of(room, viewer.user_id, stored)}
        for event_id, one in seen.items():
            if one.stored.event.sender in viewer.ignored:
                seen[event_id] = _silenced(one)
        return [(row, seen[row.event_id]) for row in rows if row.event_id in seen]

    async def _events(self, rows: Sequence[Row]) -> list[StoredEvent]:
        found = await self._engine.rooms.events([row.event_id for row in rows])
        stored = [found[row.event_id] for row in rows if row.event_id in found]
        return [one for one in stored if one.outcome is Outcome.ACCEPTED]


async def _gathered(
    limit: int,
    start: Place,
    read: Callable[[Place, int], Awaitable[list[Row]]],
    see: Callable[[Sequence[Row]], Awaitable[list[tuple[Row, Seen]]]],
    following: Callable[[Row], Place],
) -> tuple[list[Seen], Place | None]:
    """Up to `limit` events of those that `read` finds and `see` lets through; and where to go on, if there is more."""
    found: list[Seen] = []
    place: Place | None = start
    looked_at, size = 0, limit + 1
    while place is not None and len(found) < limit and looked_at < _MAX_LOOKED_AT:
        rows = await read(place, size)
        seen = await see(rows)
        wanted = limit - len(found)
        found += [one for _, one in seen[:wanted]]
        if len(seen) > wanted:
            return found, following(seen[wanted - 1][0])
        place = following(rows[-1]) if len(rows) == size else None
        looked_at += len(rows)
        size = max(size, 200)
    return found, place


def _limit(asked: int | None) -> int:
    return DEFAULT_LIMIT if asked is None else max(1, min(asked, MAX_LIMIT))


def _silenced(seen: Seen) -> Seen:
    """The event as if it were redacted."""
    stored = seen.stored
    event = stored.event
    bare = StoredEvent(
        Event.stored(redact(event.pdu, event.version), event.version, event.event_id),
        room=stored.room,
        snapshot=stored.snapshot,
        position=stored.position,
    )
    return seen._replace(stored=bare)
