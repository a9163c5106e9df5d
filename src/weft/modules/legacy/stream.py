"""`/events`: what happens in the user's rooms, or in one that they look into, as it happens.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events
https://spec.matrix.org/v1.19/client-server-api/#peeking_get_matrixclientv3events
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from weft.http.call import Requester
from weft.modules.events import Sight, Viewer
from weft.modules.events.places import parse_cut, spell_cut
from weft.modules.events.sight import Seen
from weft.modules.events.user_rooms import UserRooms
from weft.modules.history import store
from weft.modules.history.service import History
from weft.protocol.api.client import legacy as api
from weft.rooms.engine import Engine
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

_MAX_WAIT_MS: Final = 10 * 60 * 1000
_MAX_EVENTS: Final = 500


class Stream:
    def __init__(self, engine: Engine, history: History, *, user_rooms: UserRooms, sight: Sight) -> None:
        self._engine = engine
        self._history = history
        self._user_rooms = user_rooms
        self._sight = sight

    async def events(self, requester: Requester, args: api.GetEventsRequest) -> api.PaginationChunk:
        """What happened since `from`, or what happens next. Raises `Forbidden` for a room that is closed to them."""
        log = self._engine.log
        peeked = (await self._history.view(args.room_id, requester.user_id)).room.number if args.room_id else None
        since = parse_cut(args.from_) if args.from_ is not None else log.head
        await log.catch_up(since)
        deadline = asyncio.get_running_loop().time() + min(args.timeout, _MAX_WAIT_MS) / 1000
        position = since
        while True:
            position, stored = await self._next(requester.user_id, peeked, position)
            chunk = await self._formed(requester, stored)
            remaining = deadline - asyncio.get_running_loop().time()
            if chunk or remaining <= 0 or log.closed:
                return api.PaginationChunk(start=spell_cut(since), end=spell_cut(position), chunk=chunk)
            if log.head == position:
                await log.wait(requester.user_id if peeked is None else ("room", peeked), remaining)

    def wake(self, entries: Sequence[Entry]) -> None:
        """Wakes those who look into a room; who waits for all of their rooms is woken as for `/sync`."""
        if self._engine.log.waiting:
            self._engine.log.wake({("room", entry.room) for entry in entries if entry.room is not None})

    async def _next(self, user_id: str, peeked: int | None, since: Vector) -> tuple[Vector, list[StoredEvent]]:
        """The first events beyond a vector in the rooms that count; and the vector that holds them."""
        head = self._engine.log.head
        entries = self._engine.log.since(since)
        seats = await self._user_rooms.of(user_id)
        rooms = {seat.number for seat in seats.values() if seat.membership == "join"} if peeked is None else {peeked}
        if entries is None:
            rows = await self._engine.database.read(store.arrived, rooms, since, head, _MAX_EVENTS)
            found = await self._engine.rooms.events([row.event_id for row in rows])
            stored = [found[row.event_id] for row in rows if row.event_id in found]
            is_all = len(rows) < _MAX_EVENTS
            return since.joined(head) if is_all else since.advanced(row.position for row in rows), stored
        chosen: list[StoredEvent] = []
        for entry in entries:
            one = entry.payload
            if entry.kind != "event" or not isinstance(one, StoredEvent) or entry.position not in head:
                continue
            if entry.room in rooms or (peeked is None and _is_about(one, user_id)):
                chosen.append(one)
                if len(chosen) == _MAX_EVENTS:
                    return since.advanced(e.position for e in entries[: entries.index(entry) + 1]), chosen
        return since.joined(head), chosen

    async def _formed(self, requester: Requester, stored: Sequence[StoredEvent]) -> list[msgspec.Raw]:
        if not stored:
            return []
        viewer = await self._history.viewer(requester)
        rooms: dict[str, list[StoredEvent]] = {}
        for one in stored:
            rooms.setdefault(one.event.room_id, []).append(one)
        formed: dict[str, bytes] = {}
        for room_id, events in rooms.items():
            formed |= await self._of_room(room_id, events, viewer)
        return [msgspec.Raw(formed[one.event.event_id]) for one in stored if one.event.event_id in formed]

    async def _of_room(self, room_id: str, stored: Sequence[StoredEvent], viewer: Viewer) -> Mapping[str, bytes]:
        room = await self._engine.rooms.get(room_id)
        current = await self._engine.rooms.events([one.event.event_id for one in stored])
        stored = [current.get(one.event.event_id, one) for one in stored]
        visible = {
            s.stored.event.event_id: s for s in await self._sight.of(room, viewer.user_id, stored, viewer.ignored)
        }
        for one in stored:
            # An invitation is the business of whom it invites, whatever they may see of the room.
            if _is_about(one, viewer.user_id) and one.event.sender not in viewer.ignored:
                visible.setdefault(one.event.event_id, Seen(one, one.event.membership or "leave"))
        seen = list(visible.values())
        formed = await self._history.formed(room, seen, viewer)
        return {one.stored.event.event_id: form for one, form in zip(seen, formed, strict=True)}


def _is_about(stored: StoredEvent, user_id: str) -> bool:
    return stored.event.type == "m.room.member" and stored.event.state_key == user_id
