"""The Identity Service API, as far as a homeserver asks for it.

https://spec.matrix.org/v1.19/identity-service-api/
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.identity import associations, invites, lookup

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (*lookup.ENDPOINTS, *associations.ENDPOINTS, *invites.ENDPOINTS)
