"""Filling the gaps: what lies before events that one has.

https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Struct, federation
from weft.protocol.api.federation.types import MAX_PAGE, EventIds, Pdu, Transaction
from weft.protocol.api.types import Limit, RoomId


class BackfillRoomRequest(Struct):
    """`v` are the events to go back from; they come too."""

    room_id: Path[RoomId] = field(name="roomId")
    v: Query[EventIds]
    limit: Query[Limit]


class GetMissingPreviousEventsRequest(Struct):
    """What leads to `latest_events`, without these, down to `earliest_events` and not below `min_depth`."""

    room_id: Path[RoomId] = field(name="roomId")
    earliest_events: EventIds
    latest_events: EventIds
    limit: Limit = 10
    min_depth: int = 0


class GetMissingPreviousEventsResponse(Struct, omit_defaults=False):
    events: list[Pdu] = field(default_factory=list)


BACKFILL_ROOM = Endpoint(
    operation_id="backfillRoom",
    method="GET",
    paths=federation("/backfill/{roomId}"),
    request=BackfillRoomRequest,
    response=Transaction,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_PAGE,
)

GET_MISSING_PREVIOUS_EVENTS = Endpoint(
    operation_id="getMissingPreviousEvents",
    method="POST",
    paths=federation("/get_missing_events/{roomId}"),
    request=GetMissingPreviousEventsRequest,
    response=GetMissingPreviousEventsResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=MAX_PAGE,
)

ENDPOINTS = (BACKFILL_ROOM, GET_MISSING_PREVIOUS_EVENTS)
