"""The endpoints by which administrators look after rooms.

https://element-hq.github.io/synapse/latest/admin_api/rooms.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.accounts import AccountsService
from weft.modules.admin.blocks import RoomBlocks
from weft.modules.admin.room_store import Wanted
from weft.modules.admin.rooms import AdministeredRooms
from weft.modules.events import EventForms, Viewer
from weft.modules.history import History
from weft.modules.history.client_api import HistoryApi
from weft.protocol.api.client.history import GetEventByTimestampResponse
from weft.protocol.api.client.membership import RoomIdResponse
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import rooms as api
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import is_valid_room_id

#: The room id of a room id or alias, and servers that may be in the room.
Locate = Callable[[str], Awaitable[tuple[str, Sequence[str]]]]


class RoomsApi:
    """`history` is one that shows everything."""

    def __init__(
        self,
        rooms: AdministeredRooms,
        blocks: RoomBlocks,
        accounts: AccountsService,
        history: History,
        forms: EventForms,
        locate: Locate,
    ) -> None:
        self._rooms = rooms
        self._blocks = blocks
        self._accounts = accounts
        self._history = history
        self._forms = forms
        self._locate = locate

    def routes(self) -> list[Route[Any, Any]]:
        pages = HistoryApi(self._history)
        return [
            route(api.LIST_ROOMS, self.list_all),
            route(api.ROOM_DETAILS, self.details),
            route(api.ROOM_MEMBERS, self.members),
            route(api.ROOM_STATE, self.state),
            route(api.ROOM_MESSAGES, pages.get_room_events),
            route(api.ROOM_CONTEXT, pages.get_event_context),
            route(api.ROOM_EVENT_AT_TIME, self.event_at_time),
            route(api.FETCH_EVENT, self.fetch_event),
            route(api.GET_ROOM_BLOCK, self.get_block),
            route(api.SET_ROOM_BLOCK, self.set_block),
            route(api.FORWARD_EXTREMITIES, self.forward_extremities),
            route(api.JOIN_USER, self.join),
            route(api.MAKE_ROOM_ADMIN, self.make_admin),
        ]

    # -- looking

    async def list_all(self, call: Call[api.ListRoomsRequest]) -> api.ListRoomsResponse:
        args = call.args
        wanted = Wanted(term=args.search_term or None, public=args.public_rooms, empty=args.empty_rooms)
        rows, total = await self._rooms.page(
            wanted, order=args.order_by, backwards=args.dir == "b", start=args.from_, limit=args.limit
        )
        upto = args.from_ + len(rows)
        return api.ListRoomsResponse(
            rooms=[api.ListedRoom(**row._asdict()) for row in rows],
            offset=args.from_,
            total_rooms=total,
            next_batch=upto if rows and upto < total else None,
            prev_batch=max(0, args.from_ - args.limit) if args.from_ else None,
        )

    async def details(self, call: Call[api.AdministeredRoomRequest]) -> api.RoomDetails:
        return await self._rooms.details(call.args.room_id)

    async def members(self, call: Call[api.AdministeredRoomRequest]) -> api.RoomMembersResponse:
        members = (await self._rooms.get(call.args.room_id)).members("join")
        return api.RoomMembersResponse(members=members, total=len(members))

    async def state(self, call: Call[api.RoomStateRequest]) -> api.RoomStateResponse:
        found = await self._rooms.state(call.args.room_id, call.args.type)
        viewer = Viewer(call.user_id, call.device_id)
        return api.RoomStateResponse(state=await self._forms.many(found, viewer, bundled=False))

    async def event_at_time(self, call: Call[api.RoomEventAtTimeRequest]) -> GetEventByTimestampResponse:
        args = call.args
        found = await self._history.at_time(args.room_id, call.user_id, args.ts, args.dir)
        event = found.event
        return GetEventByTimestampResponse(event_id=event.event_id, origin_server_ts=event.origin_server_ts)

    async def fetch_event(self, call: Call[api.FetchEventRequest]) -> api.FetchEventResponse:
        event = await self._rooms.event(call.args.event_id)
        return api.FetchEventResponse(event={**event.pdu, "event_id": event.event_id, "room_id": event.room_id})

    async def forward_extremities(self, call: Call[api.RoomByNameRequest]) -> api.ForwardExtremitiesResponse:
        room_id, _ = await self._locate(call.args.room_id_or_alias)
        results = [
            api.ForwardExtremity(
                event_id=end.event.event_id, state_group=end.snapshot, depth=end.event.depth, received_ts=None
            )
            for end in await self._rooms.ends(room_id)
        ]
        return api.ForwardExtremitiesResponse(count=len(results), results=results)

    # -- changing

    async def get_block(self, call: Call[api.AdministeredRoomRequest]) -> api.RoomBlock:
        by = await self._blocks.blocked_by(_room_id(call.args.room_id))
        return api.RoomBlock(block=by is not None, user_id=by)

    async def set_block(self, call: Call[api.SetRoomBlockRequest]) -> api.RoomBlock:
        args = call.args
        await self._blocks.set(_room_id(args.room_id), call.user_id, args.block)
        return api.RoomBlock(block=args.block)

    async def join(self, call: Call[api.JoinUserRequest]) -> RoomIdResponse:
        account = await self._accounts.active(call.args.user_id)
        room_id, via = await self._locate(call.args.room_id_or_alias)
        await self._rooms.join(call.requester, room_id, account.user_id, via)
        return RoomIdResponse(room_id=room_id)

    async def make_admin(self, call: Call[api.MakeRoomAdminRequest]) -> Empty:
        room_id, _ = await self._locate(call.args.room_id_or_alias)
        await self._rooms.make_admin(room_id, call.args.user_id or call.user_id)
        return Empty()


def _room_id(room_id: str) -> str:
    if not is_valid_room_id(room_id):
        raise InvalidParam("This is not a room id.")
    return room_id
