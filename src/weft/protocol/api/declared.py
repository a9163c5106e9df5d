"""Every endpoint that is declared, for those who go through all of them."""

from __future__ import annotations

from typing import Any

from weft.protocol.api import application_service, client, federation, identity, push_gateway, synapse_admin
from weft.protocol.api.endpoint import Endpoint

#: What this server answers.
ANSWERED: tuple[Endpoint[Any, Any], ...] = (*client.ENDPOINTS, *federation.ENDPOINTS, *synapse_admin.ENDPOINTS)
#: What this server asks of others that no homeserver answers.
ASKED: tuple[Endpoint[Any, Any], ...] = (
    *application_service.ENDPOINTS,
    *identity.ENDPOINTS,
    *push_gateway.ENDPOINTS,
)
