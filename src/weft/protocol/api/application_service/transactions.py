"""https://spec.matrix.org/v1.19/application-service-api/#pushing-events"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, UnsetType, field

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Path, Struct, application_service
from weft.protocol.api.types import TransactionId


class SendTransactionRequest(Struct):
    """`events` as clients get them; `ephemeral` is typing, receipts and presence, for services that asked for them."""

    txn_id: Path[TransactionId] = field(name="txnId")
    events: list[Raw]
    ephemeral: list[Raw] | UnsetType = UNSET


SEND_TRANSACTION: Endpoint[SendTransactionRequest, Any] = Endpoint(
    operation_id="sendTransaction",
    method="PUT",
    paths=application_service("/transactions/{txnId}", before="/transactions/{txnId}"),
    request=SendTransactionRequest,
    response=Empty,
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

ENDPOINTS = (SEND_TRANSACTION,)
