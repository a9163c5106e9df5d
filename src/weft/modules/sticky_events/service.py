"""What clients are told of sticky events: each once, whatever the timeline's limit and the history's visibility."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from weft.http.call import Requester
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.sight import Seen
from weft.modules.module import Task
from weft.rooms.engine import Engine
from weft.storage import sticky
from weft.storage.positions import Vector
from weft.storage.sticky import Sticky

#: Of one room at most so many are told in an answer, the newest.
MOST_OF_ROOM: Final = 1_000

IgnoredUsers = Callable[[str], Awaitable[Collection[str]]]


@dataclass(frozen=True, slots=True)
class Told:
    """Events of rooms by the room's id, each as a whole JSON object; `upto`: what the client has of them then."""

    rooms: Mapping[str, Sequence[bytes]]
    upto: Vector


class StickyEvents:
    def __init__(self, engine: Engine, forms: EventForms, sight: Sight, ignored_users: IgnoredUsers) -> None:
        self._engine = engine
        self._forms = forms
        self._sight = sight
        self._ignored_users = ignored_users
        self.tasks = [Task(name="sticky events that are over", every_seconds=60, run=self._remove_expired)]

    async def told(
        self,
        requester: Requester,
        *,
        rooms: Mapping[str, int],
        since: Vector | None,
        upto: Vector,
        timelines: Callable[[str], Collection[str]],
        limit: int | None = None,
    ) -> Told:
        """What a user is told of rooms that they are in (ids with numbers) beyond `since` (None: from the beginning).

        `timelines` are the ids of those that the answer has anyway. With a `limit` the oldest are told first, and
        `Told.upto` says where the next answer goes on.
        """
        database, now_ms = self._engine.database, self._engine.outside.now_ms()
        found = await database.get(sticky.told, list(rooms.values()), since, upto, now_ms) if rooms else []
        if limit is not None and len(found) > limit:
            found = found[:limit]
            upto = (since or Vector()).advanced([one.position for one in found])
        ignored = frozenset(await self._ignored_users(requester.user_id)) if found else frozenset()
        viewer = Viewer(requester.user_id, requester.device_id, ignored)
        told: dict[str, Sequence[bytes]] = {}
        for number, some in groupby(sorted(found, key=lambda one: one.room), key=lambda one: one.room):
            room_id = await self._engine.rooms.room_id(number)
            formed = await self._formed(viewer, room_id, list(some)[-MOST_OF_ROOM:], timelines(room_id))
            if formed:
                told[room_id] = formed
        return Told(told, upto)

    async def _formed(
        self, viewer: Viewer, room_id: str, found: Sequence[Sticky], in_timeline: Collection[str]
    ) -> list[bytes]:
        ids = [one.event_id for one in found if one.event_id not in in_timeline]
        stored = await self._engine.rooms.events(ids)
        room = await self._engine.rooms.get(room_id)
        ordered = sorted(stored.values(), key=lambda one: one.order)
        seen = [Seen(one, "join") for one in await self._sight.wanted(room, ordered, viewer.ignored)]
        return await self._forms.seen(room, seen, viewer, self._sight, with_room_id=False) if seen else []

    async def _remove_expired(self) -> None:
        await self._engine.database.write(sticky.remove_expired, self._engine.outside.now_ms())
