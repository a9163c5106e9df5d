"""Who may see a room's summary, and the summary.

https://spec.matrix.org/v1.19/client-server-api/#room-summaries
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from weft.modules.directory import SUMMARY_KEYS, Directory, summary_of
from weft.modules.directory.summary import allowed_rooms
from weft.modules.membership.joining import may_join_by_membership
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
    """Summaries of the rooms that this server knows."""

    def __init__(self, engine: Engine, directory: Directory, access: RoomAccess) -> None:
        self._engine = engine
        self._access = access
        self._directory = directory

    async def for_user(self, room_id_or_alias: str, user_id: str | None) -> GetRoomSummaryResponse:
        """The summary for a user, or for somebody unknown.

        Raises `NotFound` alike for a room that they may not know of and for one that does not exist.
        """
        room_id = await self._directory.resolve(room_id_or_alias)
        room = await self._engine.rooms.find(room_id)
        if room is None:
            raise _not_found()
        summary = await self.seen_by(room, user_id)
        if summary is None:
            raise _not_found()
        return GetRoomSummaryResponse(
            **msgspec.structs.asdict(summary),
            membership=None if user_id is None else msgspec.convert(room.membership(user_id) or "leave", Membership),
            unstable_encryption=summary.encryption,
            unstable_room_version=summary.room_version,
        )

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
