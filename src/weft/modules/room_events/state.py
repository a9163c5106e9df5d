"""Reading a room's state: all of it, or one place.

Who is in the room reads the present state, who has left the one they left; anybody reads a world-readable room.

https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
"""

from __future__ import annotations

import msgspec

from weft.modules.events import EventForms, Viewer
from weft.modules.membership import Viewing
from weft.protocol.api.events import EventJson
from weft.protocol.client_event import dumps
from weft.protocol.errors import NotFound
from weft.protocol.event import Event
from weft.rooms.engine import Engine
from weft.storage.events import StoredEvent


class RoomState:
    """Every method raises `Forbidden` for a room that the viewer may not read."""

    def __init__(self, engine: Engine, viewing: Viewing, forms: EventForms) -> None:
        self._engine = engine
        self._viewing = viewing
        self._forms = forms

    async def all(self, room_id: str, viewer: Viewer) -> list[EventJson]:
        """Every state event, oldest first."""
        view = await self._viewing.view(room_id, viewer.user_id)
        found = await self._engine.rooms.events(list(view.state.state.values()))
        in_order = sorted(found.values(), key=lambda stored: stored.order)
        return await self._forms.many(in_order, viewer, bundled=False)

    async def content(self, room_id: str, viewer: Viewer, event_type: str, state_key: str) -> msgspec.Raw:
        """The content of the state event in a place; raises `NotFound` where there is none."""
        return _content_json((await self._at(room_id, viewer, event_type, state_key)).event)

    async def event(self, room_id: str, viewer: Viewer, event_type: str, state_key: str) -> EventJson:
        """The whole state event in a place; raises `NotFound` where there is none."""
        return await self._forms.one(await self._at(room_id, viewer, event_type, state_key), viewer)

    async def _at(self, room_id: str, viewer: Viewer, event_type: str, state_key: str) -> StoredEvent:
        view = await self._viewing.view(room_id, viewer.user_id)
        event_id = view.state.get(event_type, state_key)
        stored = await self._engine.rooms.event(event_id) if event_id is not None else None
        if stored is None:
            raise NotFound("The room has no such state.")
        return stored


def _content_json(event: Event) -> msgspec.Raw:
    return msgspec.Raw(dumps(event.content))
