"""https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.history.service import MAX_LIMIT, History
from weft.protocol.api.client import history as api
from weft.protocol.api.client import room_events
from weft.protocol.api.endpoint import Raw
from weft.protocol.filters import EVERY_EVENT, decode_event_filter


class HistoryApi:
    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(api.GET_ROOM_EVENTS, self.get_room_events),
            route(room_events.GET_ONE_ROOM_EVENT, self.get_one_room_event),
            route(api.GET_EVENT_CONTEXT, self.get_event_context),
            route(api.GET_EVENT_BY_TIMESTAMP, self.get_event_by_timestamp),
        ]

    async def get_room_events(self, call: Call[api.GetRoomEventsRequest]) -> Raw:
        return Raw(body=await self._history.messages(call.requester, call.args))

    async def get_one_room_event(self, call: Call[room_events.GetOneRoomEventRequest]) -> Raw:
        args = call.args
        view, seen = await self._history.event(args.room_id, args.event_id, call.user_id)
        viewer = await self._history.viewer(call.requester)
        return Raw(body=(await self._history.formed(view.room, [seen], viewer))[0])

    async def get_event_context(self, call: Call[api.GetEventContextRequest]) -> Raw:
        args, history = call.args, self._history
        view = await history.view(args.room_id, call.user_id)
        seen = await history.seen(view, args.event_id, call.user_id)
        viewer = await history.viewer(call.requester)
        chosen = decode_event_filter(args.filter) if args.filter else EVERY_EVENT
        limit = min(args.limit, chosen.limit(MAX_LIMIT, MAX_LIMIT))
        context = await history.context(view, seen, viewer, limit // 2, limit - limit // 2, chosen)
        formed = await history.formed(view.room, context.all, viewer)
        state: list[bytes] = []
        if context.last.snapshot is not None:
            senders = {one.stored.event.sender for one in context.all}
            state = await history.states.bytes_at(view.room, context.last.snapshot, viewer, chosen, senders)
        middle = len(context.before)
        return Raw(
            body=b'{"start":"%s","end":"%s","event":%s,"events_before":[%s],"events_after":[%s],"state":[%s]}'
            % (
                context.start.spell().encode(),
                context.end.spell().encode(),
                formed[middle],
                b",".join(formed[:middle]),
                b",".join(formed[middle + 1 :]),
                b",".join(state),
            )
        )

    async def get_event_by_timestamp(
        self, call: Call[api.GetEventByTimestampRequest]
    ) -> api.GetEventByTimestampResponse:
        args = call.args
        found = await self._history.at_time(args.room_id, call.user_id, args.ts, args.dir)
        return api.GetEventByTimestampResponse(
            event_id=found.event.event_id, origin_server_ts=found.event.origin_server_ts
        )
