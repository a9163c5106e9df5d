"""What administrators do with rooms: look through them, bring users in, give somebody the say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.admin import room_store
from weft.modules.admin.room_store import RoomRow, Wanted
from weft.modules.membership import Memberships
from weft.protocol.api.synapse_admin.rooms import RoomDetails
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError, NotFound
from weft.protocol.event import Event, StateKey
from weft.protocol.identifiers import is_valid_room_id, parse_user_id
from weft.protocol.power_levels import CREATOR_LEVEL, PowerLevels
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import front
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import Entry

MAX_PAGE: Final = 1_000
#: How many overviews are brought up to date in one go.
_BATCH: Final = 200
#: What somebody is given where nobody's level can be taken as the measure.
_HIGHEST: Final = 100
_LEVELS: Final = ("m.room.power_levels", "")


class AdministeredRooms:
    """Every method raises `NotFound` for a room that this server does not know, `InvalidParam` for what is no room."""

    def __init__(self, engine: Engine, memberships: Memberships) -> None:
        self._engine = engine
        engine.purging.tables["room_overviews"] = "room"
        self._memberships = memberships
        self.follower = Follower("redacted rooms", {"redacted"}, self._redacted, from_beginning=False)

    # -- looking

    async def page(
        self, wanted: Wanted, *, order: str, backwards: bool, start: int, limit: int
    ) -> tuple[list[RoomRow], int]:
        """A page of rooms, and how many there are in all."""
        await self._refresh()
        return await self._engine.database.read(
            room_store.page, wanted, order=order, backwards=backwards, start=start, limit=min(limit, MAX_PAGE)
        )

    async def _refresh(self) -> None:
        """Brings overviews up to date with the rooms; usually there is little to do."""
        database, is_local = self._engine.database, self._engine.is_local_domain
        while rooms := await database.read(room_store.outdated, _BATCH, is_local):
            await database.write(room_store.save, rooms)
            if len(rooms) < _BATCH:
                return

    async def _redacted(self, entries: Sequence[Entry]) -> None:
        """What was redacted may be a room's name."""
        rooms = sorted({entry.room for entry in entries if entry.room is not None})
        await self._engine.database.write(room_store.forget, rooms)

    async def get(self, room_id: str) -> Room:
        if not is_valid_room_id(room_id):
            raise InvalidParam("This is not a room id.")
        room = await self._engine.rooms.find(room_id)
        if room is None:
            raise NotFound("Room not found")
        return room

    async def details(self, room_id: str) -> RoomDetails:
        """All that is told of one room."""
        room = await self.get(room_id)
        await self._refresh()
        row = await self._engine.database.read(room_store.one, room.number)
        if row is None:
            raise NotFound("This server is not in the room.")
        is_local = self._engine.is_local_domain
        tombstone = await self._engine.rooms.state_event(room, "m.room.tombstone")
        replacement = tombstone.content.get("replacement_room") if tombstone is not None else None
        return RoomDetails(
            **row._asdict(),
            avatar=await self._text(room, "m.room.avatar", "url"),
            topic=await self._text(room, "m.room.topic", "topic"),
            joined_local_devices=await self._engine.database.read(room_store.local_devices, room.number, is_local),
            forgotten=await self._engine.database.read(room_store.is_forgotten, room.number, is_local),
            tombstoned=tombstone is not None,
            replacement_room=replacement if isinstance(replacement, str) else None,
        )

    async def _text(self, room: Room, event_type: str, key: str) -> str | None:
        event = await self._engine.rooms.state_event(room, event_type)
        value = event.content.get(key) if event is not None else None
        return value if isinstance(value, str) else None

    async def state(self, room_id: str, event_type: str | None) -> list[StoredEvent]:
        """The room's state, or what of it has a type."""
        room = await self.get(room_id)
        ids = [event_id for (found, _), event_id in room.state if event_type is None or found == event_type]
        return list((await self._engine.rooms.events(ids)).values())

    async def event(self, event_id: str) -> Event:
        """An event of whatever room. Raises `NotFound`."""
        stored = await self._engine.rooms.event(event_id)
        if stored is None or not stored.position:
            raise NotFound("There is no such event.")
        return stored.event

    async def ends(self, room_id: str) -> list[StoredEvent]:
        """The events that nothing builds on yet."""
        room = await self.get(room_id)
        ids = await self._engine.database.read(front.ends, room.number)
        found = await self._engine.rooms.events(ids)
        return [found[event_id] for event_id in sorted(found)]

    # -- bringing users in

    async def join(self, requester: Requester, room_id: str, user_id: str, via: Sequence[str]) -> None:
        """Has a user of this server join, invited by the administrator where the room is not open.

        Raises `Forbidden` where the administrator may not invite.
        """
        if not self._engine.is_local(user_id):
            raise InvalidParam("Only users of this server can be brought into rooms.")
        room = await self._engine.rooms.find(room_id)
        if room is not None and room.membership(user_id) == "join":
            return
        is_ours = room is not None and room.joined_local and room.membership(user_id) != "invite"
        if room is not None and is_ours and not await self._is_public(room):
            await self._memberships.invite(requester, room_id, user_id)
        await self._memberships.join(Requester(user_id=user_id), room_id, via=via)

    async def _is_public(self, room: Room) -> bool:
        return await self._text(room, "m.room.join_rules", "join_rule") == "public"

    async def make_admin(self, room_id: str, user_id: str) -> None:
        """Gives a user the highest power that anybody of this server in the room can give; invites them if need be.

        Raises `MatrixError` where nobody of this server may.
        """
        parse_user_id(user_id)
        room = await self.get(room_id)
        giver, levels = await self._giver(room)
        content = await self._with_level(room, levels, giver, user_id)
        if content is not None:
            draft = Draft(type=_LEVELS[0], state_key=_LEVELS[1], sender=giver, content=content)
            await self._engine.append.append(room_id, draft)
        if room.membership(user_id) not in ("join", "invite") and not await self._is_public(room):
            await self._memberships.invite(Requester(user_id=giver), room_id, user_id)

    async def _giver(self, room: Room) -> tuple[str, PowerLevels]:
        """Who of this server stands highest in the room, if they may change the levels."""
        keys: list[StateKey] = [("m.room.create", ""), _LEVELS]
        state = await self._engine.rooms.state_events(room, keys)
        create = state.get(keys[0])
        if create is None or not room.joined_local:
            raise MatrixError("No user of this server is in the room.")
        levels = PowerLevels.of(state.get(_LEVELS), create, room.version)
        giver = min(room.joined_local, key=lambda user_id: (-levels.user(user_id), user_id))
        if levels.user(giver) < levels.event(_LEVELS[0], is_state=True):
            raise Forbidden("Nobody of this server may change the power levels of the room.")
        return giver, levels

    async def _with_level(self, room: Room, levels: PowerLevels, giver: str, user_id: str) -> dict[str, Any] | None:
        """The content of the room's levels with the user at the giver's; None where the user stands there already."""
        given = levels.user(giver)
        if given == CREATOR_LEVEL:
            # Nobody else can stand there.
            given = max(_HIGHEST, levels.state_default, *levels.events.values())
        if levels.user(user_id) >= given:
            return None
        current = await self._engine.rooms.state_event(room, _LEVELS[0])
        content = dict(current.content) if current is not None else {}
        users = content.get("users")
        users = dict(users) if isinstance(users, dict) else {}
        if current is None and not room.version.auth.privileged_creators:
            users[giver] = given
        return {**content, "users": {**users, user_id: given}}
