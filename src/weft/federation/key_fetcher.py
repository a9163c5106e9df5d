"""Getting a server's document of keys: from itself, and else through notaries.

A notary's answer counts if the notary signed it, and the server that it is about did too. A document is judged in
`weft.protocol.server_keys`; what is here is whom to ask.

https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from weft.federation.peer import Peers
from weft.protocol import server_keys
from weft.protocol.api.federation import server_keys as api
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.server_keys import ServerKeys

log = structlog.get_logger(__name__)

#: Seconds. Much may wait for a key, and a server that is there answers at once.
TIMEOUT: Final = 10.0
#: Fetches at the same time.
AT_ONCE: Final = 64

#: Checks that somebody signed a JSON object; raises `PeerError`.
VerifyJson = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class KeyFetcher:
    """`origin` is the domain of ours that asks; `notaries` are asked in order, after the server itself.

    A notary's own keys come from itself only, so that no two of them wait for each other.
    """

    def __init__(self, peers: Peers, *, origin: str, notaries: Sequence[str] = ()) -> None:
        self._peers = peers
        self._origin = origin
        self._notaries = notaries
        self._places = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, server_name: str, *, minimum_valid_until_ms: int, verify: VerifyJson) -> ServerKeys:
        """The server's document. Raises `PeerError`, `Unreachable` or `NotNow` if nobody has a good one."""
        try:
            return await self._directly(server_name)
        except (PeerError, Unreachable, NotNow) as error:
            for notary in () if server_name in self._notaries else self._notaries:
                try:
                    return await self._through(notary, server_name, minimum_valid_until_ms, verify)
                except (PeerError, Unreachable, NotNow) as worse:
                    log.debug("a notary has no keys", notary=notary, of=server_name, error=str(worse))
            raise error

    async def _directly(self, server_name: str) -> ServerKeys:
        async with self._places:
            answer = await self._peers.call(
                api.GET_SERVER_KEY,
                api.GetServerKeyRequest(),
                origin=self._origin,
                destination=server_name,
                timeout=TIMEOUT,
                even_if_backed_off=True,
                remember_failure=False,
            )
        return server_keys.parse(bytes(answer), server_name=server_name)

    async def _through(
        self, notary: str, server_name: str, minimum_valid_until_ms: int, verify: VerifyJson
    ) -> ServerKeys:
        async with self._places:
            answer = await self._peers.call(
                api.PERSPECTIVES_KEY_QUERY,
                api.PerspectivesKeyQueryRequest(server_name=server_name, minimum_valid_until_ts=minimum_valid_until_ms),
                origin=self._origin,
                destination=notary,
                timeout=2 * TIMEOUT,
            )
        found: ServerKeys | None = None
        for document in answer.server_keys[:10]:
            one = server_keys.parse(bytes(document), server_name=server_name)
            await verify(notary, one.value)
            if found is None or one.valid_until_ms > found.valid_until_ms:
                found = one
        if found is None:
            raise PeerError(f"{notary} does not know the keys of {server_name}")
        return found
