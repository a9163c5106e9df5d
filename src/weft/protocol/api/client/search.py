"""Full-text search in the rooms that one is or was in.

https://spec.matrix.org/v1.19/client-server-api/#server-side-search
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Endpoint, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Limit, StreamToken

#: The keys of an event's content that are searched.
SearchKey = Literal["content.body", "content.name", "content.topic"]
GroupKey = Literal["room_id", "sender"]


class EventContextConfig(Struct):
    before_limit: Limit = 5
    after_limit: Limit = 5
    include_profile: bool = False


class Group(Struct):
    key: GroupKey | None = None


class Groupings(Struct):
    group_by: Annotated[list[Group], Meta(max_length=2)] | None = None


class RoomEventsCriteria(Struct):
    """`filter` is a room event filter, read by `weft.protocol.filters`. Without `keys` all three are searched."""

    search_term: Annotated[str, Meta(max_length=4096)]
    keys: Annotated[list[SearchKey], Meta(max_length=16)] | None = None
    filter: dict[str, Any] | None = None
    order_by: Literal["recent", "rank"] = "rank"
    event_context: EventContextConfig | None = None
    include_state: bool = False
    groupings: Groupings | None = None


class SearchCategories(Struct):
    room_events: RoomEventsCriteria | None = None


class SearchRequest(Struct, kw_only=True):
    next_batch: Query[StreamToken | None] = None
    search_categories: SearchCategories


class UserProfile(Struct):
    """Somebody's name and picture at the time of an event."""

    displayname: str | None = None
    avatar_url: str | None = None


class EventContextResult(Struct):
    events_before: list[EventJson]
    events_after: list[EventJson]
    start: str | None = None
    end: str | None = None
    profile_info: dict[str, UserProfile] | None = None


class SearchResult(Struct):
    """A higher `rank` is a better match."""

    rank: float
    result: EventJson
    context: EventContextResult | None = None


class GroupValue(Struct):
    """`results` are event ids."""

    order: int
    results: list[str]
    next_batch: str | None = None


class RoomEventResults(Struct):
    """`highlights` are the words to mark. `groups` is by key, then by that key's value. `state` is by room."""

    count: int
    highlights: list[str]
    results: list[SearchResult]
    state: dict[str, list[EventJson]] | None = None
    groups: dict[GroupKey, dict[str, GroupValue]] = field(default_factory=dict)
    next_batch: str | None = None


class ResultCategories(Struct):
    room_events: RoomEventResults | None = None


class SearchResponse(Struct):
    search_categories: ResultCategories


SEARCH = Endpoint(
    operation_id="search",
    method="POST",
    paths=client("/search"),
    request=SearchRequest,
    response=SearchResponse,
    auth=Auth.SUSPENDED,
    rate_limit="search",
)

ENDPOINTS = (SEARCH,)
