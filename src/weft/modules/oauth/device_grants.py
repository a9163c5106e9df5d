"""The device authorisation grant: a device without a browser shows a code, and somebody types it in elsewhere.

https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-flow
https://www.rfc-editor.org/rfc/rfc8628
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from weft.modules.accounts import AccountsService
from weft.modules.accounts.sessions import Session
from weft.modules.accounts.token_store import hash_of
from weft.modules.module import Task
from weft.modules.oauth import device_grant_store as grant_store
from weft.modules.oauth import store
from weft.modules.oauth.device_grant_store import GrantRow
from weft.modules.oauth.service import Granted, OAuthService, as_grant_errors, needed
from weft.protocol.errors import NotNow
from weft.protocol.oauth import ClientMetadata, OAuthError, clients, scopes, user_codes
from weft.protocol.oauth.errors import invalid_grant
from weft.protocol.oauth.scopes import Scope
from weft.rooms.engine import Engine
from weft.storage.database import UniqueViolation, WriteTransaction

#: How long somebody has to type the code in.
LIFETIME_MS: Final = 15 * 60 * 1000
INTERVAL_MS: Final = 5_000
#: What is added to the interval each time that a device asks too soon.
_SLOWER_MS: Final = 5_000
_REMEMBERED_MS: Final = 60 * 60 * 1000
_CODE_LENGTH: Final = 40
_TRIES: Final = 5


class Asked(NamedTuple):
    """What a device is told: its own code, and the one for people."""

    device_code: str
    user_code: str


class Waiting(NamedTuple):
    """What a code stands for."""

    client: ClientMetadata
    scope: Scope


class DeviceGrants:
    def __init__(self, engine: Engine, accounts: AccountsService, service: OAuthService) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._sessions = accounts.sessions
        self._service = service
        self.tasks = [Task(name="expired codes of devices", every_seconds=600, run=self.prune)]
        accounts.hooks.password_changed.append(grant_store.drop_of_user)
        accounts.hooks.deactivated.append(lambda tx, ended: grant_store.drop_of_user(tx, ended.user_id))

    async def begin(self, form: Mapping[str, str]) -> Asked:
        """Raises `OAuthError`."""
        client_id, client = await self._service.known_client(form.get("client_id"))
        _check_registered(client)
        scope = scopes.read(form.get("scope", ""))
        for _ in range(_TRIES):
            random = self._outside.random_bytes(user_codes.RANDOM_BYTES)
            asked = Asked(self._outside.token(_CODE_LENGTH), user_codes.made_of(random))
            try:
                await self._database.write(self._insert, asked, client_id, scope)
            except UniqueViolation:
                continue
            return asked
        raise NotNow("no code for a device is free", retry_after_ms=1_000)

    def _insert(self, tx: WriteTransaction, asked: Asked, client_id: str, scope: Scope) -> None:
        now_ms = self._outside.now_ms()
        # The first request may come at once.
        row = GrantRow(asked.user_code, client_id, scope.granted, now_ms + LIFETIME_MS, INTERVAL_MS, 0)
        grant_store.insert(tx, hash_of(asked.device_code), row)
        store.touch_clients(tx, [client_id], now_ms)

    async def waiting(self, user_code: str) -> Waiting | None:
        """What somebody is asked to decide on; None for a code that stands for nothing, or not any more."""
        row = await self._database.get(grant_store.waiting, user_code, self._outside.now_ms())
        client = await self._service.client(row.client_id) if row is not None else None
        return Waiting(client, scopes.read(row.scope)) if row is not None and client is not None else None

    async def decide(self, user_code: str, user_id: str, *, allowed: bool) -> bool:
        """False if there is nothing to decide any more."""
        return await self._database.write(grant_store.decide, user_code, user_id, allowed, self._outside.now_ms())

    async def redeem(self, form: Mapping[str, str]) -> Granted:
        """The session for a device's code. Raises `OAuthError`: what it has to wait for, or that there is none."""
        client_id, client = await self._service.known_client(form.get("client_id"))
        _check_registered(client)
        hash_ = hash_of(needed(form, "device_code"))
        planned = self._sessions.plan("", client_id=client_id)
        with as_grant_errors():
            done = await self._database.write(self._redeem, hash_, planned, client.name)
        if isinstance(done, OAuthError):
            raise done
        session, scope = done
        return self._service.granted(session, scope, None)

    def _redeem(
        self, tx: WriteTransaction, hash_: bytes, planned: Session, name: str
    ) -> tuple[Session, Scope] | OAuthError:
        """The error is returned, for what was written with it stays."""
        row = grant_store.hold(tx, hash_)
        now_ms = self._outside.now_ms()
        if row is None or row.client_id != planned.client_id:
            return invalid_grant("The code is unknown, was used, or is not for this client.")
        if row.expires_ms <= now_ms:
            return OAuthError("expired_token", "Nobody has typed the code in in time.")
        if row.allowed is None:
            return _wait(tx, hash_, row, now_ms)
        if not row.allowed or row.user_id is None:
            return OAuthError("access_denied", "The person did not agree.")
        scope = scopes.read(row.scope)
        session = planned._replace(user_id=row.user_id, device_id=scope.device_id)
        grant_store.drop(tx, hash_)
        self._sessions.admit(tx, session, display_name=name)
        return session, scope

    async def prune(self) -> None:
        """Removes codes that have expired a while ago."""
        await self._database.write(grant_store.prune, self._outside.now_ms() - _REMEMBERED_MS)


def _wait(tx: WriteTransaction, hash_: bytes, row: GrantRow, now_ms: int) -> OAuthError:
    if now_ms < row.polled_ms + row.interval_ms:
        grant_store.polled(tx, hash_, now_ms, row.interval_ms + _SLOWER_MS)
        return OAuthError("slow_down", "Wait five seconds longer each time.")
    grant_store.polled(tx, hash_, now_ms, row.interval_ms)
    return OAuthError("authorization_pending", "Nobody has decided yet.")


def _check_registered(client: ClientMetadata) -> None:
    if clients.DEVICE_GRANT not in client.grant_types:
        raise OAuthError("unauthorized_client", "The client has not registered for the device authorisation grant.")
