"""All that talks to other servers, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weft.federation.destinations import Destinations
from weft.federation.key_fetcher import KeyFetcher
from weft.federation.keyring import Keyring
from weft.federation.own_keys import OwnKeys
from weft.federation.peer import Peers
from weft.federation.signed_requests import SignedRequests
from weft.federation.transport import Transport
from weft.http.client import Reply
from weft.storage.cache import Budget
from weft.storage.database import Database


class Federation:
    """Start it when the log runs, close it before the database."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        own_keys: OwnKeys,
        *,
        enabled: bool,
        notaries: Sequence[str],
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        budget: Budget,
    ) -> None:
        self.own_keys = own_keys
        self.enabled = enabled
        self._transport = transport
        self.destinations = Destinations(database, now_ms=now_ms, jitter=random_bytes)
        self.peers = Peers(transport, self.destinations, own_keys, now_ms=now_ms, enabled=enabled)
        fetcher = KeyFetcher(self.peers, origin=own_keys.server_names[0], notaries=notaries)
        self.keyring = Keyring(database, fetcher, own_keys, now_ms=now_ms, budget=budget)
        self.requests = SignedRequests(self.keyring, own_keys, now_ms=now_ms, heard_from=self.heard_from)

    async def fetch(self, url: str, *, timeout: float, max_bytes: int) -> Reply:
        """What is at a URL that an event or another server names; see `Transport.fetch`."""
        return await self._transport.fetch(url, timeout=timeout, max_bytes=max_bytes)

    def heard_from(self, server_name: str) -> None:
        """A server showed that it is there."""
        self.destinations.heard_from(server_name)
        self.keyring.heard_from(server_name)

    async def start(self) -> None:
        """Reads what was known of other servers."""
        await self.destinations.start()

    async def close(self) -> None:
        """Ends what is under way."""
        await self.keyring.close()
        await self._transport.close()
