"""Getting into a room, out of it, and putting others in and out.

https://spec.matrix.org/v1.19/client-server-api/#room-membership
https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from weft.protocol.api.client.third_party_ids import Address, IdAccessToken
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.types import Reason, RoomId, RoomIdOrAlias, ServerName, UserId

#: Servers to ask for a room that ours doesn't know; the bound on their number is ours.
Via = Annotated[list[ServerName], Meta(max_length=50)]


class ThirdPartySigned(Struct):
    """An identity server's signature under the claim that `mxid` holds `token`."""

    sender: UserId
    mxid: UserId
    token: str
    signatures: dict[str, dict[str, str]]


class RoomIdResponse(Struct):
    room_id: str


class JoinRoomByIdRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    reason: Reason | None = None
    third_party_signed: ThirdPartySigned | None = None


class JoinRoomRequest(Struct):
    """`server_name` is what `via` was called until v1.12."""

    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")
    via: Query[Via] = field(default_factory=list)
    server_name: Query[Via] = field(default_factory=list)
    reason: Reason | None = None
    third_party_signed: ThirdPartySigned | None = None


class KnockRoomRequest(Struct):
    """`server_name` is what `via` was called until v1.12."""

    room_id_or_alias: Path[RoomIdOrAlias] = field(name="roomIdOrAlias")
    via: Query[Via] = field(default_factory=list)
    server_name: Query[Via] = field(default_factory=list)
    reason: Reason | None = None


class LeaveRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    reason: Reason | None = None


class ForgetRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")


class MembershipRequest(Struct):
    """Somebody else's membership: kick, ban, unban."""

    room_id: Path[RoomId] = field(name="roomId")
    user_id: UserId
    reason: Reason | None = None


class InviteRequest(Struct):
    """A user is named, or (`inviteBy3PID`, the same route) the other four: an address, and who knows whose it is."""

    room_id: Path[RoomId] = field(name="roomId")
    user_id: UserId | None = None
    id_server: ServerName | None = None
    id_access_token: IdAccessToken | None = None
    medium: str | None = None
    address: Address | None = None
    reason: Reason | None = None


JOIN_ROOM_BY_ID = Endpoint(
    operation_id="joinRoomById",
    method="POST",
    paths=client("/rooms/{roomId}/join"),
    request=JoinRoomByIdRequest,
    response=RoomIdResponse,
    auth=Auth.GUEST,
    rate_limit="join",
)

JOIN_ROOM = Endpoint(
    operation_id="joinRoom",
    method="POST",
    paths=client("/join/{roomIdOrAlias}"),
    request=JoinRoomRequest,
    response=RoomIdResponse,
    # Not on the specification's list of what guests may call, but it is what clients call for them.
    auth=Auth.GUEST,
    rate_limit="join",
)

KNOCK_ROOM = Endpoint(
    operation_id="knockRoom",
    method="POST",
    paths=client("/knock/{roomIdOrAlias}", unstable=("unstable/xyz.amorgan.knock/knock/{roomIdOrAlias}",)),
    request=KnockRoomRequest,
    response=RoomIdResponse,
    auth=Auth.TOKEN,
    rate_limit="join",
)

LEAVE_ROOM = Endpoint(
    operation_id="leaveRoom",
    method="POST",
    paths=client("/rooms/{roomId}/leave"),
    request=LeaveRoomRequest,
    response=Empty,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="moderation",
)

FORGET_ROOM = Endpoint(
    operation_id="forgetRoom",
    method="POST",
    paths=client("/rooms/{roomId}/forget"),
    request=ForgetRoomRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="moderation",
)

INVITE_USER = Endpoint(
    operation_id="inviteUser",
    method="POST",
    paths=client("/rooms/{roomId}/invite"),
    request=InviteRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="invite",
)

KICK = Endpoint(
    operation_id="kick",
    method="POST",
    paths=client("/rooms/{roomId}/kick"),
    request=MembershipRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="moderation",
)

BAN = Endpoint(
    operation_id="ban",
    method="POST",
    paths=client("/rooms/{roomId}/ban"),
    request=MembershipRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="moderation",
)

UNBAN = Endpoint(
    operation_id="unban",
    method="POST",
    paths=client("/rooms/{roomId}/unban"),
    request=MembershipRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="moderation",
)

ENDPOINTS = (JOIN_ROOM_BY_ID, JOIN_ROOM, KNOCK_ROOM, LEAVE_ROOM, FORGET_ROOM, INVITE_USER, KICK, BAN, UNBAN)
