"""Presence, for application services. https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data"""

from __future__ import annotations

from collections.abc import Sequence

from weft.modules.module import Hearing
from weft.modules.presence.service import Presence
from weft.modules.presence.store import KIND
from weft.modules.presence.sync import event_of
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class PresenceOverheard:
    """Implements `weft.modules.module.Overheard`: the presence, as it is now, of users that a service hears."""

    kinds = frozenset({KIND})

    def __init__(self, engine: Engine, presence: Presence) -> None:
        self._engine = engine
        self._presence = presence

    async def told(self, entries: Sequence[Entry], hearing: Hearing) -> list[bytes]:
        told: list[bytes] = []
        for user_id in dict.fromkeys(entry.user_id for entry in entries if entry.user_id is not None):
            state = await self._presence.of(user_id) if await hearing.hears_user(user_id) else None
            if state is not None:
                ago = self._engine.outside.now_ms() - self._presence.last_active_ms(state)
                told.append(event_of(state, max(0, ago)))
        return told
