"""Takes in what other servers push to us.

What can be judged at once is judged and written before the sender hears that we have it. What refers to events that
are not here, or is signed by a server whose keys can't be had just now, is written down as it came (*staged*),
acknowledged, and dealt with while the sender goes on; a crash in between loses nothing, since whoever finds staged
events later goes on with them. One worker per room at a time.

What a server sends can't keep others' events from being dealt with: each has its own share of the places, they take
turns, and one whose events all refer to what nobody has is not tried with each of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog

from weft.graph.order import parents_first
from weft.graph.outcome import Outcome
from weft.protocol.errors import InvalidEvent, NotNow, PeerError
from weft.protocol.event import Event
from weft.rooms.incoming import Incoming, read, whole
from weft.rooms.missing import FAILURES, MissingEvents
from weft.rooms.receive import Receive, Taken
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import staged
from weft.storage.database import Database, DatabaseError

log = structlog.get_logger(__name__)

#: How many events of a room that one server sent may wait at a time; the rest is fetched when something refers to it.
_MOST_WAITING: Final = 250
#: How many of a room may wait because their signatures can't be checked: nobody vouches for those, whoever sent them.
_MOST_UNVERIFIED: Final = 200
#: In whose share of the places they are.
_NOBODY: Final = ""
_AT_ONCE: Final = 1_000
#: After so many events of one server that can't be dealt with, its others wait for the next round.
_MOST_FAILURES: Final = 10
#: Seconds before the first retry; doubled each time.
_FIRST_PAUSE: Final = 1.0
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 300.0
#: An event whose past nobody gave us for so long is forgotten, unless its sender's server is away.
_PATIENCE_MS: Final = 6 * 3600 * 1000
#: For so long others may build on what was taken in here while some of the room's state could not be verified.
_DOUBT_MS: Final = 24 * 3600 * 1000
#: For so long a state that was incomplete from the first is given to nobody, unless it is whole before.
_INCOMPLETE_MS: Final = 3600 * 1000
#: What another process has not dealt with for so long, it no longer does.
_ABANDONED_MS: Final = 60_000


class Staging:
    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        receive: Receive,
        incoming: Incoming,
        missing: MissingEvents,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._receive = receive
        self._incoming = incoming
        self._missing = missing
        self._now_ms = now_ms
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        incoming.keep = self.keep
        receive.is_in_doubt = self.is_in_doubt
        #: Rooms whose worker has done what it can for now.
        self._resting: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a worker is at something, and not just waiting for a better moment."""
        return any(
            not worker.done() and (room_id not in self._resting or self._news[room_id].is_set())
            for room_id, worker in self._workers.items()
        )

    async def close(self) -> None:
        """Stops the workers; what they have not finished is there at the next start."""
        for worker in self._workers.values():
            worker.cancel()
        await asyncio.gather(*self._workers.values(), return_exceptions=True)

    async def push(self, origin: str, room: Room, pdus: Sequence[msgspec.Raw]) -> dict[str, str | None]:
        """Takes in events of a room that `origin` sent; returns, by event id, why one was refused.

        Once this returns everything that was not refused is on disk.
        """
        inspected = await self._incoming.inspect(room.id, room.version, pdus)
        results: dict[str, str | None] = dict(inspected.refused)
        if not inspected.events:
            return results
        ordered = parents_first(inspected.events)
        try:
            taken = await self._receive.take(room.id, ordered)
        except NotNow:
            # Too much is going on in the room: it is all dealt with later.
            taken = {event.event_id: Taken(None, event.prev_events) for event in ordered}
        waiting = [event for event in ordered if taken[event.event_id].is_missing_something]
        for event in ordered:
            results[event.event_id] = _refusal(taken[event.event_id])
        if waiting:
            await self._stage(room, origin, waiting, results)
        return results

    async def keep(self, room_id: str, events: Sequence[Event], at_entry: bool = False) -> None:
        """Keeps events, wherever they came from, until their signatures can be checked.

        `at_entry`: they are of the state by which the room was just entered.
        """
        room = await self._rooms.find(room_id)
        if room is None or not room.joined_local:
            return
        now = self._now_ms()
        await self._database.write(staged.put_in_doubt, room.number, now + _DOUBT_MS)
        if at_entry:
            await self._database.write(staged.put_incomplete, room.number, now + _INCOMPLETE_MS)
        space = _MOST_UNVERIFIED - await self._database.get(staged.count, room.number, _NOBODY)
        if space > 0:
            await self._database.write(staged.put, room.number, _NOBODY, events[:space], now)
        self._wake(room_id)

    async def is_in_doubt(self, room: Room) -> bool:
        """Whether the room's state may lack events that could not be verified when they were needed."""
        return await self._database.get(staged.is_in_doubt, room.number, self._now_ms())

    async def is_incomplete(self, room: Room) -> bool:
        """Whether the room's state lacks events that it had when the room was entered: others know it better."""
        if not await self._database.get(staged.is_incomplete, room.number, self._now_ms()):
            return False
        # Nothing waits either once the room is left, though nothing was found out.
        return not room.joined_local or await self._database.get(staged.any_waits, room.number)

    async def resume(self) -> None:
        """Goes on with what was left behind, by an earlier run or by a process that has ended."""
        abandoned = self._now_ms() - _ABANDONED_MS
        for room_id in await self._database.read(staged.rooms_waiting_since, abandoned):
            self._wake(room_id)

    async def _stage(self, room: Room, origin: str, events: Sequence[Event], results: dict[str, str | None]) -> None:
        space = _MOST_WAITING - await self._database.get(staged.count, room.number, origin)
        for event in events[max(0, space) :]:
            results[event.event_id] = "Too many events of this room wait that your server sent."
        if space > 0:
            await self._database.write(staged.put, room.number, origin, events[:space], self._now_ms())
        self._wake(room.id)

    # -- the worker of a room

    def _wake(self, room_id: str) -> None:
        self._news.setdefault(room_id, asyncio.Event()).set()
        worker = self._workers.get(room_id)
        if worker is None or worker.done():
            worker = self._workers[room_id] = asyncio.create_task(self._work(room_id))
            worker.add_done_callback(lambda _: self._forget(room_id))

    def _forget(self, room_id: str) -> None:
        worker = self._workers.get(room_id)
        if worker is not None and worker.done():
            del self._workers[room_id]
            self._news.pop(room_id, None)

    async def _work(self, room_id: str) -> None:
        news = self._news[room_id]
        tries: dict[str, _Tried] = {}
        try:
            while True:
                news.clear()
                room = await self._rooms.get(room_id)
                waiting = await self._database.read(staged.of_room, room.number, _AT_ONCE)
                if not waiting and not news.is_set():
                    return
                if not await self._deal_with(room, waiting, tries):
                    await self._rest(room_id, tries)
        except Exception:
            log.exception("taking in staged events failed; it is tried again later", room_id=room_id)

    async def _rest(self, room_id: str, tries: Mapping[str, _Tried]) -> None:
        """Waits until the next event is worth another try, or there is news of the room."""
        now = asyncio.get_running_loop().time()
        pause = min((tried.again_at - now for tried in tries.values()), default=_FIRST_PAUSE)
        self._resting.add(room_id)
        try:
            async with asyncio.timeout(max(pause, _SHORTEST_PAUSE)):
                await self._news[room_id].wait()
        except TimeoutError:
            pass
        finally:
            self._resting.discard(room_id)

    async def _deal_with(self, room: Room, waiting: Sequence[staged.Staged], tries: dict[str, _Tried]) -> bool:
        """Whether any is dealt with. One that can't be is left alone for growing pauses, whatever else comes."""
        failures: Counter[str] = Counter()
        is_any_done = False
        now = asyncio.get_running_loop().time
        for row in waiting:
            tried = tries.get(row.event_id)
            if tried is not None and tried.again_at > now():
                continue
            if failures[row.origin] < _MOST_FAILURES and await self._try(room, row):
                is_any_done = True
            elif self._may_be_had(row):
                failures[row.origin] += 1
                pause = _FIRST_PAUSE if tried is None else min(2 * tried.pause, _LONGEST_PAUSE)
                tries[row.event_id] = _Tried(pause, now() + pause)
                continue
            else:
                log.warning("an event is given up: nobody has what it builds on, or its keys", event_id=row.event_id)
            tries.pop(row.event_id, None)
            await self._database.write(staged.drop, room.number, [row.event_id])
        return is_any_done

    def _may_be_had(self, row: staged.Staged) -> bool:
        """Whether what an event lacks may come yet: it has not waited for long, or its sender could not be asked."""
        now_ms = self._now_ms()
        return now_ms - row.received_ms < _PATIENCE_MS or self._missing.is_away(row.origin, now_ms)

    async def _try(self, room: Room, row: staged.Staged) -> bool:
        """Whether an event was dealt with, whatever became of it."""
        try:
            json = await self._database.get(staged.json_of, room.number, row.event_id)
            if json is not None and room.joined_local:
                event = await self._verified(read(json, room.version))
                taken = await self._missing.take(room.id, event, row.origin or event.sender_domain)
                log.debug("a staged event was taken in", event_id=row.event_id, refused=_refusal(taken))
        except BadSignature as error:
            log.warning("a staged event is not signed well", event_id=row.event_id, reason=str(error))
        except FAILURES as error:
            log.info("what an event builds on can't be had yet", event_id=row.event_id, reason=str(error))
            return False
        except InvalidEvent as error:
            log.warning("a staged event can't be read", event_id=row.event_id, reason=error.message)
        except DatabaseError:
            raise
        except Exception:
            # A fault of ours: the events after this one do not have to suffer for it.
            log.exception("taking in a staged event failed", event_id=row.event_id, room_id=room.id)
            return False
        return True

    async def _verified(self, event: Event) -> Event:
        """The event if its signatures hold. Raises `BadSignature`, or a `PeerError` where that can't be said yet."""
        error = (await self._incoming.failed_signatures([event])).get(event.event_id)
        if error is not None:
            raise BadSignature(str(error)) if error.permanent else error
        return whole(event)


class _Tried(NamedTuple):
    """Of an event that can't be dealt with yet: its last pause, and the loop's time of the next try."""

    pause: float
    again_at: float


class BadSignature(PeerError):
    """The event is not signed as it has to be: waiting does not make it better."""


def _refusal(taken: Taken) -> str | None:
    """What the sender is told: only what was rejected is; that an event is soft-failed is nobody's business."""
    verdict = taken.verdict
    if verdict is None or not verdict.outcome.is_rejected:
        return None
    if verdict.violation is not None:
        return verdict.violation.message
    return "The event was rejected." if verdict.outcome is Outcome.REJECTED else "The room's state forbids the event."
