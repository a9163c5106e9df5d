"""Events as the counting of unread ones sees them: flattened for push rules once, and with the thread they are in.

What is worked out for one user is there for the others; the most recently used are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from weft.modules.receipts import threads
from weft.protocol.power_levels import PowerLevels
from weft.protocol.push_rules import FlattenedEvent, RoomContext
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent

_KEPT_EVENTS = 2_048
_KEPT_ROOMS = 1_000
LEVELS = ("m.room.power_levels", "")
CREATE = ("m.room.create", "")


class Noted:
    """One event. `thread` is None until it has been looked up."""

    __slots__ = ("flat", "relation", "stored", "thread")

    def __init__(self, stored: StoredEvent, flat: FlattenedEvent) -> None:
        self.stored = stored
        self.flat = flat
        self.relation = threads.relation_of(stored.event.content)
        self.thread: str | None = None
        if self.relation is None:
            self.thread = threads.MAIN
        elif self.relation.rel_type == "m.thread":
            self.thread = self.relation.target


class NotedEvents:
    """`with_threads`: push rules ask which thread an event is in, so that it is always looked up."""

    def __init__(self, engine: Engine, *, with_threads: bool) -> None:
        self._engine = engine
        self._with_threads = with_threads
        self._events: OrderedDict[str, Noted] = OrderedDict()
        #: The power levels of rooms, by number, with the snapshot that they are from.
        self._levels: OrderedDict[int, tuple[int, PowerLevels | None]] = OrderedDict()

    async def of(self, room: Room, stored: Sequence[StoredEvent]) -> list[Noted]:
        """The events of one room, flattened."""
        if not stored:
            return []
        levels = await self._levels_of(room)
        contexts: dict[str, RoomContext] = {}
        noted = [self._noted(room, levels, contexts, one) for one in stored]
        if self._with_threads:
            await self.find_threads(noted)
            for one in noted:
                one.flat.thread = one.thread if one.thread != threads.MAIN else None
        return noted

    async def find_threads(self, noted: Iterable[Noted]) -> None:
        """Sees that each event's thread is known."""
        for one in noted:
            if one.thread is None:
                one.thread = await self._engine.database.get(threads.thread_of, one.relation)

    def _noted(
        self, room: Room, levels: PowerLevels | None, contexts: dict[str, RoomContext], stored: StoredEvent
    ) -> Noted:
        """`contexts` are those of one call by sender: many events, few senders."""
        event = stored.event
        known = self._events.get(event.event_id)
        if known is not None and known.stored is stored:
            self._events.move_to_end(event.event_id)
            return known
        pdu = event.pdu if "room_id" in event.pdu else {**event.pdu, "room_id": event.room_id}
        context = contexts.get(event.sender)
        if context is None:
            context = contexts[event.sender] = RoomContext(
                member_count=room.counts["join"],
                sender_power_level=levels.user(event.sender) if levels is not None else 0,
                notification_levels=levels.notification_levels if levels is not None else {},
                push_features=room.version.push_features,
            )
        noted = self._events[event.event_id] = Noted(stored, FlattenedEvent(pdu, context))
        if len(self._events) > _KEPT_EVENTS:
            self._events.popitem(last=False)
        return noted

    async def _levels_of(self, room: Room) -> PowerLevels | None:
        snapshot = room.current.id
        known = self._levels.get(room.number)
        if known is not None and known[0] == snapshot:
            return known[1]
        state = await self._engine.rooms.state_events(room, [LEVELS, CREATE])
        create = state.get(CREATE)
        levels = PowerLevels.of(state.get(LEVELS), create, room.version) if create is not None else None
        self._levels[room.number] = (snapshot, levels)
        if len(self._levels) > _KEPT_ROOMS:
            self._levels.popitem(last=False)
        return levels
