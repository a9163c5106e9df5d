"""Which servers may ask about a room: those that are in it, and where everybody may look in, everybody; unless the
room's access control list keeps the server out.

Every endpoint of the Server-Server API that is about a room asks here first.

https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

from weft.protocol.errors import Forbidden
from weft.protocol.server_acl import is_allowed
from weft.protocol.visibility import history_visibility, is_visible_to_strangers
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms


class RoomAccess:
    """Answers what a server may do in a room as it is now."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def enter(self, room_id: str, origin: str) -> Room:
        """The room, for a server that may read in it.

        Raises `Forbidden`, alike for a room that is closed to the server and for one that does not exist.
        """
        room = self._rooms.cached(room_id) or await self._rooms.find(room_id)
        if room is None or not (is_in(room, origin) or await self._is_open(room)):
            raise Forbidden("Your server is not in that room.")
        await self.check_acl(room, origin)
        return room

    async def check_acl(self, room: Room, origin: str) -> None:
        """Raises `Forbidden` for a server that the room's access control list keeps out."""
        if not await self.acl_allows(room, origin):
            raise Forbidden("Your server is banned from that room.")

    async def acl_allows(self, room: Room, origin: str) -> bool:
        """Whether the room's access control list lets the server take part."""
        event = await self._rooms.state_event(room, "m.room.server_acl")
        return event is None or is_allowed(event.content, origin)

    async def _is_open(self, room: Room) -> bool:
        """Whether servers that are not in the room may look into it."""
        keys = [("m.room.history_visibility", ""), ("m.room.create", "")]
        state = await self._rooms.state_events(room, keys)
        visibility, create = (state.get(key) for key in keys)
        is_federated = create is not None and create.content.get("m.federate") is not False
        return is_federated and is_visible_to_strangers(
            history_visibility(visibility.content if visibility is not None else None)
        )


def is_in(room: Room, server_name: str) -> bool:
    """Whether a user of the server is joined to the room."""
    return room.servers.get(server_name, 0) > 0
