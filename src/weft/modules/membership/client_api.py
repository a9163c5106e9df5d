"""The endpoints of room membership."""

from __future__ import annotations

from typing import Any, Protocol

from weft.http.call import Call, Requester, Route, route
from weft.modules.events import Viewer
from weft.modules.membership.members import Members
from weft.modules.membership.service import Memberships
from weft.protocol.api.client import membership as api
from weft.protocol.api.client import room_events, rooms
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import MissingParam


class AddressInvites(Protocol):
    async def invite(
        self, requester: Requester, room_id: str, who: rooms.Invite3pid, *, reason: str | None = None
    ) -> None:
        """Invites whoever has an address, or will have it."""


class MembershipApi:
    """`by_address` invites those of whom only an address is known."""

    def __init__(self, memberships: Memberships, members: Members, by_address: AddressInvites) -> None:
        self._memberships = memberships
        self._by_address = by_address
        self._members = members

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.JOIN_ROOM_BY_ID, self.join_room_by_id),
            route(api.JOIN_ROOM, self.join_room),
            route(api.KNOCK_ROOM, self.knock_room),
            route(api.LEAVE_ROOM, self.leave_room),
            route(api.FORGET_ROOM, self.forget_room),
            route(api.INVITE_USER, self.invite_user),
            route(api.KICK, self.kick),
            route(api.BAN, self.ban),
            route(api.UNBAN, self.unban),
            route(rooms.GET_JOINED_ROOMS, self.get_joined_rooms),
            route(room_events.GET_MEMBERS_BY_ROOM, self.get_members_by_room),
            route(room_events.GET_JOINED_MEMBERS_BY_ROOM, self.get_joined_members_by_room),
        ]

    async def join_room_by_id(self, call: Call[api.JoinRoomByIdRequest]) -> api.RoomIdResponse:
        args = call.args
        room_id = await self._memberships.join(
            call.requester, args.room_id, reason=args.reason, third_party_signed=args.third_party_signed
        )
        return api.RoomIdResponse(room_id=room_id)

    async def join_room(self, call: Call[api.JoinRoomRequest]) -> api.RoomIdResponse:
        args = call.args
        room_id = await self._memberships.join(
            call.requester,
            args.room_id_or_alias,
            via=[*args.via, *args.server_name],
            reason=args.reason,
            third_party_signed=args.third_party_signed,
        )
        return api.RoomIdResponse(room_id=room_id)

    async def knock_room(self, call: Call[api.KnockRoomRequest]) -> api.RoomIdResponse:
        args = call.args
        room_id = await self._memberships.knock(
            call.requester, args.room_id_or_alias, via=[*args.via, *args.server_name], reason=args.reason
        )
        return api.RoomIdResponse(room_id=room_id)

    async def leave_room(self, call: Call[api.LeaveRoomRequest]) -> Empty:
        await self._memberships.leave(call.requester, call.args.room_id, reason=call.args.reason)
        return Empty()

    async def forget_room(self, call: Call[api.ForgetRoomRequest]) -> Empty:
        await self._memberships.forget(call.user_id, call.args.room_id)
        return Empty()

    async def invite_user(self, call: Call[api.InviteRequest]) -> Empty:
        args = call.args
        if args.user_id is not None:
            await self._memberships.invite(call.requester, args.room_id, args.user_id, reason=args.reason)
        else:
            await self._by_address.invite(call.requester, args.room_id, _address(args), reason=args.reason)
        return Empty()

    async def kick(self, call: Call[api.MembershipRequest]) -> Empty:
        args = call.args
        await self._memberships.kick(call.requester, args.room_id, args.user_id, reason=args.reason)
        return Empty()

    async def ban(self, call: Call[api.MembershipRequest]) -> Empty:
        args = call.args
        await self._memberships.ban(call.requester, args.room_id, args.user_id, reason=args.reason)
        return Empty()

    async def unban(self, call: Call[api.MembershipRequest]) -> Empty:
        args = call.args
        await self._memberships.unban(call.requester, args.room_id, args.user_id, reason=args.reason)
        return Empty()

    async def get_joined_rooms(self, call: Call[Empty]) -> rooms.GetJoinedRoomsResponse:
        return rooms.GetJoinedRoomsResponse(joined_rooms=await self._members.joined_rooms(call.user_id))

    async def get_members_by_room(
        self, call: Call[room_events.GetMembersByRoomRequest]
    ) -> room_events.GetMembersByRoomResponse:
        args = call.args
        chunk = await self._members.members(
            args.room_id,
            Viewer(call.user_id, call.device_id),
            at=args.at,
            membership=args.membership,
            not_membership=args.not_membership,
        )
        return room_events.GetMembersByRoomResponse(chunk=chunk)

    async def get_joined_members_by_room(
        self, call: Call[room_events.GetJoinedMembersByRoomRequest]
    ) -> room_events.GetJoinedMembersByRoomResponse:
        joined = await self._members.joined_members(call.args.room_id, call.user_id)
        return room_events.GetJoinedMembersByRoomResponse(joined=joined)


def _address(args: api.InviteRequest) -> rooms.Invite3pid:
    """Raises `MissingParam` where neither a user nor an address is named."""
    if args.medium is None and args.address is None:
        raise MissingParam("Missing required key `user_id`.")
    for key in ("id_server", "id_access_token", "medium", "address"):
        if getattr(args, key) is None:
            raise MissingParam(f"Missing required key `{key}`.")
    return rooms.Invite3pid(
        id_server=args.id_server or "",
        id_access_token=args.id_access_token or "",
        medium=args.medium or "",
        address=args.address or "",
    )
