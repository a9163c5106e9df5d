"""`/initialSync`, for all rooms or one: the state of things and the newest messages, in one answer.

What a user keeps with their account and with rooms, receipts and presence come from the parts that also make `/sync`.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
import orjson

from weft.http.call import Requester
from weft.modules.events import EventForms, Viewer
from weft.modules.events.places import LAST, Place
from weft.modules.events.user_rooms import Seat, UserRooms
from weft.modules.history.service import History
from weft.modules.membership.viewing import View
from weft.modules.module import RoomSection, SyncPart
from weft.modules.sync.answer import Answer, Window
from weft.protocol.api.client import legacy as api
from weft.protocol.api.types import RoomVisibility
from weft.protocol.errors import Forbidden
from weft.protocol.filters import Filter, parse_filter
from weft.rooms.engine import Engine
from weft.storage.positions import Vector

MAX_LIMIT: Final = 100
_RECEIPTS: Final = {"types": ["m.receipt"]}
_ALL_ROOMS: Final = parse_filter({"room": {"ephemeral": _RECEIPTS}})
_ONE_ROOM: Final = parse_filter(
    {"presence": {"types": []}, "account_data": {"types": []}, "room": {"ephemeral": _RECEIPTS}}
)
_MEMBERSHIPS: Final[dict[str | None, api.PastMembership]] = {
    "join": "join",
    "invite": "invite",
    "leave": "leave",
    "ban": "ban",
}


class Snapshots:
    def __init__(
        self,
        engine: Engine,
        history: History,
        *,
        user_rooms: UserRooms,
        forms: EventForms,
        parts: Sequence[SyncPart],
        is_published: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._engine = engine
        self._history = history
        self._user_rooms = user_rooms
        self._forms = forms
        self._parts = parts
        self._is_published = is_published

    async def all_rooms(self, requester: Requester, limit: int, *, archived: bool) -> api.InitialSyncResponse:
        """Every room that the user is in or invited to; with `archived` those that they left, too."""
        viewer = await self._history.viewer(requester)
        seats = dict(await self._user_rooms.of(viewer.user_id))
        cut = self._engine.log.head
        kept = await self._kept(requester, seats, cut, _ALL_ROOMS)
        rooms: list[api.InitialSyncRoom] = []
        receipts: list[msgspec.Raw] = []
        for room_id, seat in seats.items():
            told = await self._room(room_id, seat, viewer, kept, limit, archived=archived)
            if told is not None:
                rooms.append(told)
            section = kept.join.get(room_id)
            if section is not None:
                receipts += [_in_room(event, room_id) for event in section.parts.ephemeral]
        return api.InitialSyncResponse(
            end=Place(LAST, cut).spell(),
            presence=_raw(kept.presence),
            rooms=rooms,
            account_data=_raw(kept.account_data),
            receipts=receipts,
        )

    async def _room(
        self, room_id: str, seat: Seat, viewer: Viewer, kept: Answer, limit: int, *, archived: bool
    ) -> api.InitialSyncRoom | None:
        membership = _MEMBERSHIPS.get(seat.membership)
        if membership is None or seat.forgotten:
            return None
        visibility: RoomVisibility = "public" if await self._is_published(room_id) else "private"
        if membership == "invite":
            member = await self._engine.rooms.event(seat.event_id)
            if member is None or member.event.sender in viewer.ignored:
                return None
            invite = await self._forms.one(member, viewer)
            return api.InitialSyncRoom(room_id=room_id, membership=membership, visibility=visibility, invite=invite)
        if membership != "join" and not archived:
            return None
        try:
            view = await self._history.view(room_id, viewer.user_id)
        except Forbidden:
            return None
        section = kept.join.get(room_id)
        return api.InitialSyncRoom(
            room_id=room_id,
            membership=membership,
            visibility=visibility,
            messages=await self._messages(view, viewer, kept.upto, limit),
            state=await self._state(view, viewer),
            account_data=_raw(section.parts.account_data) if section is not None else [],
        )

    async def one_room(self, requester: Requester, room_id: str, limit: int) -> api.RoomInfo:
        """One room: as it is, as it was when the user left it, or as all the world may see it. Raises `Forbidden`."""
        view = await self._history.view(room_id, requester.user_id)
        viewer = await self._history.viewer(requester)
        seat = (await self._user_rooms.of(requester.user_id)).get(room_id)
        cut = self._engine.log.head
        section = RoomSection()
        if seat is not None and seat.membership == "join":
            kept = await self._kept(requester, {room_id: seat}, cut, _ONE_ROOM)
            section = kept.room(room_id)
        return api.RoomInfo(
            room_id=room_id,
            membership=_MEMBERSHIPS.get(view.room.membership(requester.user_id)),
            messages=await self._messages(view, viewer, cut, limit),
            state=await self._state(view, viewer),
            visibility="public" if await self._is_published(room_id) else "private",
            account_data=_raw(section.account_data),
            receipts=[_in_room(event, room_id) for event in section.ephemeral],
        )

    async def _kept(self, requester: Requester, seats: Mapping[str, Seat], cut: Vector, chosen: Filter) -> Answer:
        """What other modules tell of the rooms and the user."""
        answer = Answer(requester, Window(None, cut, None), chosen, seats)
        for part in self._parts:
            await part.contribute(answer)
        return answer

    async def _messages(self, view: View, viewer: Viewer, cut: Vector, limit: int) -> api.PaginationChunk:
        ask = await self._history.ask(view, viewer, min(limit, MAX_LIMIT))
        end = Place(ask.end, cut)
        page = await self._history.pages.backwards(view.room, end, ask)
        oldest_first = page.seen[::-1]
        start = page.end or (Place(oldest_first[0].stored.order, cut) if oldest_first else end)
        formed = await self._history.formed(view.room, oldest_first, viewer)
        return api.PaginationChunk(start=start.spell(), end=end.spell(), chunk=_raw(formed))

    async def _state(self, view: View, viewer: Viewer) -> list[msgspec.Raw]:
        found = await self._engine.rooms.events(list(view.state.state.values()))
        return _raw(self._history.states.bytes_of(found.values(), viewer))


def _raw(events: Sequence[bytes]) -> list[msgspec.Raw]:
    return [msgspec.Raw(event) for event in events]


def _in_room(event: bytes, room_id: str) -> msgspec.Raw:
    """An ephemeral event with the room that it is of."""
    return msgspec.Raw(event[:-1] + b',"room_id":' + orjson.dumps(room_id) + b"}")
