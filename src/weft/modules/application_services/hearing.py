"""What an application service is interested in: which rooms it hears.

https://spec.matrix.org/v1.19/application-service-api/#registration
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from weft.modules.events import Sharing
from weft.protocol.application_services import Registration
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: Users and rooms whose case is remembered.
_KEPT: Final = 50_000


class ServiceHearing:
    """Implements `weft.modules.module.Hearing`.

    Whether a room is heard is remembered until `forget` says that something about it may have changed.
    """

    def __init__(
        self,
        engine: Engine,
        registration: Registration,
        sharing: Sharing,
        aliases_of: Callable[[int], Awaitable[list[str]]],
    ) -> None:
        self._engine = engine
        self._registration = registration
        self._sharing = sharing
        self._aliases_of = aliases_of
        self._rooms: dict[int, bool] = {}
        self._users: dict[str, bool] = {}

    def owns(self, user_id: str) -> bool:
        known = self._users.get(user_id)
        if known is None:
            known = self._registration.has_user(user_id)
            if len(self._users) >= _KEPT:
                self._users.clear()
            self._users[user_id] = known
        return known

    async def hears_room(self, room: Room) -> bool:
        """One of its namespaces has the room or an alias of it, or one of its users is in the room."""
        known = self._rooms.get(room.number)
        if known is None:
            known = (
                self._registration.has_room(room.id)
                or any(self.owns(user_id) for user_id in room.joined_local)
                or await self._has_alias(room)
            )
            if len(self._rooms) >= _KEPT:
                self._rooms.clear()
            self._rooms[room.number] = known
        return known

    async def hears_user(self, user_id: str) -> bool:
        if self.owns(user_id):
            return True
        for room_id in await self._sharing.joined(user_id):
            room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
            if room is not None and await self.hears_room(room):
                return True
        return False

    def forget(self, room: int | None) -> None:
        """Has the question of a room, or of every room, asked anew."""
        if room is None:
            self._rooms.clear()
        else:
            self._rooms.pop(room, None)

    async def _has_alias(self, room: Room) -> bool:
        if not self._registration.aliases:
            return False
        return any(self._registration.has_alias(alias) for alias in await self._aliases_of(room.number))
