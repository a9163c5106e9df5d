"""The form in which an event goes to one client: its bytes, with what is only for this viewer and this moment added.

`unsigned` holds `age`, the viewer's `membership` at the event, for state what it replaced, for a redacted event the
redaction, for the sending device its transaction id, and what is aggregated.

https://spec.matrix.org/v1.19/client-server-api/#room-event-format
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson

from weft.modules.events.aggregations import Aggregation, Aggregations
from weft.modules.events.sight import Seen, Sight
from weft.protocol.client_event import client_json, spliced
from weft.protocol.event import Event
from weft.protocol.redaction import redact
from weft.protocol.stickiness import FIELD as STICKY
from weft.protocol.stickiness import TTL, ttl_ms
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import transaction_ids
from weft.storage.events import StoredEvent


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom events are formed. What users in `ignored` wrote is not bundled."""

    user_id: str
    device_id: str | None = None
    ignored: frozenset[str] = frozenset()


class EventForms:
    """Forms events for clients. Whether somebody may see an event is not asked here; see `Sight`."""

    def __init__(self, engine: Engine, aggregations: Aggregations, *, erased: Collection[str] = ()) -> None:
        self._engine = engine
        self.aggregations = aggregations
        #: Users who left this server and wanted what they wrote to be erased; whoever gave it keeps it true.
        self._erased_users = erased

    async def one(self, stored: StoredEvent, viewer: Viewer, membership: str | None = None) -> msgspec.Raw:
        """One event, with its `room_id`."""
        return (await self.many([stored], viewer, {stored.event.event_id: membership} if membership else {}))[0]

    async def many(
        self,
        stored: Sequence[StoredEvent],
        viewer: Viewer,
        memberships: Mapping[str, str] | None = None,
        *,
        with_room_id: bool = True,
        bundled: bool = True,
    ) -> list[msgspec.Raw]:
        """Events, in order. `memberships` has the viewer's membership at each of them, by event id."""
        if bundled:
            await self.load(stored, viewer.ignored)
        await self.load_redactions(stored)
        await self.load_transactions(stored, viewer.user_id)
        now_ms = self._engine.outside.now_ms()
        memberships = memberships or {}
        return [
            msgspec.Raw(
                self.bytes_of(
                    one,
                    viewer,
                    now_ms,
                    membership=memberships.get(one.event.event_id),
                    with_room_id=with_room_id,
                    bundled=bundled,
                )
            )
            for one in stored
        ]

    async def seen(
        self, room: Room, seen: Sequence[Seen], viewer: Viewer, sight: Sight, *, with_room_id: bool = True
    ) -> list[bytes]:
        """Events of one room that the viewer may see, each with all that may be bundled with it."""
        stored = [one.stored for one in seen]
        await self.load(stored, viewer.ignored)
        await self.load_redactions(stored)
        await self.load_transactions(stored, viewer.user_id)
        known = self.aggregations.of_room(room.number)
        related = [aggregation for one in stored if (aggregation := known.get(one.event.event_id)) is not None]
        hidden = await self._hidden(room, related, viewer, sight) if related else ()
        now_ms, bundled = self._engine.outside.now_ms(), bool(related)
        return [
            self.bytes_of(
                one, viewer, now_ms, membership=membership, with_room_id=with_room_id, bundled=bundled, hidden=hidden
            )
            for one, membership in seen
        ]

    async def load(self, stored: Sequence[StoredEvent], ignored: Collection[str] = ()) -> None:
        """Has what is aggregated with the events at hand, for a viewer who ignores some users."""
        rooms: dict[int, list[StoredEvent]] = {}
        for one in stored:
            if one.event.state_key is None:
                rooms.setdefault(one.room, []).append(one)
        for room, events in rooms.items():
            await self.aggregations.load(room, events)
            known = self.aggregations.of_room(room)
            found = [aggregation for one in events if (aggregation := known.get(one.event.event_id)) is not None]
            threads = [aggregation.thread for aggregation in found if aggregation.thread is not None]
            if threads:
                await self.aggregations.load_latest(threads, ignored)
                latest = [thread.latest(ignored) for thread in threads]
                await self.aggregations.load(room, [one for one in latest if one is not None])

    def bytes_of(
        self,
        stored: StoredEvent,
        viewer: Viewer,
        now_ms: int,
        *,
        membership: str | None = None,
        with_room_id: bool = False,
        bundled: bool = True,
        hidden: Collection[str] = (),
    ) -> bytes:
        """One event, without waiting: what is aggregated is left out where it is not at hand (see `load`).

        `hidden` are ids of events that may not be bundled.
        """
        event = stored.event
        age = max(0, now_ms - event.origin_server_ts)
        if self._erased_users and event.sender in self._erased_users and membership not in (None, "join"):
            return self._erased(stored, age, membership, with_room_id=with_room_id)
        aggregation = (
            self.aggregations.now(stored.room, event.event_id)[1] if bundled and event.state_key is None else None
        )
        own = bool(stored.transactions) and event.sender == viewer.user_id
        ttl = ttl_ms(event, now_ms) if STICKY in event.pdu else None
        if aggregation is None and not own and stored.replaced is None and stored.redacted_by is None and ttl is None:
            # What most events are, most of the time.
            room = b',"room_id":' + orjson.dumps(event.room_id) if with_room_id else b""
            if membership is None:
                return b'%s%s,"unsigned":{"age":%d}}' % (stored.client, room, age)
            return b'%s%s,"unsigned":{"age":%d,"membership":"%s"}}' % (stored.client, room, age, membership.encode())
        parts = [b'{"age":%d' % age]
        if membership is not None:
            parts.append(b',"membership":"%s"' % membership.encode())
        if ttl is not None:
            parts.append(b',"%s":%d' % (TTL.encode(), ttl))
        if stored.replaced is not None:
            parts.append(b"," + stored.replaced)
        if own and stored.transactions and viewer.device_id in stored.transactions:
            parts.append(b',"transaction_id":' + orjson.dumps(stored.transactions[viewer.device_id]))
        if stored.redacted_by is not None:
            parts.append(b',"redacted_by":' + orjson.dumps(stored.redacted_by))
            redaction = self._engine.rooms.cached_event(stored.redacted_by)
            if redaction is not None:
                parts.append(b',"redacted_because":' + spliced(redaction.client, None, event.room_id))
        if aggregation is not None:
            relations = self._relations(event, aggregation, viewer, now_ms, hidden)
            if relations:
                parts.append(b',"m.relations":{%s}' % b",".join(relations))
        parts.append(b"}")
        return spliced(stored.client, b"".join(parts), event.room_id if with_room_id else None)

    def _relations(
        self, root: Event, aggregation: Aggregation, viewer: Viewer, now_ms: int, hidden: Collection[str]
    ) -> list[bytes]:
        parts: list[bytes] = []
        edit = aggregation.edit
        if edit is not None and edit.event.event_id not in hidden:
            parts.append(b'"m.replace":' + self._inner(edit, viewer, now_ms))
        chunk = [
            {"event_id": reference.event_id}
            for reference in aggregation.references
            if reference.sender not in viewer.ignored and reference.event_id not in hidden
        ]
        if chunk:
            parts.append(b'"m.reference":' + orjson.dumps({"chunk": chunk}))
        thread = aggregation.thread
        latest = thread.latest(viewer.ignored) if thread is not None else None
        if thread is not None and latest is not None and latest.event.event_id not in hidden:
            participated = viewer.user_id == root.sender or viewer.user_id in thread.parts
            parts.append(
                b'"m.thread":{"latest_event":%s,"count":%d,"current_user_participated":%s}'
                % (
                    self._latest(latest, viewer, now_ms, hidden),
                    thread.count(viewer.ignored),
                    b"true" if participated else b"false",
                )
            )
        return parts

    def _latest(self, latest: StoredEvent, viewer: Viewer, now_ms: int, hidden: Collection[str]) -> bytes:
        """The newest event of a thread: with its edit, but not with a thread of its own, which might never end."""
        aggregation = self.aggregations.now(latest.room, latest.event.event_id)[1]
        edit = aggregation.edit if aggregation is not None else None
        if edit is None or edit.event.event_id in hidden or latest.event.sender in self._erased_users:
            return self._inner(latest, viewer, now_ms)
        unsigned = b'{"age":%d,"m.relations":{"m.replace":%s}}' % (
            max(0, now_ms - latest.event.origin_server_ts),
            self._inner(edit, viewer, now_ms),
        )
        return spliced(latest.client, unsigned, latest.event.room_id)

    def _inner(self, stored: StoredEvent, viewer: Viewer, now_ms: int) -> bytes:
        """An event inside another one's `unsigned`. An erased one can still be asked for itself by who may see it."""
        if stored.event.sender in self._erased_users:
            return self._erased(stored, max(0, now_ms - stored.event.origin_server_ts), None, with_room_id=True)
        return self.bytes_of(stored, viewer, now_ms, with_room_id=True, bundled=False)

    def _erased(self, stored: StoredEvent, age: int, membership: str | None, *, with_room_id: bool) -> bytes:
        """The event for who was not there when it was sent: without what its sender wanted erased.

        https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
        """
        event = stored.event
        kept = Event.stored(redact(event.pdu, event.version), event.version, event.event_id)
        unsigned: dict[str, object] = {"age": age}
        if membership is not None:
            unsigned["membership"] = membership
        return spliced(client_json(kept), orjson.dumps(unsigned), event.room_id if with_room_id else None)

    async def _hidden(
        self, room: Room, aggregations: Sequence[Aggregation], viewer: Viewer, sight: Sight
    ) -> Collection[str]:
        """What would be bundled, but is not for the viewer to see."""
        if await sight.is_open(room, viewer.user_id):
            return ()
        inner: dict[str, StoredEvent] = {}
        for aggregation in aggregations:
            latest = aggregation.thread.latest(viewer.ignored) if aggregation.thread is not None else None
            nested = self.aggregations.now(latest.room, latest.event.event_id)[1] if latest is not None else None
            for one in (aggregation.edit, latest, nested.edit if nested is not None else None):
                if one is not None:
                    inner[one.event.event_id] = one
        inner |= await self._engine.rooms.events(
            {r.event_id for a in aggregations for r in a.references} - inner.keys()
        )
        visible = {one.stored.event.event_id for one in await sight.of(room, viewer.user_id, list(inner.values()))}
        return inner.keys() - visible

    async def load_redactions(self, stored: Sequence[StoredEvent]) -> None:
        """Has the redactions of redacted events at hand."""
        wanted = [one.redacted_by for one in stored if one.redacted_by is not None]
        missing = [event_id for event_id in wanted if self._engine.rooms.cached_event(event_id) is None]
        if missing:
            await self._engine.rooms.events(missing)

    async def load_transactions(self, stored: Sequence[StoredEvent], user_id: str) -> None:
        """Has the transaction ids of a user's own events at hand, where the events were read from the tables."""
        unknown = [one for one in stored if one.transactions is None and one.event.sender == user_id]
        if not unknown:
            return
        found = await self._engine.database.get(transaction_ids.of_events, [one.event.event_id for one in unknown])
        for one in unknown:
            one.transactions = found.get(one.event.event_id, {})
