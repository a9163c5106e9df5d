"""Whether the keys of identity servers are still good, by whoever a room's invite says has to know.

Who makes the real invite asks; nobody else may refuse it for this, since all servers have to judge events alike.

https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2pubkeyisvalid
"""

from __future__ import annotations

from typing import Any, Final, Protocol
from urllib.parse import quote

import structlog

from weft.http.client import Reply
from weft.protocol.errors import Forbidden, MatrixError, NotNow, PeerError, Unreachable
from weft.protocol.event import Event
from weft.protocol.member_auth import ThirdPartyKey, keys_that_signed

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 10.0
_MAX_BYTES: Final = 65_536


class Fetch(Protocol):
    async def __call__(self, url: str, *, timeout: float, max_bytes: int) -> Reply:
        """`weft.federation.transport.Transport.fetch`."""


class IdentityKeys:
    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def check(self, signed: dict[str, Any], offer: Event) -> None:
        """Whether one of the keys by which something is signed is still good. `offer` is the room's invite.

        Where none has signed that is for the authorisation rules to say. Raises `Forbidden` where all are bad, and
        `MatrixError` with status 502 where nobody can be asked.
        """
        keys = keys_that_signed(signed, offer.content, offer.version)
        if not keys or any(key.validity_url is None for key in keys):
            return
        unreachable: MatrixError | None = None
        for key in dict.fromkeys(keys):
            try:
                if await self._is_valid(key):
                    return
            except (PeerError, Unreachable, NotNow) as error:
                log.info("nobody says whether the key of an identity server is good", reason=str(error))
                unreachable = MatrixError(
                    "The identity server does not say whether its key is still good.", errcode="M_UNKNOWN", status=502
                )
        raise unreachable or Forbidden("The key by which the invite is signed is not good any more.")

    async def _is_valid(self, key: ThirdPartyKey) -> bool:
        url = key.validity_url or ""
        asked = f"{url}{'&' if '?' in url else '?'}public_key={quote(key.text, safe='')}"
        reply = await self._fetch(asked, timeout=_TIMEOUT, max_bytes=_MAX_BYTES)
        return reply.check().json_object().get("valid") is True
