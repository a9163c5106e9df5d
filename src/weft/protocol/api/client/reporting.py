"""Telling the server's administrators about an event, a room or a user.

https://spec.matrix.org/v1.19/client-server-api/#reporting-content
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import EventId, Reason, RoomId, UserId


class ReportEventRequest(Struct):
    """`score` was dropped in v1.19; old clients send it, and it is kept with the report."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")
    reason: Reason | None = None
    score: int | None = None


class ReportRoomRequest(Struct):
    room_id: Path[RoomId] = field(name="roomId")
    reason: Reason


class ReportUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    reason: Reason


REPORT_EVENT = Endpoint(
    operation_id="reportEvent",
    method="POST",
    paths=client("/rooms/{roomId}/report/{eventId}"),
    request=ReportEventRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="report",
)

REPORT_ROOM = Endpoint(
    operation_id="reportRoom",
    method="POST",
    paths=client("/rooms/{roomId}/report", unstable=("unstable/org.matrix.msc4151/rooms/{roomId}/report",)),
    request=ReportRoomRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="report",
)

REPORT_USER = Endpoint(
    operation_id="reportUser",
    method="POST",
    paths=client("/users/{userId}/report", unstable=("unstable/org.matrix.msc4260/users/{userId}/report",)),
    request=ReportUserRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="report",
)

ENDPOINTS = (REPORT_EVENT, REPORT_ROOM, REPORT_USER)
