"""Credentials for servers that relay calls.

With a secret that the relay shares, each user gets a password that is good for a while, as coturn's
`use-auth-secret` expects: the name is the time at which it ends and the user, the password an HMAC of that.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from weft.protocol.api.client.voip import GetTurnServerResponse
from weft.protocol.errors import NotFound
from weft.settings import Voip


class Turn:
    def __init__(self, settings: Voip, read_secret: Callable[[Path], str], now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._secret = read_secret(settings.turn_secret_file) if settings.turn_secret_file else ""
        self._password = read_secret(settings.turn_password_file) if settings.turn_password_file else ""

    def credentials(self, user_id: str) -> GetTurnServerResponse:
        """Raises `NotFound` where the operator has named no relay."""
        settings = self._settings
        if not settings.turn_uris:
            raise NotFound("This server has no relay for calls.")
        ttl = settings.turn_lifetime // 1000
        username, password = settings.turn_username, self._password
        if self._secret:
            username = f"{self._now_ms() // 1000 + ttl}:{user_id}"
            # SHA-1 is what the relays compute.
            mac = hmac.new(self._secret.encode(), username.encode(), hashlib.sha1).digest()
            password = base64.b64encode(mac).decode()
        return GetTurnServerResponse(username=username, password=password, uris=list(settings.turn_uris), ttl=ttl)
