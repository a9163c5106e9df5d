"""https://spec.matrix.org/v1.19/application-service-api/#pinging"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Struct, application_service
from weft.protocol.api.types import TransactionId


class PingRequest(Struct):
    transaction_id: TransactionId | None = None


PING = Endpoint(
    operation_id="ping",
    method="POST",
    paths=application_service("/ping"),
    request=PingRequest,
    response=Empty,
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

ENDPOINTS = (PING,)
