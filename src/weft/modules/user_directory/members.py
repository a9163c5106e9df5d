"""Has users of other servers found by what they are called in the rooms that they are in.

A follower of the log: it reads who joins, and goes through a room's members where its whole state has changed, as when
this server joins it. Who may find them is asked at each search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from weft.modules.user_directory import store
from weft.protocol.event import Event
from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import Entry

FOLLOWER: Final = "user_directory"
#: How many users are written at a time: each is some twenty rows, and others want to write as well.
_AT_ONCE: Final = 50
_SHOWN: Final = ("displayname", "avatar_url")
#: As local users' names are bounded; of more, the beginning is indexed.
_MAX_LENGTH: Final = 1_000


class Members:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def follower(self) -> Follower:
        return Follower(FOLLOWER, ("event", "resolution"), self.handle, from_beginning=False)

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Indexes whom some entries of the log tell of."""
        await self._index(await self._told(entries))
        for room in dict.fromkeys(entry.room for entry in entries if entry.kind == "resolution"):
            if room is not None:
                await self._index_room(room)

    async def _told(self, entries: Sequence[Entry]) -> list[Event]:
        """The member events that some entries are about, in the order of the log; most are at hand."""
        at_hand = {entry.position: entry.payload for entry in entries if isinstance(entry.payload, StoredEvent)}
        missing = [entry.position for entry in entries if entry.kind == "event" and entry.position not in at_hand]
        read = await self._engine.database.read(store.members_at, missing) if missing else {}
        found = [at_hand.get(entry.position) or read.get(entry.position) for entry in entries]
        return [stored.event for stored in found if stored is not None and stored.event.type == "m.room.member"]

    async def _index_room(self, room: int) -> None:
        after: str | None = ""
        while after is not None:
            ids, after = await self._engine.database.read(store.unknown_members, room, after, _AT_ONCE)
            found = await self._engine.database.read(events.by_ids, ids) if ids else {}
            await self._index([stored.event for stored in found.values()])

    async def _index(self, joins: Sequence[Event]) -> None:
        profiles = {
            event.state_key: _shown(event)
            for event in joins
            if event.state_key is not None and event.membership == "join" and not self._engine.is_local(event.state_key)
        }
        users = list(profiles.items())
        for start in range(0, len(users), _AT_ONCE):
            await self._engine.database.write(store.index_all, users[start : start + _AT_ONCE])


def _shown(event: Event) -> Mapping[str, str]:
    """What the event says of its user, if that is text."""
    found = {key: event.content.get(key) for key in _SHOWN}
    return {key: value[:_MAX_LENGTH] for key, value in found.items() if isinstance(value, str)}
