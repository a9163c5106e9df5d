"""What only application services ask.

https://spec.matrix.org/v1.19/application-service-api/#client-server-api-extensions
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import RoomId, RoomVisibility, TransactionId


class PingAppserviceRequest(Struct):
    appservice_id: Path[str] = field(name="appserviceId")
    transaction_id: TransactionId | None = None


class PingAppserviceResponse(Struct):
    duration_ms: int


class UpdateAppserviceRoomDirectoryVisibilityRequest(Struct):
    network_id: Path[str] = field(name="networkId")
    room_id: Path[RoomId] = field(name="roomId")
    visibility: RoomVisibility


PING_APPSERVICE = Endpoint(
    operation_id="pingAppservice",
    method="POST",
    paths=client(
        "/appservice/{appserviceId}/ping", v="v1", unstable=("unstable/fi.mau.msc2659/appservice/{appserviceId}/ping",)
    ),
    request=PingAppserviceRequest,
    response=PingAppserviceResponse,
    auth=Auth.APPLICATION_SERVICE,
    rate_limit="account",
)

UPDATE_APPSERVICE_ROOM_DIRECTORY_VISIBILITY = Endpoint(
    operation_id="updateAppserviceRoomDirectoryVisibility",
    method="PUT",
    paths=client("/directory/list/appservice/{networkId}/{roomId}"),
    request=UpdateAppserviceRoomDirectoryVisibilityRequest,
    response=Empty,
    auth=Auth.APPLICATION_SERVICE,
    rate_limit="directory",
)

ENDPOINTS = (PING_APPSERVICE, UPDATE_APPSERVICE_ROOM_DIRECTORY_VISIBILITY)
