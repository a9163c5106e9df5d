"""Administrators' endpoints: who somebody is, suspension, locking, reports.

https://spec.matrix.org/v1.19/client-server-api/#server-administration
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Auth, Endpoint, Path, Query, Struct, client
from weft.protocol.api.types import Direction, Limit, StreamToken, UserId


class UserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class Connection(Struct):
    """`last_seen` is milliseconds since 1970."""

    ip: str | None = None
    last_seen: int | None = None
    user_agent: str | None = None


class Session(Struct):
    connections: list[Connection]


class WhoIsDevice(Struct):
    sessions: list[Session]


class GetWhoIsResponse(Struct):
    """`devices` is by device id."""

    user_id: str
    devices: dict[str, WhoIsDevice]


class SetAdminSuspendUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    suspended: bool


class AdminSuspendUserResponse(Struct):
    suspended: bool


class SetAdminLockUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    locked: bool


class AdminLockUserResponse(Struct):
    locked: bool


class GetReportsRequest(Struct):
    """`from_` is the `next_batch` of the page before. `dir` `b` begins with the newest report."""

    from_: Query[StreamToken | None] = field(default=None, name="from")
    limit: Query[Limit] = 50
    dir: Query[Direction] = "b"


class Report(Struct, kw_only=True):
    """`user_id` is whom it is about: of an event its sender. `received_ts` is milliseconds since 1970."""

    id: int
    received_ts: int
    reporter: str
    about: Literal["event", "room", "user"]
    room_id: str | None = None
    event_id: str | None = None
    user_id: str | None = None
    reason: str | None = None
    score: int | None = None


class GetReportsResponse(Struct):
    """`next_batch` is absent on the last page."""

    reports: list[Report]
    total: int
    next_batch: str | None = None


# Users may ask about themselves; the module checks that.
GET_WHO_IS = Endpoint(
    operation_id="getWhoIs",
    method="GET",
    paths=(*client("/admin/whois/{userId}"), "/_synapse/admin/v1/whois/{userId}"),
    request=UserRequest,
    response=GetWhoIsResponse,
    auth=Auth.TOKEN,
)

SUSPEND_PATHS = client(
    "/admin/suspend/{userId}", v="v1", unstable=("unstable/uk.timedout.msc4323/admin/suspend/{userId}",)
)
LOCK_PATHS = client("/admin/lock/{userId}", v="v1", unstable=("unstable/uk.timedout.msc4323/admin/lock/{userId}",))

GET_ADMIN_SUSPEND_USER = Endpoint(
    operation_id="getAdminSuspendUser",
    method="GET",
    paths=SUSPEND_PATHS,
    request=UserRequest,
    response=AdminSuspendUserResponse,
    auth=Auth.ADMIN,
)

SET_ADMIN_SUSPEND_USER = Endpoint(
    operation_id="setAdminSuspendUser",
    method="PUT",
    paths=SUSPEND_PATHS,
    request=SetAdminSuspendUserRequest,
    response=AdminSuspendUserResponse,
    auth=Auth.ADMIN,
)

GET_ADMIN_LOCK_USER = Endpoint(
    operation_id="getAdminLockUser",
    method="GET",
    paths=LOCK_PATHS,
    request=UserRequest,
    response=AdminLockUserResponse,
    auth=Auth.ADMIN,
)

SET_ADMIN_LOCK_USER = Endpoint(
    operation_id="setAdminLockUser",
    method="PUT",
    paths=LOCK_PATHS,
    request=SetAdminLockUserRequest,
    response=AdminLockUserResponse,
    auth=Auth.ADMIN,
)

# Weft's own: the reports that users sent (weft.protocol.api.client.reporting).
GET_REPORTS = Endpoint(
    operation_id="getReports",
    method="GET",
    paths=("/_weft/admin/v1/reports",),
    request=GetReportsRequest,
    response=GetReportsResponse,
    auth=Auth.ADMIN,
)

ENDPOINTS = (
    GET_WHO_IS,
    GET_ADMIN_SUSPEND_USER,
    SET_ADMIN_SUSPEND_USER,
    GET_ADMIN_LOCK_USER,
    SET_ADMIN_LOCK_USER,
    GET_REPORTS,
)
