"""Messages from the server itself to its users."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.client.room_events import EventIdResponse
from weft.protocol.api.endpoint import Auth, Endpoint, Path, Struct
from weft.protocol.api.types import TransactionId, UserId

EventType = Annotated[str, Meta(min_length=1, max_length=255)]


class SendServerNoticeRequest(Struct, kw_only=True):
    """With a `state_key` the notice is a state event."""

    user_id: UserId
    content: dict[str, Any]
    type: EventType = "m.room.message"
    state_key: Annotated[str, Meta(max_length=255)] | None = None


class SendServerNoticeOnceRequest(SendServerNoticeRequest, kw_only=True):
    txn_id: Path[TransactionId] = field(name="txnId")


SEND_SERVER_NOTICE = Endpoint(
    operation_id="sendServerNotice",
    method="POST",
    paths=("/_synapse/admin/v1/send_server_notice",),
    request=SendServerNoticeRequest,
    response=EventIdResponse,
    auth=Auth.ADMIN,
)

SEND_SERVER_NOTICE_ONCE = Endpoint(
    operation_id="sendServerNoticeOnce",
    method="PUT",
    paths=("/_synapse/admin/v1/send_server_notice/{txnId}",),
    request=SendServerNoticeOnceRequest,
    response=EventIdResponse,
    auth=Auth.ADMIN,
)

ENDPOINTS = (SEND_SERVER_NOTICE, SEND_SERVER_NOTICE_ONCE)
