"""The Server-Server API: every endpoint that servers have for each other, one file for each part of the specification.

https://spec.matrix.org/v1.19/server-server-api/
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.federation import (
    backfill,
    devices,
    directory,
    encryption_keys,
    events,
    inviting,
    joining,
    knocking,
    leaving,
    media,
    openid,
    policy,
    queries,
    server_keys,
    spaces,
    third_party_invites,
    transactions,
    version,
)

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    *version.ENDPOINTS,
    *server_keys.ENDPOINTS,
    *transactions.ENDPOINTS,
    *backfill.ENDPOINTS,
    *events.ENDPOINTS,
    *joining.ENDPOINTS,
    *knocking.ENDPOINTS,
    *leaving.ENDPOINTS,
    *inviting.ENDPOINTS,
    *third_party_invites.ENDPOINTS,
    *directory.ENDPOINTS,
    *queries.ENDPOINTS,
    *spaces.ENDPOINTS,
    *openid.ENDPOINTS,
    *media.ENDPOINTS,
    *devices.ENDPOINTS,
    *encryption_keys.ENDPOINTS,
    *policy.ENDPOINTS,
)
