"""Weft's own: what an operator looks at in a room. A picture of its event graph, and how other servers' copies differ.

An administrator's token opens these, or what the command line shows (`weft.http.operator`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Endpoint, Header, Path, Query, Raw, Struct
from weft.protocol.api.types import RoomId

#: Rows of a picture.
MAX_DRAWN = 2_000
#: Servers that are asked in one comparison.
MAX_SERVERS = 50
#: Differing places of the state that are told of each server.
MAX_DIFFERENCES = 50

OperatorProof = Annotated[str, Meta(max_length=128)]


class DrawRoomRequest(Struct, kw_only=True):
    """`limit` is the number of newest events that are drawn."""

    room_id: Path[RoomId] = field(name="roomId")
    limit: Query[Annotated[int, Meta(ge=1, le=MAX_DRAWN)]] = 200
    weft_operator: Header[OperatorProof | None] = None


class CompareRoomRequest(Struct, kw_only=True):
    """`server` may be repeated. Without it, the servers with most members are asked."""

    room_id: Path[RoomId] = field(name="roomId")
    server: Query[Annotated[list[str], Meta(max_length=MAX_SERVERS)]] = field(default_factory=list)
    weft_operator: Header[OperatorProof | None] = None


class End(Struct):
    """A forward extremity of another server's copy. `here` says what the event is in our copy, or `unknown`."""

    event_id: str
    here: str


class StateDifference(Struct, kw_only=True):
    """A place of the state in which two copies hold different events; None: nothing.

    `their_event_here` says what became of the other server's event in our copy.
    """

    type: str
    state_key: str
    ours: str | None = None
    theirs: str | None = None
    their_event_here: str | None = None


class ServerComparison(Struct, kw_only=True, omit_defaults=False):
    """What one server's copy is like beside ours.

    `same`: its state is ours in each of the events that both have, at which the states were compared
    (`compared_before`: the state before each); None if nothing could be compared, for the reason that `error` gives.
    `ends` are its forward extremities, where it tells them.
    """

    server_name: str
    same: bool | None = None
    error: str | None = None
    ends: list[End] = field(default_factory=list)
    compared_before: list[str] = field(default_factory=list)
    differences: list[StateDifference] = field(default_factory=list)
    #: Differences beyond those that are told.
    more: int = 0


class CompareRoomResponse(Struct, omit_defaults=False):
    """`ends` are the forward extremities of our copy."""

    room_id: str
    room_version: str
    ends: list[str]
    servers: list[ServerComparison]


DRAW_ROOM = Endpoint(
    operation_id="drawRoom",
    method="GET",
    paths=("/_weft/admin/v1/rooms/{roomId}/graph",),
    request=DrawRoomRequest,
    response=Raw,
    auth=Auth.OPTIONAL,
)

COMPARE_ROOM = Endpoint(
    operation_id="compareRoom",
    method="GET",
    paths=("/_weft/admin/v1/rooms/{roomId}/comparison",),
    request=CompareRoomRequest,
    response=CompareRoomResponse,
    auth=Auth.OPTIONAL,
)

ENDPOINTS = (DRAW_ROOM, COMPARE_ROOM)
