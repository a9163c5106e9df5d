"""Who is there.

https://spec.matrix.org/v1.19/client-server-api/#presence
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import PresenceState, Reason, UserId


class GetPresenceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class GetPresenceResponse(Struct):
    """`last_active_ago` is milliseconds."""

    presence: PresenceState
    last_active_ago: int | None = None
    status_msg: str | None = None
    currently_active: bool | None = None


class SetPresenceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    presence: PresenceState
    status_msg: Reason | None = None


GET_PRESENCE = Endpoint(
    operation_id="getPresence",
    method="GET",
    paths=client("/presence/{userId}/status"),
    request=GetPresenceRequest,
    response=GetPresenceResponse,
    auth=Auth.SUSPENDED,
)

SET_PRESENCE = Endpoint(
    operation_id="setPresence",
    method="PUT",
    paths=client("/presence/{userId}/status"),
    request=SetPresenceRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="presence",
)

ENDPOINTS = (GET_PRESENCE, SET_PRESENCE)
