"""The state of a room at one of its events.

https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from weft.modules.events import EventForms, Viewer
from weft.protocol.event import StateKey
from weft.protocol.filters import EventFilter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import snapshots
from weft.storage.events import StoredEvent


class States:
    """Looks states up; what differs little from the present state costs little."""

    def __init__(self, engine: Engine, forms: EventForms) -> None:
        self._engine = engine
        self._forms = forms

    async def at(self, room: Room, snapshot: int) -> Mapping[StateKey, str]:
        """A whole state: the event ids by type and state key."""
        known = room.snapshots.get(snapshot)
        if known is not None:
            return known.state
        present = room.current
        changes = await self._engine.database.read(snapshots.changes_between, present.id, snapshot)
        state = present.state.mutate()
        for key, (_, then) in changes.items():
            if then is not None:
                state[key] = then
            else:
                state.pop(key, None)
        return state.finish()

    async def members_at(self, room: Room, snapshot: int, user_ids: Collection[str]) -> dict[str, StoredEvent]:
        """The member events of some users in a state, by user id."""
        keys: list[StateKey] = [("m.room.member", user_id) for user_id in user_ids]
        known = room.snapshots.get(snapshot)
        if known is not None:
            ids = {key: event_id for key in keys if (event_id := known.state.get(key)) is not None}
        else:
            ids = await self._engine.database.read(snapshots.entries, snapshot, keys)
        found = await self._engine.rooms.events(ids.values())
        return {key[1]: found[event_id] for key, event_id in ids.items() if event_id in found}

    async def bytes_at(
        self, room: Room, snapshot: int, viewer: Viewer, chosen: EventFilter, senders: Collection[str]
    ) -> list[bytes]:
        """A state's events as clients get them, as a filter wants them.

        With lazy members only the member events of `senders` are among them.
        """
        state = await self.at(room, snapshot)
        lazily = chosen.lazy_load_members
        wanted = [
            event_id
            for (event_type, state_key), event_id in state.items()
            if chosen.wants_type(event_type)
            and not (lazily and event_type == "m.room.member" and state_key not in senders)
        ]
        found = await self._engine.rooms.events(wanted)
        stored = [found[event_id] for event_id in wanted if event_id in found]
        return self.bytes_of((one for one in stored if _wants(chosen, one)), viewer)

    def bytes_of(self, stored: Iterable[StoredEvent], viewer: Viewer) -> list[bytes]:
        """State events as clients get them, outside of a timeline."""
        now_ms = self._engine.outside.now_ms()
        return [self._forms.bytes_of(one, viewer, now_ms, with_room_id=True, bundled=False) for one in stored]


def _wants(chosen: EventFilter, stored: StoredEvent) -> bool:
    event = stored.event
    return chosen.wants_room(event.room_id) and chosen.wants(event.type, event.sender, has_url="url" in event.content)
