"""Telling a room that one is typing.

https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import Milliseconds, RoomId, UserId


class SetTypingRequest(Struct):
    """`timeout` is how long it holds if nothing else is heard; required by the specification if `typing` is true."""

    room_id: Path[RoomId] = field(name="roomId")
    user_id: Path[UserId] = field(name="userId")
    typing: bool
    timeout: Milliseconds | None = None


SET_TYPING = Endpoint(
    operation_id="setTyping",
    method="PUT",
    paths=client("/rooms/{roomId}/typing/{userId}"),
    request=SetTypingRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="typing",
)

ENDPOINTS = (SET_TYPING,)
