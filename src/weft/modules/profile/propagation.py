"""Brings a new name or picture into the user's rooms, as a member event in each.

A change is written down until it has arrived everywhere. The process that took it in begins at once; what is left when
a process dies is taken up by another. Doing it twice adds nothing: rooms that show the present profile are passed over.

https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from weft.graph.build import Draft
from weft.modules.events.user_rooms import UserRooms
from weft.modules.profile import store
from weft.modules.profile.fields import IN_ROOMS
from weft.modules.profile.service import Profiles
from weft.modules.profile.store import Change
from weft.protocol.errors import BadJson, Forbidden, NotFound, WeftError
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

#: How long a request waits for its change to arrive, in seconds; most do by then.
_WAIT = 1.0
#: When somebody else takes a change up, in milliseconds.
_LEFT_OVER_MS = 60_000
#: What a member event says of how the user came in, and not of who they are.
_OF_THE_ENTRY = frozenset({"join_authorised_via_users_server", "reason", "third_party_invite", *IN_ROOMS})


class Propagation:
    def __init__(self, engine: Engine, profiles: Profiles, user_rooms: UserRooms) -> None:
        self._engine = engine
        self._profiles = profiles
        self._user_rooms = user_rooms
        self._running: set[asyncio.Task[None]] = set()

    async def set_field(self, user_id: str, key: str, value: bytes) -> None:
        """Sets a field of a profile, JSON as bytes, and brings it into the user's rooms. Raises as `Profiles` does."""
        if await self._profiles.set_field(user_id, key, value):
            await self.begin(user_id)

    async def delete_field(self, user_id: str, key: str) -> None:
        """Removes a field of a profile, also from the user's rooms. Raises as `Profiles` does."""
        if await self._profiles.delete_field(user_id, key):
            await self.begin(user_id)

    async def begin(self, user_id: str) -> None:
        """Begins with what has changed; returns when it is done, or goes on in the background."""
        task = asyncio.create_task(self._try(user_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait([task], timeout=_WAIT)

    async def take_up(self) -> None:
        """Finishes what has been left over."""
        before = self._engine.outside.now_ms() - _LEFT_OVER_MS
        for change in await self._engine.database.get(store.left_over, before):
            await self._propagate(change)

    async def _try(self, user_id: str) -> None:
        try:
            change = await self._engine.database.get(store.propagating, user_id)
            if change is not None:
                await self._propagate(change)
        except WeftError as error:
            log.info("a profile has not reached all rooms; it is tried again", user_id=user_id, error=str(error))

    async def _propagate(self, change: Change) -> None:
        seats = await self._user_rooms.of(change.user_id)
        joined = [room_id for room_id, seat in seats.items() if seat.membership == "join"]
        for room_id in joined:
            await self._bring(change.user_id, room_id)
        await self._engine.database.write(store.propagated, change)

    async def _bring(self, user_id: str, room_id: str) -> None:
        room = await self._engine.rooms.get(room_id)
        if room.membership(user_id) != "join":
            return
        member = await self._engine.rooms.state_event(room, "m.room.member", user_id)
        profile = await self._profiles.profile_of(user_id)
        if member is None or all(member.content.get(key) == profile.get(key) for key in IN_ROOMS):
            return
        try:
            await self._engine.append.append(room_id, _draft(user_id, member.content, profile))
        except (BadJson, Forbidden, NotFound) as error:
            log.info("a room does not take a new profile", room_id=room_id, user_id=user_id, error=str(error))


def _draft(user_id: str, before: Mapping[str, object], profile: Mapping[str, str]) -> Draft:
    kept = {key: value for key, value in before.items() if key not in _OF_THE_ENTRY}
    return Draft(type="m.room.member", sender=user_id, state_key=user_id, content={**kept, **profile})
