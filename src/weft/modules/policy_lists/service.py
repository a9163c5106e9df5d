"""Keeps the rules of the lists at hand, and applies them as the specification suggests for servers.

Users who are banned, or whose server is, invite nobody here and are invited by nobody; rooms that are banned are
joined by nobody, and nobody is invited to them. Who is in a room already stays. This server's own users are never
banned: whoever writes a list could shut it out of its own rooms.

https://spec.matrix.org/v1.19/client-server-api/#mban-recommendation
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from weft.protocol.errors import Forbidden
from weft.protocol.policy_lists import TYPES, PolicyRules
from weft.rooms.engine import Engine
from weft.storage.positions import Entry

log = structlog.get_logger(__name__)


class PolicyLists:
    def __init__(self, engine: Engine, rooms: Sequence[str]) -> None:
        self._engine = engine
        self._rooms = rooms
        self._rules = PolicyRules()
        #: The numbers of those rooms that somebody of this server is in.
        self._numbers: set[int] = set()
        self._loading: asyncio.Task[None] | None = None
        self._is_stale = False

    # -- what is banned

    def check_room(self, room_id: str) -> None:
        """Raises `Forbidden` for a room that nobody of this server shall get into."""
        if self._rules.bans_room(room_id):
            raise Forbidden("The room is on a policy list of this server.")

    def check_invite(self, inviter: str, target: str) -> None:
        """Raises `Forbidden` where one of the two is banned."""
        for user_id in (inviter, target):
            if not self._engine.is_local(user_id) and self._rules.bans_user(user_id):
                raise Forbidden(f"{user_id} is on a policy list of this server.")

    # -- the rules

    async def load(self) -> None:
        """Reads the lists as they are now."""
        rules = []
        numbers = set()
        for room_id in self._rooms:
            room = await self._engine.rooms.find(room_id)
            if room is None or not room.joined_local:
                log.warning("nobody of this server is in the room of a policy list", room_id=room_id)
                continue
            numbers.add(room.number)
            keys = [key for key, _ in room.state if key[0] in TYPES]
            events = await self._engine.rooms.state_events(room, keys)
            rules += [(event.type, event.content) for event in events.values()]
        self._rules, self._numbers = PolicyRules(rules), numbers

    def apply(self, entries: Sequence[Entry]) -> None:
        """Has the lists read again where one of them may have changed."""
        is_joining = len(self._numbers) < len(self._rooms)
        if any(entry.room in self._numbers or (is_joining and entry.kind == "event") for entry in entries):
            self._is_stale = True
            if self._loading is None:
                self._loading = asyncio.create_task(self._load_again())

    async def _load_again(self) -> None:
        try:
            while self._is_stale:
                self._is_stale = False
                await self.load()
        except Exception:
            log.exception("policy lists could not be read")
        finally:
            self._loading = None

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
