"""Making accounts with the server's shared secret, as existing tools do.

Whoever knows the secret proves it with a keyed hash over a number used once and the request.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final

import structlog

from weft.modules.accounts import AccountsService
from weft.modules.admin import store
from weft.modules.module import Task
from weft.protocol.api.synapse_admin.registration import SharedSecretRegisterRequest
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

NONCE_MS: Final = 60_000


class SharedSecretRegistration:
    """The secret is read from its file each time; without a file that door is shut."""

    def __init__(self, engine: Engine, secret_file: Path | None, accounts: AccountsService) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._secret_file = secret_file
        self._accounts = accounts
        self.tasks = [Task(name="expired registration nonces", every_seconds=600, run=self.prune)]

    async def nonce(self) -> str:
        """Good once, for `NONCE_MS`."""
        self._secret()
        nonce = self._outside.token(32)
        await self._database.write(store.insert_nonce, nonce, self._outside.now_ms() + NONCE_MS)
        return nonce

    async def register(self, request: SharedSecretRegisterRequest) -> str:
        """Makes the account and returns its id."""
        secret = self._secret()
        if not await self._database.write(store.take_nonce, request.nonce, self._outside.now_ms()):
            raise InvalidParam("The nonce is unknown, was used, or has expired.")
        if not hmac.compare_digest(mac_of(secret, request).encode(), request.mac.lower().encode()):
            raise Forbidden("The mac is wrong.")
        return await self._accounts.create(
            self._accounts.user_id_of(request.username),
            request.password,
            # An account that asks for nothing special may still be the first.
            admin=True if request.admin else None,
            display_name=request.displayname,
            user_type=request.user_type,
        )

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune_nonces, self._outside.now_ms())

    def _secret(self) -> str:
        if self._secret_file is None:
            raise MatrixError("This server has no shared secret for registration.")
        try:
            secret = self._secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            log.error("the registration secret can't be read", file=str(self._secret_file), error=str(error))
            secret = ""
        if not secret:
            raise MatrixError("Registration with the shared secret is not possible at the moment.", status=503)
        return secret


def mac_of(secret: str, request: SharedSecretRegisterRequest) -> str:
    """What the request's `mac` has to be."""
    parts = [request.nonce, request.username, request.password, "admin" if request.admin else "notadmin"]
    if request.user_type is not None:
        parts.append(request.user_type)
    return hmac.new(secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
