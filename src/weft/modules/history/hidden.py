"""Stretches of a room's history that are hidden from somebody as a whole, so that nobody has to look through them.

Only for rooms whose history has always been for members alone; whatever is less plain is left to `Sight`, event by
event.
"""

from __future__ import annotations

from weft.modules.events import Sight
from weft.modules.events.places import LAST, after
from weft.modules.events.sight import Span
from weft.modules.history.store import Order
from weft.protocol.visibility import history_visibility
from weft.rooms.engine import Engine
from weft.rooms.room import Room

_CLOSED = frozenset({"joined", "invited"})
_MAX_CHANGES = 100


class Hidden:
    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine = engine
        self._sight = sight

    async def skipped_backwards(self, room: Room, user_id: str, order: Order) -> Order:
        """The place at or below `order` below which the next event lies that the user may see, as far as is known."""
        closed = await self._closed_since(room)
        spans = await self._sight.spans(room, user_id)
        if closed is None or order <= closed or len(spans) >= _MAX_CHANGES:
            return order
        before = next((span for span in spans if span.order < order), None)
        if before is None:
            return after(closed).order
        return order if _may_look(before) else min(order, after(before.order).order)

    async def skipped_forwards(self, room: Room, user_id: str, order: Order) -> Order:
        """The place at or above `order` from which on the user may see something, as far as is known."""
        closed = await self._closed_since(room)
        spans = await self._sight.spans(room, user_id)
        if closed is None or order <= closed or len(spans) >= _MAX_CHANGES:
            return order
        before = next((span for span in spans if span.order < order), None)
        if before is not None and _may_look(before):
            return order
        return min((span.order for span in spans if span.order >= order), default=LAST)

    async def _closed_since(self, room: Room) -> Order | None:
        """The place since which the history has been for members alone; None where it has ever been otherwise."""
        event_id = room.state_id("m.room.history_visibility")
        for _ in range(_MAX_CHANGES):
            stored = await self._engine.rooms.event(event_id) if event_id is not None else None
            if stored is None or history_visibility(stored.event.content) not in _CLOSED:
                return None
            if stored.replaces is None:
                return stored.order
            event_id = stored.replaces
        return None


def _may_look(span: Span) -> bool:
    return span.membership in ("join", "invite")
