"""What users reported of events. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Any

from msgspec import field

from weft.protocol.api.endpoint import Empty, Path, Query, Struct
from weft.protocol.api.synapse_admin.declaring import Number, PageLimit, admin
from weft.protocol.api.types import Direction, RoomId, UserId


class ListEventReportsRequest(Struct, kw_only=True):
    """`from_` is the `next_token` of the page before; `user_id` is who reported, `event_sender_user_id` whom."""

    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    dir: Query[Direction] = "b"
    user_id: Query[UserId | None] = None
    room_id: Query[RoomId | None] = None
    event_sender_user_id: Query[UserId | None] = None


class EventReport(Struct, omit_defaults=False):
    """`user_id` is who reported, `sender` who sent the event. `name` and `canonical_alias` are the room's."""

    id: int
    received_ts: int
    room_id: str
    name: str | None
    event_id: str
    user_id: str
    reason: str | None
    score: int | None
    sender: str | None
    canonical_alias: str | None


class ListEventReportsResponse(Struct):
    """`next_token` is absent on the last page."""

    event_reports: list[EventReport]
    total: int
    next_token: int | None = None


class EventReportRequest(Struct):
    report_id: Path[Number] = field(name="reportId")


class EventReportDetails(EventReport, omit_defaults=False):
    """`event_json`: the event as it travels between servers; null where it is not here any more."""

    event_json: dict[str, Any] | None


_ONE = "v1/event_reports/{reportId}"

LIST_EVENT_REPORTS = admin(
    "listEventReports",
    "GET",
    "v1/event_reports",
    request=ListEventReportsRequest,
    response=ListEventReportsResponse,
)
GET_EVENT_REPORT = admin("getEventReport", "GET", _ONE, request=EventReportRequest, response=EventReportDetails)
DELETE_EVENT_REPORT = admin("deleteEventReport", "DELETE", _ONE, request=EventReportRequest, response=Empty)

ENDPOINTS = (LIST_EVENT_REPORTS, GET_EVENT_REPORT, DELETE_EVENT_REPORT)
