"""Reading a room's past: pages of it, one event, what surrounds an event, the event at a time.

https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from weft.graph.outcome import Outcome
from weft.http.call import Requester
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.places import FIRST, LAST, Place, after, parse_place
from weft.modules.events.sight import Seen
from weft.modules.history.pages import Ask, Page, Pages
from weft.modules.history.states import States
from weft.modules.history.store import Order
from weft.modules.history.times import nearest
from weft.modules.membership.viewing import View, Viewing
from weft.protocol.api.client.history import GetRoomEventsRequest
from weft.protocol.errors import Forbidden, NotFound
from weft.protocol.filters import EVERY_EVENT, EventFilter, decode_event_filter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent

MAX_LIMIT = 1_000

IgnoredUsers = Callable[[str], Awaitable[Collection[str]]]


@dataclass(frozen=True, slots=True)
class Context:
    """An event and its neighbours: `before` newest first, `after` oldest first. `start` and `end` enclose them."""

    seen: Seen
    before: list[Seen]
    after: list[Seen]
    start: Place
    end: Place

    @property
    def last(self) -> StoredEvent:
        return (self.after[-1] if self.after else self.seen).stored

    @property
    def all(self) -> list[Seen]:
        return [*self.before, self.seen, *self.after]


class History:
    """Answers what somebody may see of rooms' pasts."""

    def __init__(
        self, engine: Engine, *, viewing: Viewing, sight: Sight, forms: EventForms, ignored_users: IgnoredUsers
    ) -> None:
        self._engine = engine
        self._viewing = viewing
        self._sight = sight
        self._forms = forms
        self._ignored_users = ignored_users
        self.pages = Pages(engine, sight)
        self.states = States(engine, forms)

    async def viewer(self, requester: Requester) -> Viewer:
        """For whom events are formed."""
        ignored = await self._ignored_users(requester.user_id)
        return Viewer(requester.user_id, requester.device_id, frozenset(ignored))

    # -- pages

    async def messages(self, requester: Requester, args: GetRoomEventsRequest) -> bytes:
        """A page of a room's history, as JSON. Raises `Forbidden` for a room that is closed to the user."""
        view = await self._viewing.view(args.room_id, requester.user_id)
        chosen = decode_event_filter(args.filter) if args.filter else EVERY_EVENT
        start, until = self._start(args), parse_place(args.to) if args.to else None
        viewer = await self.viewer(requester)
        limit = min(args.limit, chosen.limit(MAX_LIMIT, MAX_LIMIT))
        if args.dir == "b":
            view = await self._with_past(view, start, limit, requester.user_id)
        ask = await self.ask(view, viewer, limit, chosen)
        page = await (self.pages.backwards if args.dir == "b" else self.pages.forwards)(view.room, start, ask, until)
        formed = await self.formed(view.room, page.seen, viewer)
        if args.dir == "b":
            page = await self._further(view.room, page, start)
        parts = [b'{"chunk":[%s],"start":"%s"' % (b",".join(formed), start.spell().encode())]
        if page.end is not None:
            parts.append(b',"end":"%s"' % page.end.spell().encode())
        if chosen.lazy_load_members and page.seen:
            parts.append(b',"state":[%s]' % b",".join(await self._senders(view.room, page, viewer)))
        return b"".join(parts) + b"}"

    async def _with_past(self, view: View, start: Place, limit: int, user_id: str) -> View:
        """The same view, once the part of the past that is asked for has been fetched from the room's other servers."""
        if not self._engine.is_shared(view.room):
            return view
        await self._engine.remote.backfill.ensure(view.room, start.order[0], limit)
        return await self._viewing.view(view.room.id, user_id)

    async def _further(self, room: Room, page: Page, start: Place) -> Page:
        """A page that ends where others know more is not the last one: they may answer the next time."""
        if page.end is not None or not page.seen or not self._engine.is_shared(room):
            return page
        order = page.seen[-1].stored.order
        has_gap = await self._engine.remote.backfill.has_gap(room, order[0])
        return Page(page.seen, Place(order, start.cut)) if has_gap else page

    def _start(self, args: GetRoomEventsRequest) -> Place:
        if args.from_ is not None:
            return parse_place(args.from_)
        return Place(LAST if args.dir == "b" else FIRST, self._engine.log.head)

    async def _senders(self, room: Room, page: Page, viewer: Viewer) -> list[bytes]:
        """The member events of those who sent a page's events, as they were at the first of them."""
        snapshot = page.seen[0].stored.snapshot
        if snapshot is None:
            return []
        senders = {one.stored.event.sender for one in page.seen}
        return self.states.bytes_of((await self.states.members_at(room, snapshot, senders)).values(), viewer)

    async def formed(self, room: Room, seen: list[Seen], viewer: Viewer) -> list[bytes]:
        """Events with all that is bundled with them, as JSON."""
        return await self._forms.seen(room, seen, viewer, self._sight)

    async def ask(self, view: View, viewer: Viewer, limit: int, chosen: EventFilter = EVERY_EVENT) -> Ask:
        """What the viewer may be given of a room's history."""
        return Ask(
            user_id=viewer.user_id,
            limit=limit,
            filter=chosen,
            ignored=viewer.ignored,
            end=await self.end_of(view),
        )

    async def end_of(self, view: View) -> Order:
        """Where somebody's sight of a room ends: just after they left it, unless everybody may look in."""
        if view.left is None or await self._viewing.is_world_readable(view.room):
            return LAST
        return after(view.left.order).order

    # -- single events

    async def event(self, room_id: str, event_id: str, user_id: str) -> tuple[View, Seen]:
        """One event of a room. Raises `NotFound` where it is not there or not for the user to see."""
        try:
            view = await self._viewing.view(room_id, user_id)
        except Forbidden:
            raise NotFound("There is no such event, or you may not see it.") from None
        return view, await self.seen(view, event_id, user_id)

    async def seen(self, view: View, event_id: str, user_id: str) -> Seen:
        """As `event`, in a room that the user may look into."""
        stored = await self._engine.rooms.event(event_id)
        if (
            stored is not None
            and stored.room == view.room.number
            and stored.outcome is Outcome.ACCEPTED
            # Memory has events that are on their way to the disk; somebody may know their ids from another server.
            and stored.position
            and stored.position in self._engine.log.head
        ):
            seen = await self._sight.of(view.room, user_id, [stored])
            if seen:
                return seen[0]
        raise NotFound("There is no such event, or you may not see it.")

    async def view(self, room_id: str, user_id: str) -> View:
        """A room that the user may look into. Raises `Forbidden`."""
        return await self._viewing.view(room_id, user_id)

    async def context(
        self, view: View, seen: Seen, viewer: Viewer, before: int, after_: int, chosen: EventFilter = EVERY_EVENT
    ) -> Context:
        """An event with up to so many neighbours on either side."""
        here = Place(seen.stored.order, self._engine.log.head)
        beyond = after(seen.stored.order, here.cut)
        earlier = await self.pages.backwards(view.room, here, await self.ask(view, viewer, before, chosen))
        later = await self.pages.forwards(view.room, beyond, await self.ask(view, viewer, after_, chosen))
        start = Place(earlier.seen[-1].stored.order, here.cut) if earlier.seen else here
        end = later.end or (after(later.seen[-1].stored.order, here.cut) if later.seen else beyond)
        return Context(seen, earlier.seen, later.seen, start, end)

    async def at_time(self, room_id: str, user_id: str, time_ms: int, direction: Literal["f", "b"]) -> StoredEvent:
        """The visible event nearest to a time, not before it (`f`) or not after it (`b`). Raises `NotFound`."""
        view = await self._viewing.view(room_id, user_id)

        async def choose(stored: Sequence[StoredEvent]) -> list[StoredEvent]:
            return [one.stored for one in await self._sight.of(view.room, user_id, stored)]

        found = await nearest(self._engine, view.room, time_ms, direction, choose)
        if self._engine.is_shared(view.room) and await self._engine.remote.backfill.has_gap(view.room, LAST[0]):
            found = _nearer(found, await self._at_time_elsewhere(view, user_id, time_ms, direction), time_ms)
        if found is None:
            raise NotFound("There is no event near that time that you may see.")
        return found

    async def _at_time_elsewhere(
        self, view: View, user_id: str, time_ms: int, direction: Literal["f", "b"]
    ) -> StoredEvent | None:
        """What another server says of a time at which something is missing here."""
        event_id = await self._engine.remote.backfill.nearest(view.room, time_ms, direction)
        if event_id is None:
            return None
        try:
            _, seen = await self.event(view.room.id, event_id, user_id)
        except NotFound:
            return None
        ts = seen.stored.event.origin_server_ts
        return seen.stored if (ts >= time_ms if direction == "f" else ts <= time_ms) else None


def _nearer(one: StoredEvent | None, other: StoredEvent | None, time_ms: int) -> StoredEvent | None:
    found = [stored for stored in (one, other) if stored is not None]
    return min(found, key=lambda stored: abs(stored.event.origin_server_ts - time_ms), default=None)
