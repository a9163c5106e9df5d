"""What those see of a room's state who are invited to it or knock at it.

Made once for each set of state events and kept, since everybody who is invited gets the same bytes.

https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from weft.protocol.client_event import dumps, stripped
from weft.protocol.event import Event
from weft.rooms.engine import Engine
from weft.rooms.previews import PREVIEW_KEYS
from weft.rooms.room import Room
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry

_MEMBER: Final = "m.room.member"

#: The rooms' ids of those events, and the events' bytes.
_Kept = tuple[tuple[str, ...], list[bytes]]


class StrippedStates:
    """Gives the stripped state of rooms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept = engine.budget.cache("stripped_states", 0.01, _size)

    async def of(self, room: Room, user_id: str) -> list[bytes]:
        """The stripped state events that a user is shown of a room, as JSON. The list is shared: don't change it.

        Of a room that nobody here is in, what another server showed of it.
        """
        if not room.joined_local and (view := await self._engine.remote.outside.view(room.number, user_id)) is not None:
            return [dumps(event) for event in view if event.get("state_key") != user_id or event["type"] != _MEMBER]
        state = room.current.state
        ids = tuple(event_id for key in PREVIEW_KEYS if (event_id := state.get(key)) is not None)
        kept: _Kept | None = self._kept.get(room.id)
        if kept is not None and kept[0] == ids:
            return kept[1]
        found = await self._engine.rooms.events(ids)
        made = [stripped_json(found[event_id].event) for event_id in ids if event_id in found]
        self._kept.put(room.id, (ids, made))
        return made

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what was made of an event that was redacted."""
        for entry in entries:
            if entry.kind == "redacted" and isinstance(entry.payload, StoredEvent):
                self._kept.drop(entry.payload.event.room_id)


def stripped_json(event: Event) -> bytes:
    """A state event in the stripped form."""
    return dumps(stripped(event))


def _size(kept: _Kept) -> int:
    return 500 + sum(len(one) for one in kept[1])
