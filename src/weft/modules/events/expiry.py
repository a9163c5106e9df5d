"""When a room's messages are too old to be shown."""

from __future__ import annotations

from weft.protocol.retention import KEY, Bounds, lifetime_ms
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.settings import Retention


class Expiry:
    """What `m.room.retention` and this server's settings say of rooms."""

    def __init__(self, engine: Engine, settings: Retention) -> None:
        self._engine = engine
        self.is_enabled = settings.enabled
        self.bounds = Bounds(settings.default_lifetime, settings.shortest_lifetime, settings.longest_lifetime)

    def is_on(self, room: Room) -> bool:
        """Whether any message of a room may be too old: cheap, and False only where that is sure."""
        return self.is_enabled and (self.bounds.default is not None or room.state_id(*KEY) is not None)

    async def before_ms(self, room: Room) -> int | None:
        """Messages from before that time have expired; None where none do."""
        if not self.is_on(room):
            return None
        event_id = room.state_id(*KEY)
        stored = await self._engine.rooms.event(event_id) if event_id is not None else None
        lifetime = lifetime_ms(stored.event.content if stored is not None else None, self.bounds)
        return None if lifetime is None else self._engine.outside.now_ms() - lifetime
