"""Rooms as an administrator looks into them: everything, whoever may see it otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from weft.modules.events import Sight
from weft.modules.events.sight import Seen, membership_at
from weft.modules.membership import Viewing
from weft.modules.membership.viewing import View
from weft.protocol.errors import NotFound
from weft.rooms.room import Room
from weft.storage.events import StoredEvent


class OpenSight(Sight):
    """Sees every event."""

    async def of(
        self, room: Room, user_id: str, stored: Sequence[StoredEvent], ignored: Collection[str] = ()
    ) -> list[Seen]:
        spans = await self.spans(room, user_id)
        return [Seen(one, membership_at(spans, one.order)) for one in stored]

    async def is_open(self, room: Room, user_id: str) -> bool:
        return True


class OpenViewing(Viewing):
    """Looks into every room that this server knows, as it is now."""

    async def view(self, room_id: str, user_id: str) -> View:
        """Raises `NotFound`."""
        room = await self._engine.rooms.find(room_id)
        if room is None:
            raise NotFound("This server knows no such room.")
        return View(room, room.current)


async def nobody(user_id: str) -> frozenset[str]:
    """Whom an administrator ignores while looking into reports."""
    return frozenset()
