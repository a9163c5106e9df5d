"""The form in which an event goes to one client: its bytes, with what is only for this viewer and this moment added.

`unsigned` holds `age`, the viewer's `membership` at the event, for state what it replaced, for a redacted event the
redaction, for the sending device its transaction id, and what is aggregated.

https://spec.matrix.org/v1.19/client-server-api/#room-event-format
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson

from weft.modules.events.aggregations import Aggregation, Aggregations
from weft.protocol.client_event import spliced
from weft.rooms.engine import Engine
from weft.storage import transaction_ids
from weft.storage.events import StoredEvent


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom events are formed."""

    user_id: str
    device_id: str | None = None


class EventForms:
    """Forms events for clients. Whether somebody may see an event is not asked here; see `Sight`."""

    def __init__(self, engine: Engine, aggregations: Aggregations) -> None:
        self._engine = engine
        self.aggregations = aggregations

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
            await self.load(stored)
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

    async def load(self, stored: Sequence[StoredEvent]) -> None:
        """Has what is aggregated with the events at hand."""
        rooms: dict[int, list[StoredEvent]] = {}
        for one in stored:
            if one.event.state_key is None:
                rooms.setdefault(one.room, []).append(one)
        for room, events in rooms.items():
            await self.aggregations.load(room, events)

    def bytes_of(
        self,
        stored: StoredEvent,
        viewer: Viewer,
        now_ms: int,
        *,
        membership: str | None = None,
        with_room_id: bool = False,
        bundled: bool = True,
    ) -> bytes:
        """One event, without waiting: what is aggregated is left out where it is not at hand (see `load`)."""
        event = stored.event
        parts = [b'{"age":%d' % max(0, now_ms - event.origin_server_ts)]
        if membership is not None:
            parts.append(b',"membership":"%s"' % membership.encode())
        if stored.replaced is not None:
            parts.append(b"," + stored.replaced)
        if stored.transactions and viewer.device_id in stored.transactions and event.sender == viewer.user_id:
            parts.append(b',"transaction_id":' + orjson.dumps(stored.transactions[viewer.device_id]))
        if stored.redacted_by is not None:
            parts.append(b',"redacted_by":' + orjson.dumps(stored.redacted_by))
            redaction = self._engine.rooms.cached_event(stored.redacted_by)
            if redaction is not None:
                parts.append(b',"redacted_because":' + spliced(redaction.client, None, event.room_id))
        elif bundled and event.state_key is None:
            aggregation = self.aggregations.now(stored.room, event.event_id)[1]
            if aggregation is not None:
                parts.append(b',"m.relations":' + self._relations(aggregation, viewer, now_ms))
        parts.append(b"}")
        return spliced(stored.client, b"".join(parts), event.room_id if with_room_id else None)

    def _relations(self, aggregation: Aggregation, viewer: Viewer, now_ms: int) -> bytes:
        parts: list[bytes] = []
        if aggregation.edit is not None:
            parts.append(b'"m.replace":' + self._bundled(aggregation.edit, viewer, now_ms))
        if aggregation.references:
            chunk = orjson.dumps({"chunk": [{"event_id": event_id} for event_id in aggregation.references]})
            parts.append(b'"m.reference":' + chunk)
        if aggregation.thread is not None:
            thread = aggregation.thread
            participated = b"true" if viewer.user_id in thread.participants else b"false"
            parts.append(
                b'"m.thread":{"latest_event":%s,"count":%d,"current_user_participated":%s}'
                % (self._bundled(thread.latest, viewer, now_ms), thread.count, participated)
            )
        return b"{" + b",".join(parts) + b"}"

    def _bundled(self, stored: StoredEvent, viewer: Viewer, now_ms: int) -> bytes:
        """An event inside another one's `unsigned`: of its own relations it may bring an edit only if at hand."""
        return self.bytes_of(stored, viewer, now_ms, with_room_id=True, bundled=stored.event.state_key is None)

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
