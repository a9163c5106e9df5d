"""What users keep on the server. Sizes are bytes, times milliseconds since 1970."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Query, Struct
from weft.protocol.api.synapse_admin.declaring import Number, PageLimit, SearchTerm, admin
from weft.protocol.api.types import Direction


class UserMediaStatisticsRequest(Struct, kw_only=True):
    """`from_` is the `next_token` of the page before; only what was uploaded between the two times counts."""

    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    order_by: Query[Literal["user_id", "displayname", "media_length", "media_count"]] = "user_id"
    dir: Query[Direction] = "f"
    from_ts: Query[Number] = 0
    until_ts: Query[Number | None] = None
    search_term: Query[SearchTerm | None] = None


class UserMediaStatistic(Struct, omit_defaults=False):
    user_id: str
    displayname: str | None
    media_count: int
    media_length: int


class UserMediaStatisticsResponse(Struct):
    """`next_token` is absent on the last page."""

    users: list[UserMediaStatistic]
    total: int
    next_token: int | None = None


USER_MEDIA_STATISTICS = admin(
    "userMediaStatistics",
    "GET",
    "v1/statistics/users/media",
    request=UserMediaStatisticsRequest,
    response=UserMediaStatisticsResponse,
)

ENDPOINTS = (USER_MEDIA_STATISTICS,)
