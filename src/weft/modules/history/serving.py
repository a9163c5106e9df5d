"""What this server gives other servers of rooms' pasts: events, the way between events, and states.

An event that the server which asks may not see is given redacted; one that was rejected is not given at all, nor is
one whose place in the graph is not known. States go out in the bytes that are stored, unparsed.

https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import orjson

from weft.modules.events import ServerSight
from weft.modules.history.times import nearest
from weft.modules.history.walks import GIVEN, back_from, between
from weft.protocol.errors import Forbidden, NotFound
from weft.rooms.access import RoomAccess, is_in
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import wire
from weft.storage.cache import Cache
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

#: How many events are given at once, whatever is asked for.
MAX_EVENTS: Final = 100
#: How many events a walk may begin at.
_MAX_STARTS: Final = 100
#: How many whole states are read at once: each may be some ten megabytes.
_STATES_AT_ONCE: Final = 2


class Serving:
    """Every method raises `Forbidden` for a room that is closed to the server that asks, or that is not known."""

    def __init__(self, engine: Engine, access: RoomAccess, sight: ServerSight) -> None:
        self._engine = engine
        self._access = access
        self._sight = sight
        self._states = asyncio.Semaphore(_STATES_AT_ONCE)
        #: Answers to `state_ids`: several servers ask for the same one at once.
        self._state_ids: Cache[tuple[int, str | None], bytes] = engine.budget.cache("state_ids", 0.02, len)

    async def _enter(self, origin: str, room_id: str, event_ids: Sequence[str]) -> Room:
        """The room, for a server that may ask about some of its events.

        A server that was put out while it could not be reached would otherwise never learn of that: the event that did
        it builds on others that it lacks. So it may ask about what happened while it was in the room.
        """
        try:
            return await self._access.enter(room_id, origin)
        except Forbidden:
            room = await self._engine.rooms.find(room_id)
            if room is None or not await self._access.acl_allows(room, origin):
                raise
            found = await self._engine.rooms.events(event_ids)
            placed = [one for one in found.values() if one.room == room.number and one.outcome in GIVEN]
            if not placed or not await self._sight.was_there(room, origin, placed):
                raise
            return room

    # -- events

    async def backfill(self, origin: str, room_id: str, start: Sequence[str], limit: int) -> list[bytes]:
        """Some events and what came before them, the newest first."""
        room = await self._enter(origin, room_id, start[:_MAX_STARTS])
        most = min(limit, MAX_EVENTS)
        found = await self._engine.database.read(back_from, room.number, start[:_MAX_STARTS], most)
        return await self._sight.pdus(room, origin, found)

    async def missing(
        self,
        origin: str,
        room_id: str,
        *,
        earliest: Sequence[str],
        latest: Sequence[str],
        limit: int,
        min_depth: int,
    ) -> list[bytes]:
        """What lies between the earliest and the latest events, the oldest first."""
        room = await self._enter(origin, room_id, latest[:_MAX_STARTS])
        found = await self._engine.database.read(
            between,
            room.number,
            earliest[:_MAX_STARTS],
            latest[:_MAX_STARTS],
            limit=min(limit, MAX_EVENTS),
            min_depth=min_depth,
        )
        return await self._sight.pdus(room, origin, found)

    async def event(self, origin: str, event_id: str) -> bytes:
        """One event, of whatever room. Raises `NotFound` also for one in a room that is closed to the server."""
        stored = await self._engine.rooms.event(event_id)
        if stored is None or stored.outcome.is_rejected:
            raise _no_event()
        try:
            room = await self._enter(origin, stored.event.room_id, [event_id])
        except Forbidden:
            raise _no_event() from None
        return (await self._sight.pdus(room, origin, [stored]))[0]

    async def at_time(self, origin: str, room_id: str, time_ms: int, direction: Literal["f", "b"]) -> StoredEvent:
        """The event nearest to a time that the server may see. Raises `NotFound`."""
        room = await self._access.enter(room_id, origin)

        async def choose(stored: Sequence[StoredEvent]) -> list[StoredEvent]:
            visible = await self._sight.visible(room, origin, stored)
            return [one for one in stored if one.event.event_id in visible]

        found = await nearest(self._engine, room, time_ms, direction, choose)
        if found is None:
            raise NotFound("There is no event near that time.")
        return found

    # -- states

    async def event_auth(self, origin: str, room_id: str, event_id: str) -> bytes:
        """All that authorises an event, as JSON: `{"auth_chain": […]}`."""
        room = await self._enter(origin, room_id, [event_id])
        stored = await self._written(room, event_id)
        if stored is None or stored.room != room.number or stored.outcome.is_rejected:
            raise _no_event()
        await self._check_stranger(room, origin, stored)
        async with self._states:
            return await self._engine.database.read(_auth_chain_json, stored.event.auth_events, _create_id(room))

    async def state(self, origin: str, room_id: str, event_id: str) -> bytes:
        """The state before an event with all that authorises it, as JSON: `{"auth_chain": […], "pdus": […]}`."""
        room, stored = await self._placed(origin, room_id, event_id)
        ids = list((await self._engine.rooms.state_before(room, stored)).values())
        async with self._states:
            return await self._engine.database.read(_state_json, ids, _create_id(room))

    async def state_ids(self, origin: str, room_id: str, event_id: str) -> bytes:
        """As `state`, with ids: `{"auth_chain_ids": […], "pdu_ids": […]}`."""
        room, stored = await self._placed(origin, room_id, event_id)
        # Before a state event, its place is filled otherwise than in the state that it has in the tables.
        key = (stored.snapshot or 0, event_id if stored.event.state_key is not None else None)
        known = self._state_ids.get(key)
        if known is None:
            ids = list((await self._engine.rooms.state_before(room, stored)).values())
            async with self._states:
                known = await self._engine.database.read(_state_ids_json, ids, _create_id(room))
            self._state_ids.put(key, known)
        return known

    async def _placed(self, origin: str, room_id: str, event_id: str) -> tuple[Room, StoredEvent]:
        """An event of the room's graph, the state before which is known. Raises `NotFound`."""
        room = await self._enter(origin, room_id, [event_id])
        if await self._engine.remote.staging.is_incomplete(room):
            # Who takes it as told would hold for good what is only missing here.
            raise NotFound("Not all of the room's state could be verified here yet; another server has it.")
        stored = await self._written(room, event_id)
        if stored is None or stored.room != room.number or stored.outcome not in GIVEN or stored.snapshot is None:
            raise _no_event()
        await self._check_stranger(room, origin, stored)
        return room, stored

    async def _written(self, room: Room, event_id: str) -> StoredEvent | None:
        """An event that is in the tables, with all that it builds on: what is known sooner is waited for."""
        rooms = self._engine.rooms
        if await rooms.event(event_id) is None:
            return None
        await rooms.written(room.id)
        return await rooms.event(event_id)

    async def _check_stranger(self, room: Room, origin: str, stored: StoredEvent) -> None:
        """A server that just looks in learns nothing of times when it could not have."""
        if not is_in(room, origin) and not await self._sight.visible(room, origin, [stored]):
            raise _no_event()


