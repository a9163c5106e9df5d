"""Fetches a room's past from other servers: when somebody reads so far, and to close gaps that came while we were in.

https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal

import structlog

from weft.federation.peer import Peers
from weft.graph.order import parents_first
from weft.protocol.api.federation.backfill import BACKFILL_ROOM, BackfillRoomRequest
from weft.protocol.api.federation.events import GET_EVENT_BY_TIMESTAMP, GetEventByTimestampRequest
from weft.protocol.event import Event
from weft.protocol.identifiers import domain_of
from weft.rooms.incoming import Incoming
from weft.rooms.missing import FAILURES, MissingEvents
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import gaps
from weft.storage.database import Database
from weft.storage.gaps import Gap

log = structlog.get_logger(__name__)

#: Events that are asked for at a time.
_PAGE: Final = 100
#: The ends of the past that one request names.
_ENDS: Final = 20
#: How many requests one reader may cause.
_ROUNDS: Final = 3
#: Seconds for which a reader waits.
_PATIENCE: Final = 20.0
#: Seconds between two requests that nobody waits for.
_POLITE: Final = 0.2


class Backfill:
    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        incoming: Incoming,
        missing: MissingEvents,
        peers: Peers,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._incoming = incoming
        self._missing = missing
        self._peers = peers
        self._now_ms = now_ms
        #: Servers that had nothing of some gaps, by room: they are not asked for the same again.
        self._had_nothing: dict[str, tuple[list[Gap], set[str]]] = {}
        #: What is being fetched, by room: others wait for it and look again.
        self._fetching: dict[str, asyncio.Task[bool]] = {}

    async def close(self) -> None:
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def ensure(self, room: Room, depth: int, count: int) -> None:
        """Sees to it, as far as others help, that the `count` events of a room below a depth are here without a gap."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for _ in range(_ROUNDS):
                    found = await self._database.get(gaps.below, room.number, depth, _ENDS)
                    if not found or await self._is_far(room, found[0], depth, count):
                        return
                    if not await self._fetch(room, found):
                        return
        except TimeoutError:
            log.info("a reader waited too long for a room's past", room_id=room.id)

    async def nearest(self, room: Room, time_ms: int, direction: Literal["f", "b"]) -> str | None:
        """The id of the event nearest to a time that another server knows of, once that event is here; None for none.

        https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
        """
        request = GetEventByTimestampRequest(room_id=room.id, ts=time_ms, dir=direction)
        try:
            async with asyncio.timeout(_PATIENCE):
                server, answer = await self._peers.first_of(
                    self._missing.servers(room),
                    GET_EVENT_BY_TIMESTAMP,
                    request,
                    origin=self._missing.own_domain(room),
                )
                if not await self._rooms.event(answer.event_id):
                    await self._fetch_from(room, server, [answer.event_id])
        except (*FAILURES, TimeoutError) as error:
            log.info("nobody says what was at a time", room_id=room.id, reason=str(error))
            return None
        return answer.event_id

    async def has_gap(self, room: Room, depth: int) -> bool:
        """Whether others know more of a room below a depth."""
        return bool(await self._database.get(gaps.below, room.number, depth, 1))

    async def fill(self) -> None:
        """Closes gaps that came while this server was in the room, the newest first; gives up what nobody has."""
        for room_id in await self._database.read(gaps.rooms_with_wanted):
            before: list[Gap] = []
            room = await self._rooms.find(room_id)
            while room is not None and (found := await self._database.read(gaps.wanted, room.number, _ENDS)):
                is_stuck = found == before or not room.joined_local or not await self._fetch(room, found, unasked=True)
                if is_stuck and room.joined_local and await self._is_somebody_away(room, found):
                    break
                if is_stuck:
                    self._had_nothing.pop(room_id, None)
                    await self._database.write(gaps.give_up, room.number, [gap.event_id for gap in found])
                before = found
                await asyncio.sleep(_POLITE)
                room = await self._rooms.find(room_id)

    async def _servers(self, room: Room, found: Sequence[Gap], *, unasked: bool) -> list[str]:
        """Whom to ask: the servers that sent what is missing or built on it, and then the others.

        Where nobody waits, those too that are in the room no more: they may have sent it before they knew.
        """
        senders = await self._database.read(gaps.holders, room.number, found)
        present = self._missing.servers(room, map(domain_of, senders))
        return [*present, *self._missing.departed(room, present)] if unasked else present

    async def _is_somebody_away(self, room: Room, found: Sequence[Gap]) -> bool:
        """Whether any of those who may have what is missing can't be asked just now, and may come back."""
        now_ms = self._now_ms()
        return any(self._missing.is_away(one, now_ms) for one in await self._servers(room, found, unasked=True))

    async def _is_far(self, room: Room, gap: Gap, depth: int, count: int) -> bool:
        """Whether more than what is wanted lies between a place and a gap."""
        return await self._database.get(gaps.known_between, room.number, gap.depth, depth, count + 1) > count

    async def _fetch(self, room: Room, found: Sequence[Gap], *, unasked: bool = False) -> bool:
        """Asks the room's servers for what is missing. Whether anything came."""
        task = self._fetching.get(room.id)
        if task is None:
            task = self._fetching[room.id] = asyncio.create_task(self._fetch_once(room, found, unasked))
            task.add_done_callback(lambda _: self._fetching.pop(room.id, None))
        return await asyncio.shield(task)

    async def _fetch_once(self, room: Room, found: Sequence[Gap], unasked: bool) -> bool:
        ids = [gap.event_id for gap in found]
        gaps_then, had_nothing = self._had_nothing.get(room.id, ([], set()))
        if gaps_then != found:
            had_nothing = set()
        for server in await self._servers(room, found, unasked=unasked):
            if unasked and server in had_nothing:
                continue
            try:
                if await self._fetch_from(room, server, ids):
                    self._had_nothing.pop(room.id, None)
                    return True
            except FAILURES as error:
                log.info("a room's past can't be had", room_id=room.id, server=server, reason=str(error))
            else:
                had_nothing.add(server)
                self._had_nothing[room.id] = (list(found), had_nothing)
        return False

    async def _fetch_from(self, room: Room, server: str, ids: Sequence[str]) -> bool:
        """Asks one server for events and what came before them. Whether anything came."""
        request = BackfillRoomRequest(room_id=room.id, v=list(ids), limit=_PAGE)
        answer = await self._peers.call(
            BACKFILL_ROOM, request, origin=self._missing.own_domain(room), destination=server
        )
        inspected = await self._incoming.inspect(room.id, room.version, answer.pdus[:_PAGE])
        return await self._take(room, inspected.events, ids, server)

    async def _take(self, room: Room, events: Sequence[Event], wanted: Sequence[str], server: str) -> bool:
        at_hand = {event.event_id: event for event in events}
        # What nothing accepted follows is no past of the room's present, but news.
        news = await self._database.read(gaps.which_only_refused_follow, room.number, wanted)
        chosen: dict[str, Event] = {}
        agenda = [at_hand[one] for one in wanted if one in at_hand and one not in news]
        while agenda:
            event = agenda.pop()
            if event.event_id not in chosen:
                chosen[event.event_id] = event
                agenda.extend(at_hand[one] for one in event.prev_events if one in at_hand)
        taken = await self._missing.take_all(
            room.id, parents_first(chosen.values()), self._missing.servers(room, [server]), past=True
        )
        for event_id in news:
            if event_id in at_hand and event_id not in chosen:
                taken[event_id] = await self._missing.take(room.id, at_hand[event_id], server)
        return bool(taken)
