"""The endpoints by which other servers read rooms' pasts.

https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.history.serving import Serving
from weft.protocol.api.endpoint import Raw
from weft.protocol.api.federation import backfill, events
from weft.protocol.api.federation.types import Transaction


class FederationApi:
    """`server_name` is in whose name we answer."""

    def __init__(self, serving: Serving, server_name: str, now_ms: Callable[[], int]) -> None:
        self._serving = serving
        self._server_name = server_name
        self._now_ms = now_ms

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(backfill.BACKFILL_ROOM, self.backfill_room),
            route(backfill.GET_MISSING_PREVIOUS_EVENTS, self.get_missing_previous_events),
            route(events.GET_EVENT, self.get_event),
            route(events.GET_EVENT_AUTH, self.get_event_auth),
            route(events.GET_ROOM_STATE, self.get_room_state),
            route(events.GET_ROOM_STATE_IDS, self.get_room_state_ids),
            route(events.GET_EVENT_BY_TIMESTAMP, self.get_event_by_timestamp),
        ]

    async def backfill_room(self, call: Call[backfill.BackfillRoomRequest]) -> Transaction:
        args = call.args
        return self._transaction(await self._serving.backfill(call.origin, args.room_id, args.v, args.limit))

    async def get_missing_previous_events(
        self, call: Call[backfill.GetMissingPreviousEventsRequest]
    ) -> backfill.GetMissingPreviousEventsResponse:
        args = call.args
        found = await self._serving.missing(
            call.origin,
            args.room_id,
            earliest=args.earliest_events,
            latest=args.latest_events,
            limit=args.limit,
            min_depth=args.min_depth,
        )
        return backfill.GetMissingPreviousEventsResponse(events=[msgspec.Raw(pdu) for pdu in found])

    async def get_event(self, call: Call[events.GetEventRequest]) -> Transaction:
        return self._transaction([await self._serving.event(call.origin, call.args.event_id)])

    async def get_event_auth(self, call: Call[events.GetEventAuthRequest]) -> Raw:
        return Raw(body=await self._serving.event_auth(call.origin, call.args.room_id, call.args.event_id))

    async def get_room_state(self, call: Call[events.GetRoomStateRequest]) -> Raw:
        return Raw(body=await self._serving.state(call.origin, call.args.room_id, call.args.event_id))

    async def get_room_state_ids(self, call: Call[events.GetRoomStateIdsRequest]) -> Raw:
        return Raw(body=await self._serving.state_ids(call.origin, call.args.room_id, call.args.event_id))

    async def get_event_by_timestamp(
        self, call: Call[events.GetEventByTimestampRequest]
    ) -> events.GetEventByTimestampResponse:
        args = call.args
        found = await self._serving.at_time(call.origin, args.room_id, args.ts, args.dir)
        return events.GetEventByTimestampResponse(
            event_id=found.event.event_id, origin_server_ts=found.event.origin_server_ts
        )

    def _transaction(self, pdus: Iterable[bytes]) -> Transaction:
        return Transaction(
            origin=self._server_name,
            origin_server_ts=self._now_ms(),
            pdus=[msgspec.Raw(pdu) for pdu in pdus],
        )
