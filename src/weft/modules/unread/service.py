"""How many events a user has not read and would be notified of, in a room: asked for, never pushed.

Sending an event costs nothing here beyond remembering it. Whoever asks gets their tally of the room moved on by the
events that came since. The first time, the events after what the user has read are looked at: at most
`_MAX_LOOKED_AT`, the newest. A tally that took some looking is put down, so that a process that does not have it
in memory goes on from there.

https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from weft.modules.account_data import AccountData
from weft.modules.events import Sight
from weft.modules.push_rules import PushRules
from weft.modules.receipts import Receipts
from weft.modules.receipts.store import KIND as RECEIPT
from weft.modules.receipts.store import PRIVATE_KIND as PRIVATE_RECEIPT
from weft.modules.receipts.store import Place
from weft.modules.thread_subscriptions import ThreadSubscriptions
from weft.modules.thread_subscriptions.store import KIND as THREAD_SUBSCRIPTION
from weft.modules.unread import store
from weft.modules.unread.noted import CREATE, LEVELS, NotedEvents
from weft.modules.unread.store import Inputs
from weft.modules.unread.tally import Counts, Feed, Reader, Start, Tally, digest
from weft.protocol.push_rules import DEFAULT_RULESET, Actions, Ruleset, dump
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events
from weft.storage.database import DatabaseError, WriteTransaction
from weft.storage.derived import Derived
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

logger = structlog.get_logger(__name__)

_MAX_LOOKED_AT = 1_000
#: After how many events that were looked at for it a tally is put down.
_WORTH_KEEPING = 24
_PAGE = 200
_KEPT_FEEDS = 2_000
_TALLY_BYTES = 1_500
_NOWHERE: Place = (-1, 0)

_Key = tuple[str, str]


@dataclass(slots=True)
class _Batch:
    """The inputs of one user's tallies of several rooms, by the rooms' numbers, on their way to being made."""

    user_id: str
    starts: Mapping[int, Start]
    inputs: Mapping[int, Inputs] = field(default_factory=dict)
    #: The rooms whose inputs changed after they were read, by id.
    outdated: set[str] = field(default_factory=set)


class Unread:
    def __init__(
        self,
        engine: Engine,
        *,
        push_rules: PushRules,
        receipts: Receipts,
        account_data: AccountData,
        sight: Sight,
        threads: ThreadSubscriptions,
    ) -> None:
        self._engine = engine
        engine.purging.tables["unread_tallies"] = "user_id, room"
        self._push_rules = push_rules
        self._receipts = receipts
        self._account_data = account_data
        self._sight = sight
        self._threads = threads
        self.noted = NotedEvents(engine, with_threads=threads.enabled)
        self._feeds: OrderedDict[int, Feed] = OrderedDict()
        self._tallies: Derived[_Key, Tally] = Derived(
            engine.budget.cache("unread", 0.03, lambda _: _TALLY_BYTES), self._make
        )
        self._batches: list[_Batch] = []

    async def counts(self, user_id: str, room: Room) -> Counts:
        """What a joined user has not read in a room, including every event that this process knows of."""
        if room.membership(user_id) != "join":
            return Counts()
        key = (user_id, room.id)
        feed = self._feed(room.number)
        ruleset = self._push_rules.ruleset_now(user_id) or await self._push_rules.ruleset_of(user_id)
        ignored = self._account_data.ignored_users_now(user_id)
        if ignored is None:
            ignored = await self._account_data.ignored_users(user_id)
        tally = self._tallies.now(key)
        if tally is None or not _fits(tally, feed, ruleset, ignored):
            self._tallies.drop(key)
            tally = await self._tallies.get(key)
        if tally.seen != tally.feed.seen and not await self._move_on(room, tally):
            self._tallies.drop(key)
            tally = await self._tallies.get(key)
        if tally.looked_at >= _WORTH_KEEPING and tally.epoch == tally.feed.epoch:
            self._keep(room, tally)
        return tally.counts

    async def have(self, user_id: str, rooms: Sequence[Room]) -> None:
        """Has a user's tallies of several rooms at hand, read together."""
        missing = [room for room in rooms if self._tallies.now((user_id, room.id)) is None]
        if len(missing) < 2:
            return
        batch = _Batch(user_id, {room.number: self._start(room) for room in missing})
        self._batches.append(batch)
        try:
            head = self._engine.log.head
            batch.inputs = await self._engine.database.read(store.inputs, user_id, list(batch.starts), head)
            await self._engine.rooms.events(_asked_about(user_id, missing, batch.inputs))
            for room in missing:
                await self._tallies.get((user_id, room.id))
        finally:
            self._batches.remove(batch)

    async def reader(self, user_id: str, room: Room) -> Reader:
        """By whose rules the events of a room are judged."""
        ruleset = await self._push_rules.ruleset_of(user_id)
        name, rules = None, b""
        if ruleset is not DEFAULT_RULESET:
            member = await self._engine.rooms.state_event(room, "m.room.member", user_id)
            found = member.content.get("displayname") if member is not None else None
            name = found if isinstance(found, str) else None
            rules = dump(await self._push_rules.rules_of(user_id))
        threads = await self._threads.of_room(user_id, room.number)
        return Reader(user_id, name, ruleset, await self._account_data.ignored_users(user_id), rules, threads)

    async def actions(self, reader: Reader, room: Room, stored: StoredEvent) -> Actions | None:
        """What an event of a room notifies somebody with; None if it does not."""
        noted = (await self.noted.of(room, [stored]))[0]
        return reader.judge(noted.flat)

    async def read_up_to(self, user_id: str, room: Room) -> tuple[Place, dict[str, Place]]:
        """The place up to which a user has read (or could read) everything, and that for each thread."""
        return await self._floor(user_id, room, await self._receipts.latest_receipts(user_id, room.number))

    async def _floor(self, user_id: str, room: Room, read: Mapping[str, Place]) -> tuple[Place, dict[str, Place]]:
        places = dict(read)
        joined_at = await self._sight.joined_at(room, user_id)
        return max(places.pop("", _NOWHERE), joined_at or _NOWHERE), places

    # -- tallies

    async def _move_on(self, room: Room, tally: Tally) -> bool:
        """Takes in the events that came since. False where there were too many."""
        while tally.seen != (target := tally.feed.seen):
            start, head = tally.seen, self._engine.log.head
            stored = tally.feed.after(start)
            if stored is None:
                return False
            relevant = tally.relevant(await self.noted.of(room, stored))
            await self.noted.find_threads(noted for noted, _ in relevant)
            # Somebody else may have done it meanwhile.
            if tally.seen == start:
                tally.count(relevant)
                tally.seen, tally.cut = target, head
                tally.looked_at += len(stored)
        return True

    async def _make(self, key: _Key) -> Tally:
        user_id, room_id = key
        room = await self._engine.rooms.get(room_id)
        reader = await self.reader(user_id, room)
        start, inputs = self._from_batch(user_id, room) or await self._read_inputs(user_id, room)
        floor, places = await self._floor(user_id, room, inputs.places)
        made_from = digest(reader, floor, places)
        if inputs.kept is not None and inputs.kept.made_from == made_from:
            tally = Tally(reader, start, floor, places, made_from)
            tally.threads.update(inputs.kept.threads)
            unread = inputs.kept.news
        else:
            room = await self._engine.rooms.get(room_id)
            # From here to the reading of the timeline nothing waits: the feed goes on where the head is.
            tally = Tally(reader, self._start(room), floor, places, made_from)
            unread = [stored for stored in room.timeline if stored.order > floor]
            if len(unread) == len(room.timeline) and not room.timeline_whole:
                unread = await self._older(room, unread, floor, tally.cut) + unread
        tally.looked_at = len(unread)
        relevant = tally.relevant(await self.noted.of(room, unread))
        await self.noted.find_threads(noted for noted, _ in relevant)
        tally.count(relevant)
        return tally

    def _start(self, room: Room) -> Start:
        """Where a tally begins that is made from what the tables hold at this moment, or later."""
        feed = self._feed(room.number)
        return Start(feed, feed.seen, feed.epoch, self._engine.log.head)

    async def _read_inputs(self, user_id: str, room: Room) -> tuple[Start, Inputs]:
        start = self._start(room)
        found = await self._engine.database.get(store.inputs, user_id, [room.number], start.cut)
        return start, found[room.number]

    def _from_batch(self, user_id: str, room: Room) -> tuple[Start, Inputs] | None:
        for batch in self._batches:
            if batch.user_id == user_id and room.number in batch.inputs and room.id not in batch.outdated:
                return batch.starts[room.number], batch.inputs[room.number]
        return None

    def _keep(self, room: Room, tally: Tally) -> None:
        """Puts a tally down; nobody waits for that, and nothing is lost if it fails."""
        tally.looked_at = 0
        with contextlib.suppress(DatabaseError):
            kept = self._engine.database.submit(
                store.keep, tally.reader.user_id, room.number, tally.cut, tally.made_from, dict(tally.threads)
            )
            kept.add_done_callback(_ended)

    async def _older(self, room: Room, recent: Sequence[StoredEvent], floor: Place, head: Vector) -> list[StoredEvent]:
        """The events between a place and the recent ones, oldest first; the newest of them where they are many."""
        found: list[StoredEvent] = []
        start = recent[0].order if recent else (1 << 62, 1 << 62)
        while len(found) < _MAX_LOOKED_AT:
            page = await self._engine.database.read(
                events.page, room.number, start=start, backwards=True, limit=_PAGE, cut=head
            )
            found += [stored for stored in page if stored.order > floor]
            if len(page) < _PAGE or page[-1].order <= floor:
                break
            start = page[-1].order
        return found[::-1]

    def _feed(self, room: int) -> Feed:
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = Feed()
            if len(self._feeds) > _KEPT_FEEDS:
                self._feeds.popitem(last=False)
        else:
            self._feeds.move_to_end(room)
        return feed

    # -- keeping up

    def forget(self) -> None:
        """Has every tally made anew."""
        self._tallies.clear()

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        for entry in entries:
            feed = self._feeds.get(entry.room) if entry.room is not None else None
            if entry.kind == "event":
                if feed is not None and isinstance(entry.payload, StoredEvent):
                    self._event(feed, entry.payload)
            elif entry.kind in ("redacted", "resolution"):
                if feed is not None:
                    feed.epoch += 1
            elif entry.kind == RECEIPT and entry.room is not None and entry.user_id is not None:
                room_id = self._engine.rooms.room_id_now(entry.room)
                if room_id is not None:
                    self._drop(entry.user_id, room_id)
            elif entry.kind in (PRIVATE_RECEIPT, THREAD_SUBSCRIPTION) and entry.user_id is not None:
                self._drop(entry.user_id, entry.key or "")

    def _event(self, feed: Feed, stored: StoredEvent) -> None:
        feed.add(stored)
        event = stored.event
        if event.type == "m.room.member" and event.state_key is not None:
            self._drop(event.state_key, event.room_id)

    def _drop(self, user_id: str, room_id: str) -> None:
        self._tallies.drop((user_id, room_id))
        for batch in self._batches:
            if batch.user_id == user_id:
                batch.outdated.add(room_id)

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Follows the log for the tallies on disk: what counted may have been redacted."""
        rooms = {entry.room for entry in entries if entry.room is not None}
        if rooms:
            await self._engine.database.write(store.forget_rooms, rooms)

    def removed(self, tx: WriteTransaction, user_id: str) -> None:
        """Forgets the user's tallies, in the transaction in which the account ends."""
        store.forget_user(tx, user_id)


def _asked_about(user_id: str, rooms: Iterable[Room], inputs: Mapping[int, Inputs]) -> list[str]:
    """The ids of the state events that making tallies asks for."""
    wanted: list[str | None] = []
    for room in rooms:
        wanted.append(room.state_id("m.room.member", user_id))
        kept = inputs[room.number].kept
        if kept is None or kept.news:
            wanted += [room.state_id(*place) for place in (LEVELS, CREATE)]
    return [event_id for event_id in wanted if event_id is not None]


def _ended(kept: asyncio.Future[None]) -> None:
    if not kept.cancelled() and (error := kept.exception()) is not None:
        logger.warning("a tally of unread events could not be kept", error=str(error))


def _fits(tally: Tally, feed: Feed, ruleset: Ruleset, ignored: Collection[str]) -> bool:
    """Whether a tally was made from what still holds."""
    reader = tally.reader
    return tally.feed is feed and tally.epoch == feed.epoch and reader.ruleset is ruleset and reader.ignored == ignored
