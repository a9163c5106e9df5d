"""The Client-Server API: every endpoint that Weft answers, one file for each part of the specification.

https://spec.matrix.org/v1.19/client-server-api/
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.client import (
    account,
    account_data,
    admin,
    capabilities,
    devices,
    directory,
    fallback,
    filters,
    history,
    key_backup,
    keys,
    legacy,
    login,
    membership,
    openid,
    presence,
    profile,
    push_rules,
    receipts,
    registration,
    reporting,
    room_events,
    room_inspection,
    room_summary,
    rooms,
    search,
    sync,
    to_device,
    typing,
    user_directory,
    versions,
    well_known,
)
from weft.protocol.api.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    *versions.ENDPOINTS,
    *well_known.ENDPOINTS,
    *capabilities.ENDPOINTS,
    *login.ENDPOINTS,
    *registration.ENDPOINTS,
    *fallback.ENDPOINTS,
    *account.ENDPOINTS,
    *devices.ENDPOINTS,
    *keys.ENDPOINTS,
    *rooms.ENDPOINTS,
    *membership.ENDPOINTS,
    *room_events.ENDPOINTS,
    *history.ENDPOINTS,
    *search.ENDPOINTS,
    *directory.ENDPOINTS,
    *room_summary.ENDPOINTS,
    *room_inspection.ENDPOINTS,
    *sync.ENDPOINTS,
    *to_device.ENDPOINTS,
    *key_backup.ENDPOINTS,
    *filters.ENDPOINTS,
    *receipts.ENDPOINTS,
    *typing.ENDPOINTS,
    *presence.ENDPOINTS,
    *profile.ENDPOINTS,
    *user_directory.ENDPOINTS,
    *account_data.ENDPOINTS,
    *push_rules.ENDPOINTS,
    *reporting.ENDPOINTS,
    *openid.ENDPOINTS,
    *admin.ENDPOINTS,
    *legacy.ENDPOINTS,
)
