"""`/sync`: everything that is new for a client since it last asked.

https://spec.matrix.org/v1.19/client-server-api/#syncing
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Endpoint, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Milliseconds, PresenceState, StreamToken


class SyncRequest(Struct):
    """`filter` is the id of a stored filter, or a filter as JSON text (it begins with `{`).

    The last field is a spelling from before v1.16.
    """

    filter: Query[str | None] = None
    since: Query[StreamToken | None] = None
    full_state: Query[bool] = False
    set_presence: Query[PresenceState] = "online"
    timeout: Query[Milliseconds] = 0
    use_state_after: Query[bool] = False
    unstable_use_state_after: Query[bool] = field(default=False, name="org.matrix.msc4222.use_state_after")


class Events(Struct):
    events: list[EventJson]


class Timeline(Struct):
    """`limited`: events before these were left out; `/messages` from `prev_batch` has them."""

    events: list[EventJson]
    limited: bool
    prev_batch: str | None = None


class RoomSummary(Struct):
    """What a client needs to name a room without all its members; absent parts are as they were."""

    heroes: list[str] | None = field(default=None, name="m.heroes")
    joined_member_count: int | None = field(default=None, name="m.joined_member_count")
    invited_member_count: int | None = field(default=None, name="m.invited_member_count")


class UnreadNotificationCounts(Struct):
    notification_count: int
    highlight_count: int


class JoinedRoom(Struct):
    """Exactly one of `state` (before the timeline) and `state_after` is there.

    `unread_thread_notifications` is by the thread's root. The last field is a spelling from before v1.16.
    """

    timeline: Timeline | None = None
    state: Events | None = None
    state_after: Events | None = None
    ephemeral: Events | None = None
    account_data: Events | None = None
    summary: RoomSummary | None = None
    unread_notifications: UnreadNotificationCounts | None = None
    unread_thread_notifications: dict[str, UnreadNotificationCounts] | None = None
    unstable_state_after: Events | None = field(default=None, name="org.matrix.msc4222.state_after")


class InvitedRoom(Struct):
    invite_state: Events


class KnockedRoom(Struct):
    knock_state: Events


class LeftRoom(Struct):
    timeline: Timeline | None = None
    state: Events | None = None
    state_after: Events | None = None
    account_data: Events | None = None
    unstable_state_after: Events | None = field(default=None, name="org.matrix.msc4222.state_after")


class Rooms(Struct):
    """By room id."""

    join: dict[str, JoinedRoom] = field(default_factory=dict)
    invite: dict[str, InvitedRoom] = field(default_factory=dict)
    knock: dict[str, KnockedRoom] = field(default_factory=dict)
    leave: dict[str, LeftRoom] = field(default_factory=dict)


class DeviceLists(Struct):
    """Users whose devices changed, and users that one shares no encrypted room with any more."""

    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class SyncResponse(Struct):
    next_batch: str
    rooms: Rooms | None = None
    presence: Events | None = None
    account_data: Events | None = None
    to_device: Events | None = None
    device_lists: DeviceLists | None = None
    device_one_time_keys_count: dict[str, int] | None = None
    device_unused_fallback_key_types: list[str] | None = None


SYNC = Endpoint(
    operation_id="sync",
    method="GET",
    paths=client("/sync"),
    request=SyncRequest,
    response=SyncResponse,
    auth=Auth.GUEST_SUSPENDED,
    long_poll=True,
)

ENDPOINTS = (SYNC,)
