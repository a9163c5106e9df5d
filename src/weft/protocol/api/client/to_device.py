"""Messages from device to device, which belong to no room.

https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import TransactionId

#: Bytes of a whole request: many devices are sent something at once.
MAX_REQUEST = 8 << 20


class SendToDeviceRequest(Struct):
    """`messages` is by user id and then device id, `*` for all of a user's devices. Contents travel as they are."""

    event_type: Path[Annotated[str, Meta(min_length=1, max_length=255)]] = field(name="eventType")
    txn_id: Path[TransactionId] = field(name="txnId")
    messages: dict[str, dict[str, Raw]]


SEND_TO_DEVICE = Endpoint(
    operation_id="sendToDevice",
    method="PUT",
    paths=client("/sendToDevice/{eventType}/{txnId}", unstable=("unstable/sendToDevice/{eventType}/{txnId}",)),
    request=SendToDeviceRequest,
    response=Empty,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="to_device",
    max_body=MAX_REQUEST,
    deep_body=True,
)

ENDPOINTS = (SEND_TO_DEVICE,)
