"""Who may see a room's summary, and the summary.

https://spec.matrix.org/v1.19/client-server-api/#room-summaries
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from weft.modules.directory import SUMMARY_KEYS, Directory, summary_of
from weft.modules.directory.summary import allowed_rooms
from weft.modules.membership.joining import may_join_by_membership
from weft.modules.room_summary.remote import RemoteRooms
from weft.protocol.api.client.room_summary import GetRoomSummaryResponse, RoomSummary
from weft.protocol.api.types import Membership
from weft.protocol.errors import NotFound
from weft.protocol.event import Event, StateKey
from weft.protocol.identifiers import domain_of
from weft.rooms.access import RoomAccess, is_in
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: Join rules under which anybody may know of the room.
_OPEN: Final = frozenset({"public", "knock", "knock_restricted"})
_CONNECTED: Final = frozenset({"join", "invite", "knock"})
#: How many of the rooms that a join rule allows are looked at.
_MOST_ALLOWED: Final = 100


class RoomSummaries:
    """Summaries of rooms: from their state where somebody of this server is in them, else from what others tell."""

    def __init__(self, engine: Engine, directory: Directory, access: RoomAccess, remote: RemoteRooms) -> None:
        self._engine = engine
        self._access = access
        self.remote = remote
        self._directory = directory

    async def for_user(
        self, room_id_or_alias: str, user_id: str | None, via: Sequence[str] = ()
    ) -> GetRoomSummaryResponse:
        """The summary for a user, or for somebody unknown. `via` are servers that may know the room.

        Raises `NotFound` alike for a room that they may not know of and for one that does not exist.
        """
        room_id, servers = await self._directory.locate(room_id_or_alias)
        room = await self._engine.rooms.find(room_id)
        summary: RoomSummary | None = None
        if room is None or not room.joined_local:
            summary = await self._told(room_id, [*via, *servers, domain_of(room_id)], user_id)
        if summary is None and room is not None:
            summary = await self.seen_by(room, user_id)
        if summary is None:
            raise _not_found()
        membership = room.membership(user_id) if room is not None and user_id is not None else None
        return GetRoomSummaryResponse(
            **{key: getattr(summary, key) for key in RoomSummary.__struct_fields__},
            membership=None if user_id is None else msgspec.convert(membership or "leave", Membership),
            unstable_encryption=summary.encryption,
            unstable_room_version=summary.room_version,
        )

    async def _told(self, room_id: str, via: Sequence[str], user_id: str | None) -> RoomSummary | None:
        told = await self.remote.room(room_id, via)
        return told.room if told is not None and await self.may_see_told(told.room, user_id) else None

    async def may_see_told(self, summary: RoomSummary, user_id: str | None) -> bool:
        """Whether somebody may know of a room, by what another server tells of it.

        That server answers for all of our users at once; which of them may know of the room is for us to say.
        """
        if summary.world_readable or (summary.join_rule or "public") in _OPEN:
            return True
        if user_id is None:
            return False
        room = await self._engine.rooms.find(summary.room_id)
        if room is not None and room.membership(user_id) in _CONNECTED:
            return True
        for room_id in (summary.allowed_room_ids or [])[:_MOST_ALLOWED]:
            allowed = await self._engine.rooms.find(room_id)
            if allowed is not None and allowed.membership(user_id) == "join":
                return True
        return False

    async def seen_by(self, room: Room, user_id: str | None) -> RoomSummary | None:
        """The summary of a room that somebody may know of; None of any other."""
        state = await self._engine.rooms.state_events(room, SUMMARY_KEYS)
        return self.of(room, state) if await self.may_see(room, state, user_id) else None

    async def seen_by_server(self, room: Room, origin: str) -> RoomSummary | None:
        """The summary of a room that the users of a server may know of; None of any other."""
        state = await self._engine.rooms.state_events(room, SUMMARY_KEYS)
        return self.of(room, state) if await self.may_be_seen_by_server(room, state, origin) else None

    async def may_be_seen_by_server(self, room: Room, state: Mapping[StateKey, Event], origin: str) -> bool:
        """Whether some user of the server may know of the room: as `may_see`, for users that it speaks for."""
        create = state.get(("m.room.create", ""))
        if not await self._access.acl_allows(room, origin):
            return False
        if is_in(room, origin):
            return True
        if create is None or (create.content.get("m.federate") is False and create.sender_domain != origin):
            return False
        summary = self.of(room, state)
        if summary.world_readable or summary.join_rule in _OPEN:
            return True
        if any(domain_of(user_id) == origin and m in _CONNECTED for user_id, m in room.memberships.items()):
            return True
        rules = state.get(("m.room.join_rules", ""))
        for room_id in allowed_rooms(rules.content)[:_MOST_ALLOWED] if rules is not None else ():
            allowed = await self._engine.rooms.find(room_id)
            if allowed is not None and is_in(allowed, origin):
                return True
        return False

    def of(self, room: Room, state: Mapping[StateKey, Event]) -> RoomSummary:
        """The summary itself; `state` has the events at `SUMMARY_KEYS`."""
        return summary_of(room.id, room.version.identifier, state, room.counts["join"])

    async def may_see(self, room: Room, state: Mapping[StateKey, Event], user_id: str | None) -> bool:
        """Whether somebody may know of the room: anybody if it is open, else members and those who may become it."""
        summary = self.of(room, state)
        if summary.world_readable or summary.join_rule in _OPEN:
            return True
        if user_id is None:
            return False
        if room.membership(user_id) in _CONNECTED:
            return True
        rules = state.get(("m.room.join_rules", ""))
        if rules is None or not allowed_rooms(rules.content):
            return False
        return await may_join_by_membership(self._engine, rules.content, user_id)


def _not_found() -> NotFound:
    return NotFound("There is no such room, or you may not know of it.")
