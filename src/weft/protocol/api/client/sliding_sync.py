"""Sliding sync: the rooms that a client shows, and what is new in them.

Under the unstable path, in the spelling that clients use (matrix-rust-sdk, matrix-js-sdk). The proposal's own spelling
of `range`, `required_state` and `is_invited` is taken too.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, field

from weft.protocol.api.client.sync import DeviceLists
from weft.protocol.api.client.thread_subscriptions import ThreadSubscriptionsResult
from weft.protocol.api.endpoint import Auth, Endpoint, Query, Struct
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Milliseconds, PresenceState, RoomId, StreamToken

#: How many rules of either kind one request may have.
MAX_RULES = 100
#: The name of the extension until MSC4308 is merged.
THREAD_SUBSCRIPTIONS = "io.element.msc4308.thread_subscriptions"
STICKY_EVENTS = "org.matrix.msc4354.sticky_events"

Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(max_length=255)]
Names = Annotated[list[Name], Meta(max_length=1_000)]


class RequiredStateElement(Struct):
    """What is left out matches everything."""

    type: Name | None = None
    state_key: Name | None = None


class RequiredStateRequest(Struct):
    include: Annotated[list[RequiredStateElement], Meta(max_length=1_000)] = field(default_factory=list)
    exclude: Annotated[list[RequiredStateElement], Meta(max_length=1_000)] = field(default_factory=list)
    lazy_members: bool = False


class RoomFilter(Struct):
    """`is_invite` is the experiment's name for `is_invited`."""

    is_dm: bool | None = None
    spaces: Names | None = None
    is_encrypted: bool | None = None
    is_invited: bool | None = None
    is_invite: bool | None = None
    room_types: Annotated[list[Name | None], Meta(max_length=1_000)] | None = None
    not_room_types: Annotated[list[Name | None], Meta(max_length=1_000)] | None = None
    tags: Names | None = None
    not_tags: Names | None = None


class RoomRule(Struct):
    """A subscription: what is told of a room that it matches."""

    timeline_limit: Count = 0
    required_state: Annotated[list[tuple[Name, Name]], Meta(max_length=1_000)] | RequiredStateRequest = field(
        default_factory=list
    )


class ListRule(RoomRule):
    """`ranges` is the experiment's way to give several; without either the list is of all rooms that match."""

    range: tuple[Index, Index] | None = None
    ranges: Annotated[list[tuple[Index, Index]], Meta(max_length=100)] | None = None
    filters: RoomFilter | None = None


class ToDeviceConfig(Struct):
    """`since` is the `next_batch` of the answer before: what the device has."""

    enabled: bool = False
    since: StreamToken | None = None
    limit: Count | None = None


class EncryptionConfig(Struct):
    enabled: bool = False


class RoomsConfig(Struct):
    """Of which of the rooms that rules match: by the rules' names; `*` for all, as where nothing is said."""

    enabled: bool = False
    lists: Names | None = None
    rooms: Names | None = None


class ThreadSubscriptionsConfig(Struct):
    """`limit`: of how many changes at most."""

    enabled: bool = False
    limit: Annotated[int, Meta(ge=1)] = 100


class StickyEventsConfig(RoomsConfig):
    """`since` is the `next_batch` of the answer before; `limit`: of how many events at most."""

    since: StreamToken | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class Extensions(Struct):
    to_device: ToDeviceConfig = field(default_factory=ToDeviceConfig)
    e2ee: EncryptionConfig = field(default_factory=EncryptionConfig)
    account_data: RoomsConfig = field(default_factory=RoomsConfig)
    receipts: RoomsConfig = field(default_factory=RoomsConfig)
    typing: RoomsConfig = field(default_factory=RoomsConfig)
    thread_subscriptions: ThreadSubscriptionsConfig = field(
        default_factory=ThreadSubscriptionsConfig, name=THREAD_SUBSCRIPTIONS
    )
    sticky_events: StickyEventsConfig = field(default_factory=StickyEventsConfig, name=STICKY_EVENTS)


