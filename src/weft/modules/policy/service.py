"""Signs events for rooms that have this server as their policy server, if its operator's hook has nothing against them.

Rooms name the key, which is another one than the server's own: it says "wanted", not "this is me".

https://spec.matrix.org/v1.19/server-server-api/#policy-servers
"""

from __future__ import annotations

import msgspec

from weft.protocol.errors import BadJson, InvalidEvent, NotFound
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.rooms.incoming import read, room_id_of
from weft.rooms.policy import KEY_ID, TYPE


class Policy:
    def __init__(self, engine: Engine, access: RoomAccess) -> None:
        self._engine = engine
        self._access = access

    @property
    def public_key(self) -> str:
        """The key that rooms name which have this server as their policy server. Raises `NotFound` where it is none."""
        key = self._engine.remote.policy.signing_key
        if key is None:
            raise NotFound("This server is no policy server.")
        return key.verify_key.to_base64()

    async def sign(self, origin: str, pdu: msgspec.Raw) -> dict[str, dict[str, str]]:
        """Our signature of an event.

        Raises `NotFound` for a room that nobody here is in, and `Forbidden` for an event that is not wanted.
        """
        room_id = room_id_of(pdu)
        if room_id is None:
            raise BadJson("The event names no room.")
        room = await self._engine.rooms.find(room_id) if "\0" not in room_id else None
        if room is None or not room.joined_local:
            # Whether the room asks us is not looked at: those who ask may have heard of that before us.
            raise NotFound("This server is not in that room.")
        await self._access.check_acl(room, origin)
        try:
            event = read(pdu, room.version)
        except InvalidEvent as error:
            raise BadJson(error.message) from None
        if event.type == TYPE and event.state_key == "":
            raise BadJson("Nobody signs the event that names the policy server.")
        server = await self._engine.remote.policy.of(room)
        name = server.name if server is not None else self._engine.remote.missing.own_domain(room)
        return {name: {KEY_ID: await self._engine.remote.policy.vouch(origin, event)}}
