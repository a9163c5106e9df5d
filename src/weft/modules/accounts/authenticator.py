"""Whose an access token is.

A known token costs a hash and a dictionary; the first use of one costs a look-up, and after a refresh a small write,
because using the new token is what ends the old pair. What is known is kept true by the log: an entry of kind
`account` has every process forget the user's tokens.

https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
https://spec.matrix.org/v1.19/client-server-api/#soft-logout
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.auth import token_of
from weft.http.call import Call, Requester
from weft.modules.accounts import store, token_store
from weft.modules.accounts.store import Account
from weft.modules.accounts.token_cache import Known, TokenCache
from weft.modules.accounts.token_store import TokenRow, hash_of
from weft.modules.devices import DevicesService
from weft.protocol.application_services import Registration, Registrations
from weft.protocol.errors import Forbidden, MatrixError, MissingToken, UnknownToken
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class TokenAuthenticator:
    """A `weft.http.auth.Authenticator`."""

    def __init__(self, engine: Engine, devices: DevicesService, services: Registrations) -> None:
        self._services = services
        self._database = engine.database
        self._now_ms = engine.outside.now_ms
        self._devices = devices
        self._cache = TokenCache(engine.budget)

    def cached(self, token: str) -> Requester | None:
        known = self._cache.get(hash_of(token))
        if known is None or (known.expires_ms is not None and known.expires_ms <= self._now_ms()):
            return None
        return known.requester

    async def by_token(self, token: str) -> Requester | None:
        """Raises `UnknownToken` with `soft_logout` for a token that has only expired."""
        service = self._services.by_token(token)
        if service is not None:
            return await self._service_user(service, service.sender, None, hash_of(token))
        hash_ = hash_of(token)
        generation = self._cache.generation
        row = await self._database.get(token_store.find_access, hash_)
        if row is None:
            return None
        if row.expires_ms is not None and row.expires_ms <= self._now_ms():
            raise UnknownToken("The access token has expired.", extra={"soft_logout": True})
        requester = _requester(row)
        if row.refresh_id is not None and row.parent is not None:
            await self._database.write(token_store.settle, row.user_id, row.refresh_id, row.parent)
        elif generation == self._cache.generation:
            self._cache.put(hash_, Known(requester, row.expires_ms))
        return requester

    async def acting_as(self, service: Requester, user_id: str | None, device_id: str | None) -> Requester:
        """The user (and device) that an application service names in the query.

        Raises `Forbidden` for a user that is not the service's or that it has not registered, `M_UNKNOWN_DEVICE` for a
        device that the user does not have.

        https://spec.matrix.org/v1.19/application-service-api/#identity-assertion
        """
        registration = self._services.get(service.appservice_id or "")
        if registration is None:
            raise Forbidden("Only application services may act as somebody else.")
        named = user_id or registration.sender
        if not registration.has_user(named):
            raise Forbidden(f"{named} is not in the namespaces of this application service.")
        hash_ = hash_of(f"{registration.id}\0{named}")
        known = self._cache.get(hash_) if device_id is None else None
        return known.requester if known is not None else await self._service_user(registration, named, device_id, hash_)

    def service(self, call: Call[Any]) -> Registration:
        """The application service whose token a request carries, for endpoints that anybody may call.

        Raises `MissingToken` and `UnknownToken`.
        """
        authorization = call.headers.get("authorization")
        token = token_of(authorization.encode("latin-1") if authorization else None, call.query_string)
        if token is None:
            raise MissingToken("An application service has to show its token for this.")
        service = self._services.by_token(token)
        if service is None:
            raise UnknownToken("This is not the token of an application service.")
        return service

    async def _service_user(
        self, service: Registration, user_id: str, device_id: str | None, hash_: bytes
    ) -> Requester:
        generation = self._cache.generation
        account = await self._database.get(store.find, user_id)
        if account is None or account.is_deactivated:
            raise Forbidden(f"The application service has not registered {user_id}, or the account has ended.")
        if device_id is not None and not await self._devices.has(user_id, device_id):
            raise MatrixError(f"{user_id} has no such device.", errcode="M_UNKNOWN_DEVICE", status=400)
        requester = _acting(service, account, device_id)
        # A device may go without the log saying so to this cache.
        if device_id is None and generation == self._cache.generation:
            self._cache.put(hash_, Known(requester, None))
        return requester

    def seen(self, requester: Requester, ip: str, user_agent: str) -> None:
        """Notes where a device was seen; called for every request that was authenticated, and costs next to nothing."""
        if requester.device_id is not None:
            self._devices.last_seen.note(requester.user_id, requester.device_id, ip, user_agent)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what has changed."""
        for entry in entries:
            if entry.kind == "account" and entry.user_id is not None:
                self._cache.forget_user(entry.user_id)


def _requester(row: TokenRow) -> Requester:
    return Requester(
        user_id=row.user_id,
        device_id=row.device_id,
        is_guest=row.is_guest,
        is_admin=row.is_admin,
        token_id=row.token_id,
        server_name=domain_of(row.user_id),
        suspended=row.suspended,
        locked=row.locked,
        is_oauth=row.is_oauth,
    )


def _acting(service: Registration, account: Account, device_id: str | None) -> Requester:
    return Requester(
        user_id=account.user_id,
        device_id=device_id,
        is_guest=account.is_guest,
        is_admin=account.is_admin,
        server_name=domain_of(account.user_id),
        suspended=account.suspended,
        locked=account.locked,
        appservice_id=service.id,
        unlimited=account.user_id == service.sender or not service.rate_limited,
    )
