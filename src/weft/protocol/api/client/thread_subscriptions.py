"""The threads that a user follows.

https://github.com/matrix-org/matrix-spec-proposals/pull/4306
https://github.com/matrix-org/matrix-spec-proposals/pull/4308
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct
from weft.protocol.api.types import EventId, RoomId, StreamToken

_PATH = "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription"


class ThreadRequest(Struct, kw_only=True):
    """`event_id` is that of the thread's root."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId] = field(name="eventId")


class SubscribeToThreadRequest(ThreadRequest, kw_only=True):
    """`automatic` is the event that had the client subscribe by itself; None: the user asked for it."""

    automatic: EventId | None = None


class ThreadSubscription(Struct, kw_only=True):
    automatic: bool


class GetThreadSubscriptionsRequest(Struct, kw_only=True):
    """`from` is an `end` or a `prev_batch`; `to` the `pos` of sliding sync that the client had before."""

    dir: Query[Literal["b"]]
    from_: Query[StreamToken | None] = field(default=None, name="from")
    to: Query[StreamToken | None] = None
    limit: Query[Annotated[int, Meta(ge=1)]] = 100


class Subscribed(ThreadSubscription, kw_only=True):
    """Of two of the same thread, that with the higher `bump_stamp` is how things are."""

    bump_stamp: int


class Unsubscribed(Struct, kw_only=True):
    bump_stamp: int


class ThreadSubscriptions(Struct, kw_only=True):
    """By room, by the thread's root."""

    subscribed: dict[str, dict[str, Subscribed]] = field(default_factory=dict)
    unsubscribed: dict[str, dict[str, Unsubscribed]] = field(default_factory=dict)


class GetThreadSubscriptionsResponse(ThreadSubscriptions, kw_only=True):
    """`end` is where the next page begins, if there is more."""

    end: str | None = None


class ThreadSubscriptionsResult(ThreadSubscriptions, kw_only=True):
    """The section of sliding sync. `prev_batch` is there where older changes were left out."""

    prev_batch: str | None = None


GET_THREAD_SUBSCRIPTION = Endpoint(
    operation_id="getThreadSubscription",
    method="GET",
    paths=(_PATH,),
    request=ThreadRequest,
    response=ThreadSubscription,
    auth=Auth.SUSPENDED,
)

SUBSCRIBE_TO_THREAD = Endpoint(
    operation_id="subscribeToThread",
    method="PUT",
    paths=(_PATH,),
    request=SubscribeToThreadRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

UNSUBSCRIBE_FROM_THREAD = Endpoint(
    operation_id="unsubscribeFromThread",
    method="DELETE",
    paths=(_PATH,),
    request=ThreadRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_THREAD_SUBSCRIPTIONS = Endpoint(
    operation_id="getThreadSubscriptions",
    method="GET",
    paths=("/_matrix/client/unstable/io.element.msc4308/thread_subscriptions",),
    request=GetThreadSubscriptionsRequest,
    response=GetThreadSubscriptionsResponse,
    auth=Auth.SUSPENDED,
)

ENDPOINTS = (GET_THREAD_SUBSCRIPTION, SUBSCRIBE_TO_THREAD, UNSUBSCRIBE_FROM_THREAD, GET_THREAD_SUBSCRIPTIONS)
