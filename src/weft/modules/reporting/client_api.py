"""The endpoints by which users report, and by which administrators read the reports.

https://spec.matrix.org/v1.19/client-server-api/#reporting-content
"""

from __future__ import annotations

from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.modules.reporting.service import ReportingService
from weft.modules.reporting.store import ReportRow
from weft.protocol.api.client import admin as admin_api
from weft.protocol.api.client import reporting as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import InvalidParam

_MAX_PAGE: Final = 500
_MAX_DIGITS: Final = 18


class ReportingApi:
    def __init__(self, service: ReportingService) -> None:
        self._service = service

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.REPORT_EVENT, self.report_event),
            route(api.REPORT_ROOM, self.report_room),
            route(api.REPORT_USER, self.report_user),
            route(admin_api.GET_REPORTS, self.list_reports),
        ]

    async def report_event(self, call: Call[api.ReportEventRequest]) -> Empty:
        args = call.args
        await self._service.report_event(
            call.user_id, args.room_id, args.event_id, reason=args.reason, score=args.score
        )
        return Empty()

    async def report_room(self, call: Call[api.ReportRoomRequest]) -> Empty:
        await self._service.report_room(call.user_id, call.args.room_id, call.args.reason)
        return Empty()

    async def report_user(self, call: Call[api.ReportUserRequest]) -> Empty:
        await self._service.report_user(call.user_id, call.args.user_id, call.args.reason)
        return Empty()

    async def list_reports(self, call: Call[admin_api.GetReportsRequest]) -> admin_api.GetReportsResponse:
        args = call.args
        limit = min(args.limit, _MAX_PAGE)
        # One more than is shown tells whether there is another page.
        rows, total = await self._service.page(_number(args.from_), limit + 1, newest_first=args.dir == "b")
        shown = rows[:limit]
        more = len(rows) > limit and shown
        return admin_api.GetReportsResponse(
            reports=[_shown(row) for row in shown], total=total, next_batch=str(shown[-1].number) if more else None
        )


def _number(token: str | None) -> int | None:
    if token is None:
        return None
    if not (token.isascii() and token.isdigit() and len(token) <= _MAX_DIGITS):
        raise InvalidParam("`from` is not a token that this endpoint gave.")
    return int(token)


def _shown(row: ReportRow) -> admin_api.Report:
    report = row.report
    return admin_api.Report(
        id=row.number,
        received_ts=report.received_ms,
        reporter=report.reporter,
        about=report.about,
        room_id=report.room_id,
        event_id=report.event_id,
        user_id=report.user_id,
        reason=report.reason,
        score=report.score,
    )
