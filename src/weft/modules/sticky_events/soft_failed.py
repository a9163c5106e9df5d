"""Sticky events that the room's state did not allow when they came, or that came as part of the past: what it says now.

Servers that saw the room change in another order took them, and their users have been told of them.
"""

from __future__ import annotations

from weft.modules.module import Task
from weft.protocol.errors import AuthRuleViolation, NotFound
from weft.protocol.event_auth import CREATE_KEY, auth_event_keys, authorise
from weft.rooms.engine import Engine
from weft.storage import sticky
from weft.storage.events import StoredEvent
from weft.storage.sticky import Sticky


class SoftFailed:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: By the state of the room by which an event was judged last.
        self._judged: dict[str, int] = {}
        self.tasks = [Task(name="soft-failed sticky events", every_seconds=1, run=self.look_again)]

    async def look_again(self) -> None:
        """Tells of those that are allowed by now; each is judged once by each state of its room."""
        database = self._engine.database
        hidden = await database.read(sticky.hidden, self._engine.outside.now_ms())
        self._judged = {one.event_id: self._judged[one.event_id] for one in hidden if one.event_id in self._judged}
        if hidden:
            # Nobody has asked, so that what other processes have written may not have been taken in yet.
            await self._engine.log.catch_up()
        for one in hidden:
            try:
                is_allowed = await self._is_allowed(one)
            except NotFound:
                # The room is being deleted; its rows go last.
                continue
            if is_allowed:
                await database.write(sticky.show, one.room, one.event_id)

    async def _is_allowed(self, one: Sticky) -> bool:
        rooms = self._engine.rooms
        room = await rooms.get(await rooms.room_id(one.room))
        if self._judged.get(one.event_id) == room.current.id:
            return False
        self._judged[one.event_id] = room.current.id
        stored: StoredEvent | None = await rooms.event(one.event_id)
        if stored is None:
            return False
        event = stored.event
        keys = auth_event_keys(event.type, event.state_key, event.sender, event.content, event.version)
        state = await rooms.state_events(room, [*keys, CREATE_KEY])
        try:
            authorise(event, state.get)
        except AuthRuleViolation:
            return False
        return True
