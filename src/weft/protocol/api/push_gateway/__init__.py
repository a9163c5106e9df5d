"""The Push Gateway API: what this server asks push gateways.

https://spec.matrix.org/v1.19/push-gateway-api/
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.push_gateway import notify

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = notify.ENDPOINTS