class SlidingSyncRequest(Struct):
    """`pos` is that of the answer before; without one a new connection begins in the place of that of this name."""

    pos: Query[StreamToken | None] = None
    timeout: Query[Milliseconds] = 0
    set_presence: Query[PresenceState] = "online"
    conn_id: Name = ""
    lists: dict[Name, ListRule] = field(default_factory=dict)
    room_subscriptions: dict[RoomId, RoomRule] = field(default_factory=dict)
    extensions: Extensions = field(default_factory=Extensions)


class ListOperation(Struct):
    op: str
    range: tuple[int, int]
    room_ids: list[str]


class ListResult(Struct, omit_defaults=False):
    """`count`: of all rooms that match, whatever the range."""

    count: int
    ops: list[ListOperation]


class Hero(Struct, kw_only=True):
    user_id: str
    displayname: str | None = None
    avatar_url: str | None = None


class RoomResult(Struct):
    """What is absent is as it was; with `initial`, it is not there.

    `invite_state` and `unstable_expanded_timeline` are the experiment's names.
    """

    bump_stamp: int | None = None
    membership: str | None = None
    lists: list[str] | None = None
    name: str | None = None
    avatar: str | None = None
    heroes: list[Hero] | None = None
    is_dm: bool | None = None
    initial: bool | None = None
    expanded_timeline: bool | None = None
    unstable_expanded_timeline: bool | None = None
    required_state: list[EventJson] | None = None
    timeline: list[EventJson] | None = None
    prev_batch: str | None = None
    limited: bool | None = None
    num_live: int | None = None
    joined_count: int | None = None
    invited_count: int | None = None
    notification_count: int | None = None
    highlight_count: int | None = None
    stripped_state: list[EventJson] | None = None
    invite_state: list[EventJson] | None = None


class ToDeviceResult(Struct, kw_only=True):
    next_batch: str
    events: list[EventJson] = field(default_factory=list)


class EncryptionResult(Struct):
    device_lists: DeviceLists | None = None
    device_one_time_keys_count: dict[str, int] | None = None
    device_unused_fallback_key_types: list[str] | None = None


class AccountDataResult(Struct):
    """`global` is a word of the language."""

    everywhere: list[EventJson] = field(default_factory=list, name="global")
    rooms: dict[str, list[EventJson]] = field(default_factory=dict)


class EphemeralResult(Struct):
    """One event for each room."""

    rooms: dict[str, Raw] = field(default_factory=dict)


class StickyEventsOfRoom(Struct):
    events: list[EventJson]


class StickyEventsResult(Struct, kw_only=True):
    next_batch: str
    rooms: dict[str, StickyEventsOfRoom] = field(default_factory=dict)


class ExtensionResults(Struct):
    to_device: ToDeviceResult | None = None
    e2ee: EncryptionResult | None = None
    account_data: AccountDataResult | None = None
    receipts: EphemeralResult | None = None
    typing: EphemeralResult | None = None
    thread_subscriptions: ThreadSubscriptionsResult | None = field(default=None, name=THREAD_SUBSCRIPTIONS)
    sticky_events: StickyEventsResult | None = field(default=None, name=STICKY_EVENTS)


class SlidingSyncResponse(Struct, kw_only=True):
    pos: str
    lists: dict[str, ListResult] = field(default_factory=dict)
    rooms: dict[str, RoomResult] = field(default_factory=dict)
    extensions: ExtensionResults = field(default_factory=ExtensionResults)


SLIDING_SYNC = Endpoint(
    operation_id="slidingSync",
    method="POST",
    paths=("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",),
    request=SlidingSyncRequest,
    response=SlidingSyncResponse,
    auth=Auth.GUEST_SUSPENDED,
    long_poll=True,
)

ENDPOINTS = (SLIDING_SYNC,)
