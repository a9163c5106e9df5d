"""How events of other servers come into rooms: judged by what this server knows, and written.

Who calls has checked format, signatures and hashes (`weft.rooms.incoming`), and sees to what is missing
(`weft.rooms.missing`). Within one process a room takes in one event at a time. What continues the room's front is
judged in memory and shares commits with what follows it; forks are judged by the states of what they build on.

https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import structlog

from weft.graph.decide import Verdict, decide, decide_by_auth_events
from weft.graph.order import parents_first
from weft.graph.outcome import Outcome
from weft.graph.snapshot import Snapshot
from weft.protocol.errors import NotNow
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import CREATE_KEY, POWER_LEVELS_KEY, auth_event_keys
from weft.protocol.room_versions import RoomVersion
from weft.protocol.stickiness import sticky_until
from weft.rooms.commit import Also, Made, RoomMoved, Row, commit, redactable
from weft.rooms.loading import resolve_states
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import events as event_store
from weft.storage import snapshots
from weft.storage.database import Database, UniqueViolation
from weft.storage.events import StoredEvent
from weft.storage.history import HistoryPositions

log = structlog.get_logger(__name__)

#: How often an event is judged again because the room moved on under it.
_TRIES = 10
#: How many outliers are written at a time.
_OUTLIERS_AT_ONCE = 250

#: An event as the room's policy server recommends it, with its signature; None where it is not wanted.
#: https://spec.matrix.org/v1.19/server-server-api/#policy-servers
Policy = Callable[[Room, Event], Awaitable[Event | None]]


class Place(NamedTuple):
    """A room as far as it is known: this server need not be in it."""

    id: str
    number: int
    version: RoomVersion


class Taken(NamedTuple):
    """What became of one event. With anything missing nothing was decided, and nothing written."""

    verdict: Verdict | None
    missing_prev: tuple[str, ...] = ()
    missing_auth: tuple[str, ...] = ()
    #: The state before it forbids it; but that may lack what others have of it.
    in_doubt: bool = False

    @property
    def is_missing_something(self) -> bool:
        return bool(self.missing_prev or self.missing_auth or self.in_doubt)


@dataclass(frozen=True, slots=True)
class Before:
    """The state before an event: its id, itself where it is in memory, and what of it is not stored yet."""

    id: int
    snapshot: Snapshot | None
    fresh: tuple[Snapshot, ...] = ()
    #: Events that the event builds on and that will not be here.
    gaps: tuple[str, ...] = ()
    gaps_wanted: bool = False


#: States that were found out otherwise than from the events that are built on, by the id of the event after them.
Given = Mapping[str, Before]
NOTHING_GIVEN: Given = MappingProxyType({})


class _Way(NamedTuple):
    """How events are to be taken in; see `Receive.take`."""

    given: Given
    past: bool
    relayed: bool
    also: Also | None
    #: The ids of those that were not here, until each is looked at.
    new: set[str]
    late: str | None


class Receive:
    """Takes events of other servers into rooms that are known here."""

    def __init__(self, database: Database, rooms: Rooms, history: HistoryPositions, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._rooms = rooms
        self._history = history
        self._locks: dict[str, asyncio.Lock] = {}
        #: Events whose write is under way.
        self._on_their_way: dict[str, StoredEvent] = {}
        self.policy: Policy | None = None
        #: Whether a room's state may lack events that could not be verified when they were needed. An event that it
        #: forbids is then not refused before others were asked for the state: that would be for good.
        self.is_in_doubt: Callable[[Room], Awaitable[bool]] | None = None

    async def take(
        self,
        room_id: str,
        events: Sequence[Event],
        *,
        given: Given = NOTHING_GIVEN,
        past: bool = False,
        relayed: bool = False,
        also: Also | None = None,
        late: str | None = None,
    ) -> dict[str, Taken]:
        """Judges and writes events, in this order; returns once they are on disk.

        `past`: they belong to the room's past, so that they are told to nobody as news and built on by nothing new.
        `relayed`: we have to pass them on to the room's other servers; what is refused is not kept, for nobody else has
        it. `also`: more writes for the transaction of each.
        `late` is one that others may have been taken in without, so that what it says may be missing in their states:
        it becomes an end of the graph, whatever builds on it already.
        """
        async with self._lock(room_id):
            ids = [event.event_id for event in events]
            # One look for all of them: most are new.
            way = _Way(given, past, relayed, also, set(ids) - (await self._events(ids)).keys(), late)
            taken: dict[str, Taken] = {}
            writing: list[tuple[Event, asyncio.Future[bool]]] = []
            forked = False
            for event in events:
                taken[event.event_id], future, is_linear = await self._take(room_id, event, way)
                if future is None:
                    continue
                if is_linear:
                    writing.append((event, future))
                    continue
                # What is judged next has to see the room as it is after this.
                forked |= await self._finish(room_id, [*writing, (event, future)], taken, way)
                writing.clear()
            forked |= await self._finish(room_id, writing, taken, way)
            if forked:
                self._rooms.drop(room_id)
                await self._rooms.get(room_id)
            return taken

    async def _finish(
        self,
        room_id: str,
        writing: Iterable[tuple[Event, asyncio.Future[bool]]],
        taken: dict[str, Taken],
        way: _Way,
    ) -> bool:
        """Waits for writes; those that failed because of others are judged again. Whether the state forked."""
        forked = False
        for event, future in writing:
            waiting: asyncio.Future[bool] | None = future
            for _ in range(_TRIES):
                if waiting is None:
                    break
                try:
                    forked |= await asyncio.shield(waiting)
                except (RoomMoved, UniqueViolation):
                    # An event that this one builds on was not written, or another process was faster with this one.
                    taken[event.event_id], waiting, _ = await self._take(room_id, event, way)
                else:
                    break
            else:
                raise NotNow("The room changes too fast.", retry_after_ms=1000)
        return forked

    def _lock(self, room_id: str) -> asyncio.Lock:
        lock = self._locks.get(room_id)
        if lock is None:
            if len(self._locks) > 10_000:
                self._locks = {key: one for key, one in self._locks.items() if one.locked()}
            lock = self._locks[room_id] = asyncio.Lock()
        return lock

    # -- one event

    async def _take(self, room_id: str, event: Event, way: _Way) -> tuple[Taken, asyncio.Future[bool] | None, bool]:
        """What becomes of an event, its write, and whether the next one can be judged before that has ended."""
        for _ in range(_TRIES):
            room = await self._rooms.get(room_id)
            known = await self._known(event.event_id, way)
            if known is not None and known.is_placed:
                return Taken(Verdict(known.outcome)), None, True
            before = way.given.get(event.event_id)
            if not event.prev_events and before is None:
                if known is None or event.event_id != room.current.state.get(CREATE_KEY):
                    # The create event is known; nothing else can begin a room.
                    return Taken(Verdict(Outcome.REJECTED)), None, True
                root = Snapshot.root(self._rooms.new_snapshot_id())
                before = Before(root.id, root, (root,))
            prev = await self._events(event.prev_events)
            missing_prev = [one for one in event.prev_events if (at := prev.get(one)) is None or not at.is_placed]
            auth = await self._events(event.auth_events)
            missing_auth = [one for one in event.auth_events if one not in auth]
            if missing_auth or (missing_prev and before is None):
                return Taken(None, tuple(missing_prev) if before is None else (), tuple(missing_auth)), None, True
            if before is None:
                if len(prev) > 1 and not self._on_their_way.keys().isdisjoint(prev):
                    # Their states are resolved from what is on disk.
                    await self._rooms.settled(room_id)
                    if self._rooms.cached(room_id) is not room:
                        continue
                before = await self._before(room, event, list(prev.values()))
            judged = await self._judge(room, event, before, auth, way.past)
            if await self._is_doubtful(room, judged, way):
                return Taken(None, in_doubt=True), None, True
            if way.relayed and judged.verdict.outcome is not Outcome.ACCEPTED:
                return Taken(judged.verdict), None, True
            # While something was looked up the room may have moved on under what was judged by it.
            now = self._rooms.cached(room_id)
            if now is not room or (judged.by_front and room.front_snapshot is not before.snapshot):
                continue
            made = await self._make(room, judged.event, before, judged, known, way)
            if self._rooms.cached(room_id) is not room:
                continue
            future, is_linear = self._submit(room, made, way.also, on_front=judged.by_front)
            return Taken(judged.verdict), future, is_linear
        raise NotNow("The room changes too fast.", retry_after_ms=1000)

    async def _is_doubtful(self, room: Room, judged: _Judged, way: _Way) -> bool:
        is_by_state = judged.verdict.outcome is Outcome.REJECTED_BY_STATE
        if not is_by_state or way.past or judged.event.event_id in way.given or self.is_in_doubt is None:
            return False
        return await self.is_in_doubt(room)

    async def _before(self, room: Room, event: Event, prev: Sequence[StoredEvent]) -> Before:
        """The state before an event all of whose `prev_events` are known, resolved where they differ."""
        front = room.front
        if len(front) == len(prev) and {one.event.event_id for one in front} == set(event.prev_events):
            return Before(room.front_snapshot.id, room.front_snapshot)
        ids = {one.snapshot for one in prev if one.snapshot is not None}
        if len(ids) == 1:
            (id_,) = ids
            return Before(id_, room.snapshots.get(id_))
        merged, is_new = await self._database.read(resolve_states, room.version, ids, self._rooms.new_snapshot_id)
        return Before(merged.id, merged, (merged,) if is_new else ())

    async def _judge(
        self, room: Room, event: Event, before: Before, auth: Mapping[str, StoredEvent], past: bool
    ) -> _Judged:
        keys = {*_leans_on(event), CREATE_KEY}
        if event.state_key is not None:
            keys.add(event.key)
        if event.redacts is not None:
            keys.add(POWER_LEVELS_KEY)
        state = await self._state(room, before, keys)
        by_front = before.snapshot is room.front_snapshot
        current: dict[StateKey, Event] | None = None
        if not past and before.id != room.front_snapshot.id:
            front = await self._state(room, Before(room.front_snapshot.id, room.front_snapshot), keys)
            current = {key: stored.event for key, stored in front.items()}
        create = state.get(CREATE_KEY)
        verdict = decide(
            event,
            auth_events=[stored.event for stored in auth.values()],
            rejected=_rejected(auth.values()),
            create=create.event if create is not None and event.version.format.room_id_is_create_hash else None,
            before={key: stored.event for key, stored in state.items()},
            current=current,
        )
        if verdict.outcome is Outcome.ACCEPTED and not past and self.policy is not None:
            recommended = await self.policy(room, event)
            verdict = Verdict(Outcome.SOFT_FAILED) if recommended is None else verdict
            event = recommended or event
        if verdict.violation is not None:
            log.info(
                "an event of another server was refused",
                event_id=event.event_id,
                room_id=room.id,
                outcome=verdict.outcome.name,
                reason=verdict.violation.message,
            )
        return _Judged(event, verdict, state, by_front)

    async def _make(
        self,
        room: Room,
        event: Event,
        before: Before,
        judged: _Judged,
        known: StoredEvent | None,
        way: _Way,
    ) -> Made:
        verdict, fresh, after, id_ = judged.verdict, before.fresh, before.snapshot, before.id
        if event.state_key is not None and not verdict.outcome.is_rejected:
            base = before.snapshot or await self._rooms.snapshot(room, before.id)
            after = base.child(self._rooms.new_snapshot_id(), {event.key: event.event_id})
            fresh, id_ = (*before.fresh, after), after.id
        position = known.position if known is not None else 0
        if way.past and known is None:
            (position,) = await self._history.take(1)
        stored = StoredEvent(
            event,
            room=room.number,
            snapshot=id_,
            position=position,
            outcome=verdict.outcome,
            replaces=judged.state.get(event.key) if event.state_key is not None else None,
            transactions={},
            passing=event_store.RELAYED if way.relayed else None,
            # What a policy server turned down is no more sticky than shown, whatever the room's state becomes.
            sticky_until=sticky_until(event, self._now_ms()) if not verdict.is_turned_down else None,
        )
        made = Made(
            stored,
            after,
            fresh=fresh,
            gaps=before.gaps,
            gaps_wanted=before.gaps_wanted,
            received=True,
            is_past=way.past,
            is_late=event.event_id == way.late,
            was_outlier=known is not None,
        )
        if event.redacts is not None and verdict.outcome is Outcome.ACCEPTED:
            target = await self._event(event.redacts)
            made.redacts = redactable(event, target, lambda key: _event_of(judged.state.get(key)))
        return made

    def _submit(
        self, room: Room, made: Made, also: Also | None, *, on_front: bool
    ) -> tuple[asyncio.Future[bool], bool]:
        stored = made.stored
        event = stored.event
        event_id = event.event_id
        accepted = stored.outcome is Outcome.ACCEPTED and not made.is_past
        is_linear = (
            accepted
            and on_front
            and not made.was_outlier
            and not made.is_late
            and not made.gaps
            and made.snapshot is not None
            and {one.event.event_id for one in room.front} == set(event.prev_events)
        )
        if is_linear and made.snapshot is not None:
            room.extend(stored, made.snapshot)
        self._rooms.put_event(stored)
        self._on_their_way[event_id] = stored
        row = Row(room.id, room.version, room.number, {event_id: stored})
        future = self._database.submit(commit, row, [made], also)
        self._rooms.committing(room.id, future)

        def done(future: asyncio.Future[bool]) -> None:
            self._on_their_way.pop(event_id, None)
            if future.cancelled() or future.exception() is not None:
                self._rooms.drop(room.id)
                self._rooms.drop_event(event_id)

        future.add_done_callback(done)
        # Beside the front, but in the room's one state: that changes nothing for what comes next.
        is_plain = accepted and not made.fresh and stored.snapshot == room.current.id == room.front_snapshot.id
        return future, is_linear or (is_plain and not made.was_outlier and not made.is_late and not made.gaps)

    # -- looking

    async def _known(self, event_id: str, way: _Way) -> StoredEvent | None:
        if event_id in way.new:
            way.new.discard(event_id)
            return self._on_their_way.get(event_id)
        return await self._event(event_id)

    async def _event(self, event_id: str) -> StoredEvent | None:
        return self._on_their_way.get(event_id) or await self._rooms.event(event_id)

    async def _events(self, event_ids: Collection[str]) -> dict[str, StoredEvent]:
        """Events by id, those that are on their way to the disk too."""
        way = self._on_their_way
        found = {event_id: way[event_id] for event_id in event_ids if event_id in way}
        missing = [event_id for event_id in event_ids if event_id not in found]
        if missing:
            found.update(await self._rooms.events(missing))
        return found

    async def _state(self, room: Room, before: Before, keys: Collection[StateKey]) -> dict[StateKey, StoredEvent]:
        if before.snapshot is not None:
            state = before.snapshot.state
            ids = {key: event_id for key in keys if (event_id := state.get(key)) is not None}
        else:
            ids = await self._database.get(snapshots.entries, before.id, keys)
        found = await self._events(ids.values())
        # Our own events that are on their way to the disk, and that memory was too small for.
        found.update((one.event.event_id, one) for one in room.pending if one.event.event_id in ids.values())
        return {key: found[event_id] for key, event_id in ids.items() if event_id in found}

    # -- events without a place in the graph

    async def add_outliers(self, room: Room | Place, events: Iterable[Event]) -> dict[str, StoredEvent]:
        """Writes events whose place in the graph is not known, each judged by its auth events alone.

        Those whose auth events, or the room's create event, are neither known nor among them are left out. What is
        known already stays as it is. Returns each that is known now.
        """
        ordered = parents_first(events, lambda event: event.auth_events)
        ids = {event.event_id for event in ordered}
        known = await self._written(room.id, ids)
        wanted = {one for event in ordered for one in event.auth_events} - known.keys()
        at_hand = {**await self._written(room.id, wanted - ids), **known}
        create = await self._create_of(room, ordered, at_hand)
        if create is None and room.version.format.room_id_is_create_hash:
            # Whoever withholds what all of them lean on has said nothing about them.
            return known
        fresh = [event for event in ordered if event.event_id not in known]
        positions = iter(await self._history.take(len(fresh)))
        rejected = set(_rejected(at_hand.values()))
        made: list[StoredEvent] = []
        for index, event in enumerate(fresh):
            if index and not index % _OUTLIERS_AT_ONCE:
                await asyncio.sleep(0)
            auth = [at_hand[one] for one in event.auth_events if one in at_hand]
            if len(auth) < len(event.auth_events):
                continue
            verdict = decide_by_auth_events(event, [one.event for one in auth], rejected, create)
            is_good = verdict.outcome is Outcome.ACCEPTED and not _is_second_create(room, event)
            if not is_good:
                rejected.add(event.event_id)
            outcome = Outcome.OUTLIER if is_good else Outcome.REJECTED
            stored = StoredEvent(
                event, room=room.number, snapshot=None, position=next(positions), outcome=outcome, transactions={}
            )
            at_hand[event.event_id] = stored
            made.append(stored)
        places = {event_id: stored.position for event_id, stored in at_hand.items()}
        for start in range(0, len(made), _OUTLIERS_AT_ONCE):
            await self._database.write(event_store.insert_outliers, made[start : start + _OUTLIERS_AT_ONCE], places)
        return {event.event_id: at_hand[event.event_id] for event in ordered if event.event_id in at_hand}

    async def _written(self, room_id: str, event_ids: Collection[str]) -> dict[str, StoredEvent]:
        """Events by id, when those that are being written just now are on disk, so that rows may name them."""
        found = await self._events(event_ids)
        if all(one.position for one in found.values()):
            return found
        await self._rooms.settled(room_id)
        return await self._events(event_ids)

    async def _create_of(
        self, room: Room | Place, events: Sequence[Event], known: Mapping[str, StoredEvent]
    ) -> Event | None:
        """The create event, where the room id names it and events don't."""
        if not room.version.format.room_id_is_create_hash:
            return None
        create_id = "$" + room.id[1:]
        for event in events:
            if event.event_id == create_id:
                return event
        stored = known.get(create_id) or await self._event(create_id)
        return stored.event if stored is not None else None


@dataclass(frozen=True, slots=True)
class _Judged:
    #: The event, with the policy server's signature if it was asked for that.
    event: Event
    verdict: Verdict
    #: Of the state before the event: what it leans on, and what it replaces.
    state: Mapping[StateKey, StoredEvent]
    #: Whether that state is the room's front's.
    by_front: bool


def _is_second_create(room: Room | Place, event: Event) -> bool:
    """Whether another event than this one has created the room. Its server could make a second that looks as good."""
    if event.type != CREATE_KEY[0] or not isinstance(room, Room):
        return False
    return room.current.state.get(CREATE_KEY, event.event_id) != event.event_id


def _leans_on(event: Event) -> list[StateKey]:
    return auth_event_keys(event.type, event.state_key, event.sender, event.content, event.version)


def _rejected(stored: Iterable[StoredEvent]) -> frozenset[str]:
    return frozenset(one.event.event_id for one in stored if one.outcome.is_rejected)


def _event_of(stored: StoredEvent | None) -> Event | None:
    return stored.event if stored is not None else None
