"""Whose an access token is.

A known token costs a hash and a dictionary; the first use of one costs a look-up, and after a refresh a small write,
because using the new token is what ends the old pair. What is known is kept true by the log: an entry of kind
`account` has every process forget the user's tokens.

https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
https://spec.matrix.org/v1.19/client-server-api/#soft-logout
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.http.call import Requester
from weft.modules.accounts import token_store
from weft.modules.accounts.token_cache import Known, TokenCache
from weft.modules.accounts.token_store import TokenRow, hash_of
from weft.modules.devices import DevicesService
from weft.protocol.errors import Forbidden, UnknownToken
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage.positions import Entry


class TokenAuthenticator:
    """A `weft.http.auth.Authenticator`."""

    def __init__(self, engine: Engine, devices: DevicesService) -> None:
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
        raise Forbidden("There are no application services here.")

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
