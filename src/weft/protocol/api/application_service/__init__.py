"""The Application Service API: what this server asks application services.

https://spec.matrix.org/v1.19/application-service-api/#homeserver---application-service-api
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.application_service import ping, queries, third_party, transactions
from weft.protocol.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    *transactions.ENDPOINTS,
    *ping.ENDPOINTS,
    *queries.ENDPOINTS,
    *third_party.ENDPOINTS,
)
