"""Who is in a room, and in which rooms one is.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms
"""

from __future__ import annotations

from collections.abc import Callable

from weft.modules.events import EventForms, Viewer
from weft.modules.events.user_rooms import UserRooms
from weft.modules.membership.viewing import Viewing, not_in_room
from weft.protocol.api.client.room_events import RoomMember
from weft.protocol.api.events import EventJson
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent

#: Whether a membership is wanted.
Keep = Callable[[str | None], bool]


class Members:
    """Lists members of rooms and rooms of members."""

    def __init__(self, engine: Engine, viewing: Viewing, user_rooms: UserRooms, forms: EventForms) -> None:
        self._engine = engine
        self._viewing = viewing
        self._user_rooms = user_rooms
        self._forms = forms

    async def joined_rooms(self, user_id: str) -> list[str]:
        """The ids of the rooms that the user is in."""
        seats = await self._user_rooms.of(user_id)
        return [room_id for room_id, seat in seats.items() if seat.membership == "join"]

    async def joined_members(self, room_id: str, user_id: str) -> dict[str, RoomMember]:
        """Name and picture of everybody who is in a room, by user id, for somebody who is in it."""
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise not_in_room()
        found = await self._events(room, lambda membership: membership == "join")
        return {stored.event.state_key or "": _member(stored) for stored in found}

    async def members(
        self,
        room_id: str,
        viewer: Viewer,
        *,
        at: str | None = None,
        membership: str | None = None,
        not_membership: str | None = None,
    ) -> list[EventJson]:
        """The member events that the viewer may read, oldest first; `at` is a paging token.

        With both filters a member is listed who passes either.
        """
        keep = _filter(membership, not_membership)
        if at is None:
            view = await self._viewing.view(room_id, viewer.user_id)
        else:
            view = await self._viewing.view_at(room_id, viewer.user_id, at)
        if view.state is view.room.current:
            found = await self._events(view.room, keep)
        else:
            ids = [event_id for (event_type, _), event_id in view.state.state.items() if event_type == "m.room.member"]
            everybody = await self._engine.rooms.events(ids)
            found = [stored for stored in everybody.values() if keep(stored.event.membership)]
        found.sort(key=lambda stored: stored.order)
        return await self._forms.many(found, viewer, bundled=False)

    async def _events(self, room: Room, keep: Keep) -> list[StoredEvent]:
        """The present member events of those whose membership is wanted."""
        state = room.current.state
        wanted = [user_id for user_id, membership in room.memberships.items() if keep(membership)]
        ids = [event_id for user_id in wanted if (event_id := state.get(("m.room.member", user_id))) is not None]
        return list((await self._engine.rooms.events(ids)).values())


def _filter(membership: str | None, not_membership: str | None) -> Keep:
    if membership is None and not_membership is None:
        return lambda _: True
    return lambda found: (
        (membership is not None and found == membership) or (not_membership is not None and found != not_membership)
    )


def _member(stored: StoredEvent) -> RoomMember:
    name, picture = stored.event.content.get("displayname"), stored.event.content.get("avatar_url")
    return RoomMember(
        display_name=name if isinstance(name, str) else None,
        avatar_url=picture if isinstance(picture, str) and picture.startswith("mxc://") else None,
    )
