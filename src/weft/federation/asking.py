"""Questions that people's requests put to other servers.

Somebody is waiting, so these are impatient; and a stranger may have chosen the name, so a failure is no reason to leave
a server alone. What another server refuses becomes an error in the terms of who asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from weft.federation.peer import Peers
from weft.http.client import Refused
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.errors import Forbidden, NotFound
from weft.protocol.identifiers import is_valid_server_name

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")

#: Seconds for one answer.
TIMEOUT: Final = 10.0
#: How many servers are asked for one thing.
_MOST_SERVERS: Final = 3
#: Of the servers that a stranger names, those that are looked at.
_MOST_NAMED: Final = 20


class Asking:
    """Asks in the name of `origin`, one of our domains."""

    def __init__(self, peers: Peers, origin: str) -> None:
        self._peers = peers
        self._origin = origin

    async def ask(
        self,
        destination: str,
        endpoint: Endpoint[Q, R],
        request: Q,
        *,
        missing: str,
        max_bytes: int | None = None,
    ) -> R:
        """What a server answers.

        Raises `NotFound` with the text `missing` where it knows nothing of the matter, or is none; `Forbidden` where it
        does not tell; and what `Peers.call` raises if it can't be reached, or answers wrongly.
        """
        if not self._peers.enabled or not is_valid_server_name(destination):
            raise NotFound(missing)
        try:
            return await self._peers.call(
                endpoint,
                request,
                origin=self._origin,
                destination=destination,
                timeout=TIMEOUT,
                max_bytes=max_bytes,
                remember_failure=False,
            )
        except Refused as refused:
            if refused.status == NotFound.status:
                raise NotFound(missing) from refused
            if refused.status == Forbidden.status:
                raise Forbidden(f"{destination} does not tell that.") from refused
            raise

    async def ask_any(self, destinations: Sequence[str], endpoint: Endpoint[Q, R], request: Q) -> R:
        """The first good answer of a few servers. Raises as `Peers.first_of`."""
        named = [name for name in dict.fromkeys(destinations[:_MOST_NAMED]) if is_valid_server_name(name)]
        _, answer = await self._peers.first_of(
            named, endpoint, request, origin=self._origin, timeout=TIMEOUT, at_most=_MOST_SERVERS
        )
        return answer
