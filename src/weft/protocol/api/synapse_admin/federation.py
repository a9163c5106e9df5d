"""Other servers, as administrators see them. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Empty, Path, Query, Struct
from weft.protocol.api.synapse_admin.declaring import Number, PageLimit, SearchTerm, admin
from weft.protocol.api.types import Direction, ServerName


class ListDestinationsRequest(Struct, kw_only=True):
    """`from_` is the `next_token` of the page before. `destination`: only servers whose names hold this."""

    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    order_by: Query[
        Literal["destination", "retry_last_ts", "retry_interval", "failure_ts", "last_successful_stream_ordering"]
    ] = "destination"
    dir: Query[Direction] = "f"
    destination: Query[SearchTerm | None] = None


class Destination(Struct, omit_defaults=False):
    """`retry_last_ts`, `retry_interval`: 0 for a server that answers. How far it has come is not told by one number."""

    destination: str
    retry_last_ts: int
    retry_interval: int
    failure_ts: int | None
    last_successful_stream_ordering: None = None


class ListDestinationsResponse(Struct):
    """`next_token` is absent on the last page."""

    destinations: list[Destination]
    total: int
    next_token: str | None = None


class DestinationRequest(Struct):
    destination: Path[ServerName]


class DestinationRoomsRequest(Struct, kw_only=True):
    destination: Path[ServerName]
    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    dir: Query[Direction] = "f"


class DestinationRoom(Struct, omit_defaults=False):
    room_id: str
    stream_ordering: None = None


class DestinationRoomsResponse(Struct):
    rooms: list[DestinationRoom]
    total: int
    next_token: str | None = None


_ONE = "v1/federation/destinations/{destination}"

LIST_DESTINATIONS = admin(
    "listDestinations",
    "GET",
    "v1/federation/destinations",
    request=ListDestinationsRequest,
    response=ListDestinationsResponse,
)
GET_DESTINATION = admin("getDestination", "GET", _ONE, request=DestinationRequest, response=Destination)
DESTINATION_ROOMS = admin(
    "destinationRooms", "GET", f"{_ONE}/rooms", request=DestinationRoomsRequest, response=DestinationRoomsResponse
)
RESET_DESTINATION = admin(
    "resetDestination", "POST", f"{_ONE}/reset_connection", request=DestinationRequest, response=Empty
)

ENDPOINTS = (LIST_DESTINATIONS, GET_DESTINATION, DESTINATION_ROOMS, RESET_DESTINATION)
