"""Typing, told to other servers and told by them.

https://spec.matrix.org/v1.19/server-server-api/#typing-notifications
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weft.modules.typing.service import Typing
from weft.modules.typing.store import KIND
from weft.protocol.errors import BadJson
from weft.protocol.identifiers import domain_of
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.storage.positions import Entry, Vector

EDU = "m.typing"
#: Who is said to type by another server is believed for so long; that server says so again before.
_BELIEVED_MS = 60_000


class TypingFederation:
    """Implements `weft.federation.sender.Outgoing`, and takes in what others tell."""

    kinds = frozenset({KIND})

    def __init__(self, engine: Engine, typing: Typing, access: RoomAccess) -> None:
        self._engine = engine
        self._typing = typing
        self._access = access

    async def take(self, origin: str, content: Mapping[str, Any]) -> None:
        room_id, user_id, typing = (content.get(key) for key in ("room_id", "user_id", "typing"))
        if not (isinstance(room_id, str) and isinstance(user_id, str) and isinstance(typing, bool)):
            raise BadJson("Typing needs a room_id, a user_id and whether they type.")
        room = await self._engine.rooms.find(room_id) if "\0" not in room_id else None
        if room is None or not room.joined_local or domain_of(user_id) != origin:
            return
        if await self._access.acl_allows(room, origin):
            await self._typing.set(user_id, room_id, typing=typing, timeout_ms=_BELIEVED_MS)

    async def servers(self, entry: Entry) -> Iterable[str]:
        if entry.room is None or entry.user_id is None or not self._engine.is_local(entry.user_id):
            return ()
        room = await self._engine.rooms.get(await self._engine.rooms.room_id(entry.room))
        return tuple(room.servers)

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        newest = {(entry.room, entry.user_id): entry for entry in entries}
        return [
            {
                "edu_type": EDU,
                "content": {
                    "room_id": await self._engine.rooms.room_id(room),
                    "user_id": user_id,
                    "typing": entry.key is not None and not entry.key.startswith("-"),
                },
            }
            for (room, user_id), entry in newest.items()
            if room is not None
        ]

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        """Nothing: who was typing then is of no interest now."""
        return ()
