"""The endpoints by which administrators read and settle reports of events.

https://element-hq.github.io/synapse/latest/admin_api/event_reports.html
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.reporting import ReportingService
from weft.modules.reporting.store import ReportRow, Wanted
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import reports as api
from weft.rooms.engine import Engine


class ReportsApi:
    def __init__(self, engine: Engine, reporting: ReportingService) -> None:
        self._engine = engine
        self._reporting = reporting

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.LIST_EVENT_REPORTS, self.list_all),
            route(api.GET_EVENT_REPORT, self.get),
            route(api.DELETE_EVENT_REPORT, self.delete),
        ]

    async def list_all(self, call: Call[api.ListEventReportsRequest]) -> api.ListEventReportsResponse:
        args = call.args
        wanted = Wanted(reporter=args.user_id, room_id=args.room_id, about_user=args.event_sender_user_id)
        rows, total = await self._reporting.of_events(
            wanted, start=args.from_, limit=args.limit, newest_first=args.dir == "b"
        )
        upto = args.from_ + len(rows)
        return api.ListEventReportsResponse(
            event_reports=[api.EventReport(**await self._fields(row)) for row in rows],
            total=total,
            next_token=upto if rows and upto < total else None,
        )

    async def get(self, call: Call[api.EventReportRequest]) -> api.EventReportDetails:
        row = await self._reporting.of_event(call.args.report_id)
        stored = await self._engine.rooms.event(row.report.event_id or "")
        pdu = stored.event.pdu if stored is not None else None
        return api.EventReportDetails(**await self._fields(row), event_json=dict(pdu) if pdu is not None else None)

    async def delete(self, call: Call[api.EventReportRequest]) -> Empty:
        await self._reporting.delete(call.args.report_id)
        return Empty()

    async def _fields(self, row: ReportRow) -> dict[str, Any]:
        report = row.report
        return {
            "id": row.number,
            "received_ts": report.received_ms,
            "room_id": report.room_id or "",
            "name": await self._of_room(report.room_id, "m.room.name", "name"),
            "event_id": report.event_id or "",
            "user_id": report.reporter,
            "reason": report.reason,
            "score": report.score,
            "sender": report.user_id,
            "canonical_alias": await self._of_room(report.room_id, "m.room.canonical_alias", "alias"),
        }

    async def _of_room(self, room_id: str | None, event_type: str, key: str) -> str | None:
        room = await self._engine.rooms.find(room_id) if room_id is not None else None
        event = await self._engine.rooms.state_event(room, event_type) if room is not None else None
        value = event.content.get(key) if event is not None else None
        return value if isinstance(value, str) else None
