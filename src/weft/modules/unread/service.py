"""How many events a user has not read and would be notified of, in a room: asked for, never pushed.

Sending an event costs nothing here beyond remembering it. Whoever asks gets their tally of the room moved on by the
events that came since; nothing is stored. The first time, the events after what the user has read are looked at: at
most `_MAX_LOOKED_AT`, the newest.

https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

from weft.modules.account_data import AccountData
from weft.modules.events import Sight
from weft.modules.push_rules import PushRules
from weft.modules.receipts import Receipts
from weft.modules.receipts.store import KIND as RECEIPT
from weft.modules.receipts.store import PRIVATE_KIND as PRIVATE_RECEIPT
from weft.modules.receipts.store import Place
from weft.modules.unread.noted import NotedEvents
from weft.modules.unread.tally import Counts, Feed, Reader, Tally
from weft.protocol.push_rules import DEFAULT_RULESET, Ruleset
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events
from weft.storage.derived import Derived
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

_MAX_LOOKED_AT = 1_000
_PAGE = 200
_KEPT_FEEDS = 2_000
_TALLY_BYTES = 1_500
_NOWHERE: Place = (-1, 0)

_Key = tuple[str, str]


class Unread:
    def __init__(
        self, engine: Engine, *, push_rules: PushRules, receipts: Receipts, account_data: AccountData, sight: Sight
    ) -> None:
        self._engine = engine
        self._push_rules = push_rules
        self._receipts = receipts
        self._account_data = account_data
        self._sight = sight
        self.noted = NotedEvents(engine)
        self._feeds: OrderedDict[int, Feed] = OrderedDict()
        self._tallies: Derived[_Key, Tally] = Derived(
            engine.budget.cache("unread", 0.03, lambda _: _TALLY_BYTES), self._make
        )

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
        return tally.counts

    async def reader(self, user_id: str, room: Room) -> Reader:
        """By whose rules the events of a room are judged."""
        ruleset = await self._push_rules.ruleset_of(user_id)
        name = None
        if ruleset is not DEFAULT_RULESET:
            member = await self._engine.rooms.state_event(room, "m.room.member", user_id)
            found = member.content.get("displayname") if member is not None else None
            name = found if isinstance(found, str) else None
        return Reader(user_id, name, ruleset, await self._account_data.ignored_users(user_id))

    async def read_up_to(self, user_id: str, room: Room) -> tuple[Place, dict[str, Place]]:
        """The place up to which a user has read (or could read) everything, and that for each thread."""
        places = await self._receipts.latest_receipts(user_id, room.number)
        joined_at = await self._sight.joined_at(room, user_id)
        return max(places.pop("", _NOWHERE), joined_at or _NOWHERE), places

    # -- tallies

    async def _move_on(self, room: Room, tally: Tally) -> bool:
        """Takes in the events that came since. False where there were too many."""
        while tally.seen != (target := tally.feed.seen):
            start = tally.seen
            stored = tally.feed.after(start)
            if stored is None:
                return False
            await self._take_in(room, tally, stored, start, target)
        return True

    async def _take_in(self, room: Room, tally: Tally, stored: Sequence[StoredEvent], start: int, target: int) -> None:
        relevant = tally.relevant(await self.noted.of(room, stored))
        await self.noted.find_threads(noted for noted, _ in relevant)
        # Somebody else may have done it meanwhile.
        if tally.seen == start:
            tally.count(relevant)
            tally.seen = target

    async def _make(self, key: _Key) -> Tally:
        user_id, room_id = key
        room = await self._engine.rooms.get(room_id)
        reader = await self.reader(user_id, room)
        floor, places = await self.read_up_to(user_id, room)
        room = await self._engine.rooms.get(room_id)
        # From here to the reading of the timeline nothing waits: the feed goes on where the head is.
        tally = Tally(reader, self._feed(room.number), floor, places)
        head = self._engine.log.head
        recent = [stored for stored in room.timeline if stored.order > floor]
        if len(recent) == len(room.timeline) and not room.timeline_whole:
            recent = await self._older(room, recent, floor, head) + recent
        relevant = tally.relevant(await self.noted.of(room, recent))
        await self.noted.find_threads(noted for noted, _ in relevant)
        tally.count(relevant)
        return tally

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
                    self._tallies.drop((entry.user_id, room_id))
            elif entry.kind == PRIVATE_RECEIPT and entry.user_id is not None:
                self._tallies.drop((entry.user_id, entry.key or ""))

    def _event(self, feed: Feed, stored: StoredEvent) -> None:
        feed.add(stored)
        event = stored.event
        if event.type == "m.room.member" and event.state_key is not None:
            self._tallies.drop((event.state_key, event.room_id))


def _fits(tally: Tally, feed: Feed, ruleset: Ruleset, ignored: Collection[str]) -> bool:
    """Whether a tally was made from what still holds."""
    reader = tally.reader
    return tally.feed is feed and tally.epoch == feed.epoch and reader.ruleset is ruleset and reader.ignored == ignored
