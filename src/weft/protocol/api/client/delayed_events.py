"""Events that are sent later, unless the client says otherwise in time.

https://github.com/matrix-org/matrix-spec-proposals/pull/4140
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, field

from weft.protocol.api.endpoint import Auth, Endpoint, Path, Query, Struct
from weft.protocol.api.types import RoomId, SessionKey, StreamToken

_PATH = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events"

Action = Literal["cancel", "restart", "send"]


class DelayedEvent(Struct, kw_only=True):
    """`delay` and `running_since` are milliseconds, the latter since the epoch."""

    delay_id: str
    room_id: RoomId
    type: str
    state_key: str | None = None
    delay: int
    running_since: int
    content: Raw


class GetDelayedEventsRequest(Struct):
    """`from` is the `next_batch` of the answer before."""

    from_: Query[StreamToken | None] = field(default=None, name="from")


class GetDelayedEventsResponse(Struct, kw_only=True):
    delayed_events: list[DelayedEvent]
    next_batch: str | None = None


class UpdateDelayedEventRequest(Struct, kw_only=True):
    delay_id: Path[SessionKey]
    action: Action


class UpdateDelayedEventByPathRequest(Struct):
    delay_id: Path[SessionKey]
    action: Path[Action]


class UpdateDelayedEventResponse(Struct):
    """`{}`"""


GET_DELAYED_EVENTS = Endpoint(
    operation_id="getDelayedEvents",
    method="GET",
    paths=(_PATH,),
    request=GetDelayedEventsRequest,
    response=GetDelayedEventsResponse,
    auth=Auth.GUEST,
)

# Whoever knows the id may act on it, so that a client can hand that over to the server that carries the call.
UPDATE_DELAYED_EVENT = Endpoint(
    operation_id="updateDelayedEvent",
    method="POST",
    paths=(_PATH + "/{delay_id}",),
    request=UpdateDelayedEventRequest,
    response=UpdateDelayedEventResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)
UPDATE_DELAYED_EVENT_BY_PATH = Endpoint(
    operation_id="updateDelayedEventByPath",
    method="POST",
    paths=(_PATH + "/{delay_id}/{action}",),
    request=UpdateDelayedEventByPathRequest,
    response=UpdateDelayedEventResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

ENDPOINTS = (GET_DELAYED_EVENTS, UPDATE_DELAYED_EVENT, UPDATE_DELAYED_EVENT_BY_PATH)
