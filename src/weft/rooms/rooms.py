"""Every room that is in use, and the events that are: in memory, bounded, kept up to date by the log.

A room whose graph has forked is read anew, and its state resolved; what comes out is written down as a snapshot with an
entry of its own in the log (`resolution`), so that everybody who follows the room hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from weft.graph.snapshot import Snapshot
from weft.protocol.errors import NotFound
from weft.protocol.event import Event, StateKey
from weft.protocol.identifiers import domain_of
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.rooms import loading
from weft.rooms.room import TIMELINE, Room
from weft.storage import events, snapshots
from weft.storage import rooms as room_store
from weft.storage.cache import Budget, Cache
from weft.storage.database import Database
from weft.storage.events import StoredEvent
from weft.storage.log import Log
from weft.storage.positions import Entry
from weft.storage.purging import HISTORY_PURGED, ROOM_DELETED

_EVENT_OVERHEAD = 2_000
_MEMBER_BYTES = 400

#: What is in use at this moment is kept, however small the budget.
_ROOMS_AT_LEAST = 8
_EVENTS_AT_LEAST = 64

#: How many of a room's newest events are read with it.
_NEWEST = 12

#: How many commits a room's size in memory is trusted for.
_MEASURED_EVERY = 256


class Rooms:
    """The rooms of this process. `get` is the way to a room; what it returns is current until the next `await`."""

    def __init__(
        self,
        database: Database,
        log: Log,
        budget: Budget,
        *,
        is_local: Callable[[str], bool],
        new_snapshot_id: Callable[[], int],
    ) -> None:
        self._database = database
        self._log = log
        self.is_local = is_local
        self.new_snapshot_id = new_snapshot_id
        self._rooms: Cache[str, Room] = budget.cache(
            "rooms", 0.35, _room_bytes, at_least=_ROOMS_AT_LEAST, on_evict=_make_stale
        )
        self._events: Cache[str, StoredEvent] = budget.cache(
            "events", 0.35, _event_bytes, at_least=_EVENTS_AT_LEAST, on_evict=self._evicted
        )
        #: By a replaced state event's id, the ids of the events in memory that quote it.
        self._quoting: dict[str, set[str]] = {}
        self._ids: dict[int, str] = {}
        self._loading: dict[str, asyncio.Future[Room]] = {}
        #: For each reading of rooms that is under way: the entries that came meanwhile.
        self._arriving: list[list[Entry]] = []
        #: Counts what may have changed the past while somebody was reading it.
        self._rewritten = 0
        self._commits: dict[str, set[asyncio.Future[Any]]] = {}
        log.on_entries(self._apply)

    # -- rooms

    async def get(self, room_id: str) -> Room:
        """The room, with its state resolved. Raises `NotFound` for one that this server has never seen."""
        room = self._rooms.get(room_id)
        while room is None or room.stale:
            loading = self._loading.get(room_id)
            if loading is None or loading.done():
                # What has just been read may be stale before anybody heard of it.
                loading = self._loading_alone(room_id)
            room = await asyncio.shield(loading)
        return room

    async def have(self, room_ids: Iterable[str], *, newest: int = _NEWEST) -> None:
        """Has rooms in memory, read all at once, for who is about to go through many.

        `newest` is how many of each room's newest events are wanted; `deepen` reads more. A room that is not here is
        passed over.
        """
        wanted = [
            room_id
            for room_id in room_ids
            if self.cached(room_id) is None and room_id not in self._loading and room_id not in self._commits
        ]
        if len(wanted) < 2:
            return
        loop = asyncio.get_running_loop()
        places: dict[str, asyncio.Future[Room]] = {room_id: loop.create_future() for room_id in wanted}
        self._loading.update(places)
        # A task of its own: others wait for these rooms too, and who asked first may go away.
        await asyncio.shield(asyncio.create_task(self._load_many(places, min(newest, TIMELINE))))

    async def find(self, room_id: str) -> Room | None:
        """As `get`, with None for a room that this server has never seen."""
        try:
            return await self.get(room_id)
        except NotFound:
            return None

    def _loading_alone(self, room_id: str) -> asyncio.Task[Room]:
        task = self._loading[room_id] = asyncio.create_task(self._load(room_id))

        def done(task: asyncio.Task[Room]) -> None:
            if self._loading.get(room_id) is task:
                del self._loading[room_id]

        task.add_done_callback(done)
        return task

    def cached(self, room_id: str) -> Room | None:
        """The room if it is in memory and current."""
        room = self._rooms.get(room_id)
        return room if room is not None and not room.stale else None

    async def room_id(self, number: int) -> str:
        """The id of the room with this number in the tables."""
        known = self._ids.get(number)
        if known is None:
            row = await self._database.get(room_store.by_number, number)
            if row is None:
                raise NotFound("The room is gone.")
            known = self._ids[number] = row.room_id
        return known

    def room_id_now(self, number: int) -> str | None:
        """As `room_id`, for rooms whose number has been met in this process."""
        return self._ids.get(number)

    def add(self, room: Room) -> None:
        """Takes in a room that was just made here."""
        self._rooms.put(room.id, room)

    def named(self, number: int, room_id: str) -> None:
        """Remembers which room a number stands for."""
        self._ids[number] = room_id

    def drop(self, room_id: str) -> None:
        """Has the room read anew the next time."""
        room = self._rooms.peek(room_id)
        if room is not None:
            room.stale = True
            self._rooms.drop(room_id)

    def committing(self, room_id: str, future: asyncio.Future[Any]) -> None:
        """Notes a commit under way: the room is not read anew before it has ended."""
        waiting = self._commits.setdefault(room_id, set())
        waiting.add(future)

        def done(_: object) -> None:
            waiting.discard(future)
            if not waiting and self._commits.get(room_id) is waiting:
                del self._commits[room_id]

        future.add_done_callback(done)

    async def settled(self, room_id: str) -> None:
        """Returns when no commit of the room is under way: what its events refer to is on disk, or will not be."""
        while commits := self._commits.get(room_id):
            await asyncio.wait(commits)

    async def written(self, room_id: str) -> None:
        """Returns when the commits that are under way now have ended: what is known of the room is on disk."""
        if commits := self._commits.get(room_id):
            await asyncio.wait(commits)

    async def _load(self, room_id: str) -> Room:
        while True:
            await self.settled(room_id)
            with self._arriving_meanwhile() as arriving:
                loaded = await self._database.read(loading.load, room_id, _NEWEST, self.new_snapshot_id)
            if loaded is None:
                raise NotFound("This server does not know that room.")
            if loaded.resolved:
                # It is read again, as what came out is written down.
                self._ids[loaded.row.room] = room_id
                await self._database.write(loading.write_resolution, loaded)
                continue
            room = self._take_in(loaded, arriving)
            if not room.stale:
                return room

    async def _load_many(self, places: dict[str, asyncio.Future[Room]], newest: int) -> None:
        """Reads rooms together; those with which there is more to do than that one by one."""
        found: dict[str, loading.Loaded] = {}
        try:
            with self._arriving_meanwhile() as arriving:
                found = await self._database.read(loading.load_many, list(places), newest)
            for room_id, loaded in found.items():
                room = self._take_in(loaded, arriving)
                if not room.stale:
                    places[room_id].set_result(room)
        finally:
            for room_id, place in places.items():
                if self._loading.get(room_id) is place:
                    del self._loading[room_id]
                if not place.done():
                    self._loading_alone(room_id).add_done_callback(partial(_pass_on, place))

    @contextmanager
    def _arriving_meanwhile(self) -> Iterator[list[Entry]]:
        """The entries that are applied within the block."""
        arriving: list[Entry] = []
        self._arriving.append(arriving)
        try:
            yield arriving
        finally:
            self._arriving = [one for one in self._arriving if one is not arriving]

    def _take_in(self, loaded: loading.Loaded, arriving: Sequence[Entry]) -> Room:
        """Makes a room of what was read, and has it follow the log."""
        row = loaded.row
        self._ids[row.room] = row.room_id
        room = Room(
            number=row.room,
            room_id=row.room_id,
            version=ROOM_VERSIONS[row.version],
            snapshot=loaded.snapshot,
            extremities=loaded.extremities,
            memberships=loaded.memberships,
            timeline=loaded.timeline,
            is_local=[u for u, m in loaded.memberships.items() if m == "join" and self.is_local(domain_of(u))],
            cut=loaded.cut,
        )
        for stored in loaded.timeline:
            if stored.event.state_key is not None:
                # Much of a small room's state, which is asked for by its id.
                self.put_event(stored)
        self._rooms.put(room.id, room)
        # What was committed while the room was read may be missing in it.
        missed = [entry for entry in arriving if entry.room == room.number]
        if missed:
            self._apply(missed)
        return room

    async def deepen(self, room: Room) -> None:
        """Has as many of the room's newest events in memory as are ever kept, for who asks for more than are there."""
        wanted = TIMELINE - len(room.timeline)
        if room.is_deep or not wanted or not room.timeline:
            return
        first, before = room.timeline[0], (self._rewritten, room.passed_over)
        older = await self._database.read(
            events.page, room.number, start=first.order, backwards=True, limit=wanted, cut=self._log.head
        )
        # Anybody may have been here meanwhile; then the next to ask goes on from there.
        if room.timeline[0] is first and (self._rewritten, room.passed_over) == before:
            room.deepen(older, is_all=len(older) < wanted)

    # -- events

    def cached_event(self, event_id: str) -> StoredEvent | None:
        return self._events.get(event_id)

    def put_event(self, stored: StoredEvent) -> None:
        if stored.replaces is not None:
            self._quoting.setdefault(stored.replaces, set()).add(stored.event.event_id)
        self._events.put(stored.event.event_id, stored)

    def _evicted(self, stored: StoredEvent) -> None:
        quoting = self._quoting.get(stored.replaces) if stored.replaces is not None else None
        if quoting is not None and stored.replaces is not None:
            quoting.discard(stored.event.event_id)
            if not quoting:
                del self._quoting[stored.replaces]

    def drop_event(self, event_id: str) -> None:
        self._events.drop(event_id)

    async def events(self, event_ids: Collection[str]) -> dict[str, StoredEvent]:
        """Events by id; those that this server does not have are left out."""
        found: dict[str, StoredEvent] = {}
        missing: list[str] = []
        for event_id in event_ids:
            stored = self._events.get(event_id)
            if stored is None:
                missing.append(event_id)
            else:
                found[event_id] = stored
        if missing:
            few = self._database.get if len(missing) <= 16 else self._database.read
            for event_id, stored in (await few(events.by_ids, missing)).items():
                self.put_event(stored)
                found[event_id] = stored
        return found

    async def event(self, event_id: str) -> StoredEvent | None:
        """An event by id, or None."""
        return self._events.get(event_id) or (await self.events([event_id])).get(event_id)

    async def state_event(self, room: Room, event_type: str, state_key: str = "") -> Event | None:
        """The current state event in a place of the room's state."""
        event_id = room.state_id(event_type, state_key)
        if event_id is None:
            return None
        stored = await self.event(event_id)
        return stored.event if stored is not None else None

    async def state_events(self, room: Room, keys: Iterable[StateKey]) -> dict[StateKey, Event]:
        """The current state events in some places."""
        ids = {key: event_id for key in keys if (event_id := room.current.state.get(key)) is not None}
        found = await self.events(ids.values())
        return {key: found[event_id].event for key, event_id in ids.items() if event_id in found}

    async def snapshot(self, room: Room, snapshot: int) -> Snapshot:
        """A historic state of the room."""
        known = room.snapshots.get(snapshot)
        if known is not None:
            return known
        return await self._database.read(snapshots.load, snapshot)

    async def state_before(self, room: Room, stored: StoredEvent) -> Mapping[StateKey, str]:
        """The ids of the state that an event of the room's graph was sent on top of."""
        if stored.snapshot is None:
            raise AssertionError("what is in the graph has a state")
        after = (await self.snapshot(room, stored.snapshot)).state
        if stored.event.state_key is None:
            return after
        before = {key: event_id for key, event_id in after.items() if key != stored.event.key}
        if stored.replaces is not None:
            before[stored.event.key] = stored.replaces
        return before

    # -- following the log

    def _apply(self, entries: Sequence[Entry]) -> None:
        for arriving in self._arriving:
            arriving.extend(entries)
        for entry in entries:
            if entry.room is None:
                continue
            stored = entry.payload
            if entry.kind == "event" and isinstance(stored, StoredEvent):
                self._committed(stored)
            elif entry.kind == "history" and isinstance(stored, StoredEvent):
                self._filled_in(stored)
            elif entry.kind == "redacted" and isinstance(stored, StoredEvent):
                self._redacted(stored)
            elif entry.kind == "unplaced" and entry.key is not None:
                self.drop_event(entry.key)
            elif entry.kind == "resolution":
                self._resolved(entry)
            elif entry.kind in (ROOM_DELETED, HISTORY_PURGED):
                self._removed(entry.room, entry.key or self._ids.get(entry.room))

    def _committed(self, stored: StoredEvent) -> None:
        event = stored.event
        self._ids[stored.room] = event.room_id
        room = self._rooms.peek(event.room_id)
        if room is None or room.stale or stored.position in room.cut:
            return
        self.put_event(stored)
        local = (
            event.type == "m.room.member" and event.state_key is not None and self.is_local(domain_of(event.state_key))
        )
        if not room.commit(stored, local):
            self.drop(event.room_id)
        elif not room.commits % _MEASURED_EVERY:
            self._rooms.put(room.id, room)

    def _filled_in(self, stored: StoredEvent) -> None:
        """An event of the past has its place now; it may have been known as an outlier."""
        event = stored.event
        self._ids[stored.room] = event.room_id
        self._rewritten += 1
        self.put_event(stored)
        room = self._rooms.peek(event.room_id)
        if room is not None and (room.is_deep or not room.timeline or room.timeline[0].order < stored.order):
            self.drop(room.id)

    def _resolved(self, entry: Entry) -> None:
        room_id = self._ids.get(entry.room) if entry.room is not None else None
        room = self._rooms.peek(room_id) if room_id is not None else None
        if room is not None and entry.position not in room.cut:
            self.drop(room.id)

    def _removed(self, number: int, room_id: str | None) -> None:
        """Some of a room's events are gone, or all."""
        self._rewritten += 1
        for stored in self._events.values():
            if stored.room == number:
                self._events.drop(stored.event.event_id)
        if room_id is not None:
            room = self._rooms.peek(room_id)
            if room is not None and room.number == number:
                self.drop(room_id)
        # Should the room have been deleted, it has no name any more.
        self._ids.pop(number, None)

    def _redacted(self, stored: StoredEvent) -> None:
        event = stored.event
        self._rewritten += 1
        self.put_event(stored)
        room = self._rooms.peek(event.room_id)
        if room is not None:
            room.replace(stored)
        if event.state_key is not None:
            self._forget_what_was_replaced(event, room)

    def _forget_what_was_replaced(self, event: Event, room: Room | None) -> None:
        """Events that quote a redacted state event as `prev_content` are read anew."""
        for event_id in self._quoting.pop(event.event_id, ()):
            self._events.drop(event_id)
        if room is not None and any(s.replaces == event.event_id for s in room.timeline):
            self.drop(room.id)


def _pass_on(place: asyncio.Future[Room], task: asyncio.Task[Room]) -> None:
    """Lets those hear who wait in a place how the loading ended."""
    if place.done() or task.cancelled():
        place.cancel()
    elif (error := task.exception()) is not None:
        place.set_exception(error)
        place.exception()  # perhaps nobody waits
    else:
        place.set_result(task.result())


def _make_stale(room: Room) -> None:
    room.stale = True


def _event_bytes(stored: StoredEvent) -> int:
    return _EVENT_OVERHEAD + 2 * len(stored.event.wire)


def _room_bytes(room: Room) -> int:
    return 20_000 + _MEMBER_BYTES * len(room.memberships) + 300 * len(room.current.state)