def pdus_json(pdus: Iterable[bytes]) -> bytes:
    """Events as a JSON array."""
    return b"[%s]" % b",".join(pdus)


def _no_event() -> NotFound:
    return NotFound("There is no such event, or your server may not see it.")


def _create_id(room: Room) -> str | None:
    """The create event's id where every event leans on it and none names it."""
    return "$" + room.id[1:] if room.version.format.room_id_is_create_hash else None


def _auth_chain_json(tx: Transaction, auth_events: Sequence[str], create: str | None) -> bytes:
    found = dict(wire.read(tx, auth_events))
    wire.auth_chain(tx, auth_events, dict(found), create=create, found=found)
    return b'{"auth_chain":%s}' % pdus_json(found.values())


def _state_json(tx: Transaction, ids: Sequence[str], create: str | None) -> bytes:
    state = dict(wire.read(tx, ids))
    others: dict[str, bytes] = {}
    chain = wire.auth_chain(tx, ids, state, create=create, found=others)
    authorising = ((others.get(event_id) or state.get(event_id)) for event_id in chain)
    return b'{"auth_chain":%s,"pdus":%s}' % (
        pdus_json(json for json in authorising if json is not None),
        pdus_json(state.values()),
    )


def _state_ids_json(tx: Transaction, ids: Sequence[str], create: str | None) -> bytes:
    return orjson.dumps({"auth_chain_ids": wire.auth_chain(tx, ids, {}, create=create), "pdu_ids": ids})
