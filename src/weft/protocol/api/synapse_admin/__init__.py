"""What administrators do, as Synapse's tools ask for it: none of it is in the specification.

Every endpoint is for the access token of an administrator, unless its file says otherwise. Paths, fields and errors are
those that Synapse documents, so that tools which are in use everywhere work unchanged.

https://element-hq.github.io/synapse/latest/usage/administration/admin_api/
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.synapse_admin import (
    devices,
    federation,
    jobs,
    media,
    registration,
    registration_tokens,
    reports,
    rooms,
    server,
    server_notices,
    statistics,
    users,
)

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    *users.ENDPOINTS,
    *devices.ENDPOINTS,
    *rooms.ENDPOINTS,
    *jobs.ENDPOINTS,
    *registration.ENDPOINTS,
    *registration_tokens.ENDPOINTS,
    *reports.ENDPOINTS,
    *server_notices.ENDPOINTS,
    *media.ENDPOINTS,
    *statistics.ENDPOINTS,
    *federation.ENDPOINTS,
    *server.ENDPOINTS,
)
