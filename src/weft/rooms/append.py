"""How this server's own users change rooms: a draft is put at the room's front, judged, signed, and written.

From the moment the front is read until the write is queued nothing waits, so that within one process a room has one
writer at a time, while any number of its events may be on their way to the disk. If a write fails, those built on
it fail too and are built again on what is really there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from weft.graph.build import Draft, Identity, auth_keys, build
from weft.graph.snapshot import Snapshot
from weft.protocol.errors import Forbidden, LimitExceeded, NotFound
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import authorise
from weft.protocol.identifiers import domain_of
from weft.protocol.room_versions import RoomVersion
from weft.protocol.stickiness import sticky_until
from weft.rooms.commit import Also, Made, RoomMoved, Row, commit, redactable
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import transaction_ids
from weft.storage.database import Database, UniqueViolation, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.transaction_ids import TransactionKey

#: The state event that names a room's policy server.
POLICY = "m.room.policy"
#: How often an event is built again because the room moved on under it.
_TRIES = 10


@dataclass(slots=True)
class _Front:
    """Where the next event goes, while several are made in a row."""

    version: RoomVersion
    room_id: str | None
    ends: tuple[StoredEvent, ...]
    snapshot: Snapshot
    made: list[Made] = field(default_factory=list)
    fresh: dict[str, StoredEvent] = field(default_factory=dict)
    #: Events that were read for this.
    read: dict[str, StoredEvent] = field(default_factory=dict)


#: Sends an event of ours once the room's policy server has signed it; with more writes for the transaction.
Checked = Callable[[str, Event, Also], Awaitable[StoredEvent]]


class Append:
    """Puts local users' events into rooms."""

    def __init__(
        self, database: Database, rooms: Rooms, identities: Mapping[str, Identity], now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._identities = identities
        self._now_ms = now_ms
        #: Sends in rooms that have a policy server, which has to sign first.
        self.checked: Checked | None = None
        #: Requests with a transaction id that are not answered yet.
        self._under_way: dict[TransactionKey, asyncio.Future[None]] = {}

    async def append(
        self, room_id: str, draft: Draft, *, transaction: TransactionKey | None = None, also: Also | None = None
    ) -> StoredEvent:
        """Sends one event. Returns once it is on disk; a repeated transaction returns the first one's event.

        Raises `AuthRuleViolation` with the rule that forbids it, `BadJson` for content that can't be sent,
        `NotFound` for an unknown room.
        """
        return (await self.append_all(room_id, [draft], transaction=transaction, also=also))[0]

    async def prepare(self, room_id: str, draft: Draft) -> Event:
        """The event that `append` would send now, signed; it is not part of the room. Raises as `append` does."""
        for _ in range(_TRIES):
            front = await self._make(await self._rooms.get(room_id), [draft], {})
            if front is not None:
                return front.made[0].stored.event
        raise LimitExceeded(1000, "The room changes too fast; try again.")

    async def append_all(
        self,
        room_id: str,
        drafts: Sequence[Draft],
        *,
        transaction: TransactionKey | None = None,
        also: Also | None = None,
    ) -> list[StoredEvent]:
        """Sends several events in a row, all or none. With a transaction id there is one draft."""
        if transaction is None:
            return await self._append_all(room_id, drafts, None, also)
        # A repetition that comes while the first request is under way waits for it.
        while (first := self._under_way.get(transaction)) is not None:
            await asyncio.wait([first])
        ended = self._under_way[transaction] = asyncio.get_running_loop().create_future()
        try:
            if (answered := await self._answered(transaction)) is not None:
                return [answered]
            return await self._append_all(room_id, drafts, transaction, also)
        finally:
            del self._under_way[transaction]
            ended.set_result(None)

    async def _append_all(
        self, room_id: str, drafts: Sequence[Draft], transaction: TransactionKey | None, also: Also | None
    ) -> list[StoredEvent]:
        read: dict[str, StoredEvent] = {}
        for _ in range(_TRIES):
            room = await self._rooms.get(room_id)
            if self.checked is not None and room.state_id(POLICY) is not None:
                return await self._append_checked(self.checked, room_id, drafts, transaction, also)
            front = await self._make(room, drafts, read)
            if front is None:
                continue
            if transaction is not None:
                front.made[0].stored.transactions = {transaction.device_id: transaction.txn_id}
            for made in front.made:
                room.extend(made.stored, made.snapshot or front.snapshot)
                self._rooms.put_event(made.stored)
            try:
                forked = await self._write(room_id, front, room.number, transaction, also)
            except RoomMoved:
                continue
            except UniqueViolation as error:
                # Another process was faster, with the same request or with an event that is the same in every byte.
                if error.table not in ("events", "transaction_ids"):
                    raise
                if transaction is not None and (answered := await self._answered(transaction)) is not None:
                    return [answered]
                continue
            if forked:
                await self._resolve(room_id)
            return [made.stored for made in front.made]
        raise LimitExceeded(1000, "The room changes too fast; try again.")

    async def _append_checked(
        self,
        checked: Checked,
        room_id: str,
        drafts: Sequence[Draft],
        transaction: TransactionKey | None,
        also: Also | None,
    ) -> list[StoredEvent]:
        """As `_append_all`, one event after the other: what was signed can't be built again on a room that moved on."""

        def beside(tx: WriteTransaction, stored: Sequence[StoredEvent]) -> None:
            if transaction is not None:
                event_id = stored[0].event.event_id
                stored[0].transactions = {transaction.device_id: transaction.txn_id}
                transaction_ids.insert(tx, transaction, now_ms=self._now_ms(), event_id=event_id)
            if also is not None:
                also(tx, stored)

        return [await checked(room_id, await self.prepare(room_id, draft), beside) for draft in drafts]

    async def _resolve(self, room_id: str) -> None:
        """Sees to it that what was just written is part of the room's state, or is known not to be."""
        self._rooms.drop(room_id)
        await self._rooms.get(room_id)

    async def create(
        self, version: RoomVersion, room_id: str | None, drafts: Sequence[Draft], also: Also | None = None
    ) -> Room:
        """Makes a room from its first events, the create event foremost; all or none.

        `room_id` is None for room versions whose room id is the create event's hash. There, two rooms that somebody
        makes in the same way in the same millisecond would be one: the second create event tells a later time.
        """
        first, *others = drafts
        while True:
            front = _Front(version, room_id, (), Snapshot.root(self._rooms.new_snapshot_id()))
            self._extend(front, first)
            created = front.made[0].stored.event
            if self._rooms.cached_event(created.event_id) is None:
                if self._extend_all(front, others) is not None:
                    raise AssertionError("the events of a new room are all at hand")
                for made in front.made:
                    self._rooms.put_event(made.stored)
                try:
                    await self._write(created.room_id, front, None, None, also)
                except UniqueViolation as error:
                    if room_id is not None or error.table != "rooms":
                        raise
                else:
                    return await self._rooms.get(created.room_id)
            first = replace(first, origin_server_ts=created.origin_server_ts + 1)

    def rehearse(self, version: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> None:
        """Raises what `create`, or a draft that is sent right after it, would raise for the drafts. Nothing is kept."""
        front = _Front(version, room_id, (), Snapshot.root(self._rooms.new_snapshot_id()))
        if self._extend_all(front, drafts) is not None:
            raise NotFound("An event that this refers to is not known to this server.")

    async def _answered(self, transaction: TransactionKey) -> StoredEvent | None:
        answered = await self._database.get(transaction_ids.find, transaction)
        if answered is None or answered.event_id is None:
            return None
        return await self._rooms.event(answered.event_id)

    # -- making events; nothing below waits, but for reading what is missing

    async def _make(self, room: Room, drafts: Sequence[Draft], read: dict[str, StoredEvent]) -> _Front | None:
        """The drafts as events at the room's front; None where the room moved on while something was read.

        What is read is kept in `read`, so that a second try need not wait.
        """
        while not room.stale:
            front = _Front(room.version, room.id, room.front, room.front_snapshot, read=read)
            missing = self._extend_all(front, drafts)
            if missing is None:
                return front
            # What is on its way to the disk is not there yet, and the cache may have been too small for it.
            on_its_way = {s.event.event_id: s for s in room.pending if s.event.event_id in missing}
            if on_its_way:
                read.update(on_its_way)
                continue
            found = await self._rooms.events(missing)
            if len(found) < len(missing) and not room.stale:
                raise NotFound("An event that this refers to is not known to this server.")
            read.update(found)
        return None

    def _extend_all(self, front: _Front, drafts: Sequence[Draft]) -> list[str] | None:
        """Makes an event of each draft; or says which events must be read first."""
        for draft in drafts:
            missing = self._extend(front, draft)
            if missing:
                return missing
        return None

    def _extend(self, front: _Front, draft: Draft) -> list[str]:
        version = front.version
        keys = auth_keys(draft, version)
        ids = {key: event_id for key in keys if (event_id := front.snapshot.state.get(key)) is not None}
        create_id = front.snapshot.state.get(("m.room.create", ""))
        replaced_id = front.snapshot.state.get((draft.type, draft.state_key)) if draft.state_key is not None else None
        others = (create_id, draft.redacts, replaced_id)
        wanted = {*ids.values(), *(event_id for event_id in others if event_id is not None)}
        known: dict[str, StoredEvent] = {}
        missing: list[str] = []
        for event_id in wanted:
            stored = front.fresh.get(event_id) or self._rooms.cached_event(event_id) or front.read.get(event_id)
            if stored is None:
                missing.append(event_id)
            else:
                known[event_id] = stored
        if missing:
            return missing

        def state(key: StateKey) -> Event | None:
            event_id = ids.get(key) or (create_id if key == ("m.room.create", "") else None)
            return known[event_id].event if event_id is not None else None

        event = build(
            draft,
            version=version,
            room_id=front.room_id,
            prev_events=[stored.event for stored in front.ends],
            auth_events=[known[event_id].event for event_id in ids.values()],
            identity=self._identity(draft.sender),
            now_ms=self._now_ms(),
        )
        authorise(event, state)
        snapshot = front.snapshot
        fresh: tuple[Snapshot, ...] = ()
        if event.state_key is not None:
            snapshot = snapshot.child(self._rooms.new_snapshot_id(), {event.key: event.event_id})
            fresh = (snapshot,)
        stored = StoredEvent(
            event,
            room=0,
            snapshot=snapshot.id,
            replaces=known[replaced_id] if replaced_id is not None else None,
            transactions={},
            sticky_until=None if draft.sticky_ms is None else sticky_until(event, self._now_ms()),
        )
        made = Made(stored, snapshot, fresh=fresh)
        if draft.redacts is not None:
            made.redacts = redactable(event, known.get(draft.redacts), state)
        front.made.append(made)
        front.fresh[event.event_id] = stored
        front.ends = (stored,)
        front.snapshot = snapshot
        if front.room_id is None:
            front.room_id = event.room_id
        return []

    def _identity(self, sender: str) -> Identity:
        try:
            return self._identities[domain_of(sender)]
        except KeyError:
            raise Forbidden(f"{sender} is not a user of this server.") from None

    # -- writing

    async def _write(
        self, room_id: str, front: _Front, number: int | None, transaction: TransactionKey | None, also: Also | None
    ) -> bool:
        writing = self._database.submit(_commit, room_id, front, number, transaction, self._now_ms(), also)
        self._rooms.committing(room_id, writing)

        def forget_what_failed(future: asyncio.Future[bool]) -> None:
            if future.cancelled() or future.exception() is not None:
                self._rooms.drop(room_id)
                for made in front.made:
                    self._rooms.drop_event(made.stored.event.event_id)

        writing.add_done_callback(forget_what_failed)
        # A request that is cancelled does not undo a queued write.
        return await asyncio.shield(writing)


def _commit(
    tx: WriteTransaction,
    room_id: str,
    front: _Front,
    number: int | None,
    transaction: TransactionKey | None,
    now_ms: int,
    also: Also | None,
) -> bool:
    """Whether the room's state has to be resolved after this."""
    forked = commit(tx, Row(room_id, front.version, number, front.fresh), front.made, also)
    if transaction is not None:
        transaction_ids.insert(tx, transaction, now_ms=now_ms, event_id=front.made[0].stored.event.event_id)
    return forked
