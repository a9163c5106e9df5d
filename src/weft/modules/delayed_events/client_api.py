"""https://github.com/matrix-org/matrix-spec-proposals/pull/4140"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.delayed_events.service import DelayedEvents
from weft.modules.delayed_events.store import Row
from weft.protocol.api.client import delayed_events as api


class DelayedEventsApi:
    def __init__(self, delayed: DelayedEvents) -> None:
        self._delayed = delayed

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(api.GET_DELAYED_EVENTS, self.waiting),
            route(api.UPDATE_DELAYED_EVENT, self.update),
            route(api.UPDATE_DELAYED_EVENT_BY_PATH, self.update_by_path),
        ]

    async def waiting(self, call: Call[api.GetDelayedEventsRequest]) -> api.GetDelayedEventsResponse:
        rows, following = await self._delayed.waiting(call.user_id, call.args.from_ or "")
        return api.GetDelayedEventsResponse(delayed_events=[_told(row) for row in rows], next_batch=following)

    async def update(self, call: Call[api.UpdateDelayedEventRequest]) -> api.UpdateDelayedEventResponse:
        await self._delayed.act(call.args.delay_id, call.args.action)
        return api.UpdateDelayedEventResponse()

    async def update_by_path(self, call: Call[api.UpdateDelayedEventByPathRequest]) -> api.UpdateDelayedEventResponse:
        await self._delayed.act(call.args.delay_id, call.args.action)
        return api.UpdateDelayedEventResponse()


def _told(row: Row) -> api.DelayedEvent:
    return api.DelayedEvent(
        delay_id=row.delay_id,
        room_id=row.room_id,
        type=row.type,
        state_key=row.state_key,
        delay=row.delay_ms,
        running_since=row.running_since_ms,
        content=msgspec.Raw(row.content),
    )
