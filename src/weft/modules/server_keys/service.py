"""Documents of keys: our own, made anew before they grow old, and others' with our signature added.

https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from weft.federation.keyring import Keyring
from weft.federation.own_keys import OwnKeys
from weft.protocol import canonical_json, server_keys
from weft.protocol.signatures import sign_json

#: How long others may keep a document of ours, and how old it gets before it is made anew.
LIFETIME_MS: Final = 24 * 3_600_000
RENEWED_AFTER_MS: Final = 3_600_000
#: Servers that may have to be asked for one notary request; of more, what is known already is told.
MAX_FETCHES: Final = 20


class ServerKeysService:
    def __init__(self, own_keys: OwnKeys, keyring: Keyring, now_ms: Callable[[], int]) -> None:
        self._own_keys = own_keys
        self._keyring = keyring
        self._now_ms = now_ms
        #: Each domain's document, and when it was made.
        self._made: dict[str, tuple[bytes, int]] = {}

    def domain_of(self, host: str) -> str:
        """The domain of ours that a `Host` header means: itself, with or without its port, or else the first."""
        names = self._own_keys.server_names
        if host in self._own_keys:
            return host
        bare = host.rpartition(":")[0] if not host.endswith("]") else host
        return bare if bare in self._own_keys else names[0]

    def own(self, domain: str) -> bytes:
        """A domain's signed document."""
        now_ms = self._now_ms()
        document, made_ms = self._made.get(domain, (b"", 0))
        if not document or now_ms - made_ms >= RENEWED_AFTER_MS:
            key = self._own_keys.current[domain]
            old = [one for one in self._own_keys.old.get(domain, ()) if one.key.key_id != key.key_id]
            value = server_keys.make(domain, [key], old, valid_until_ms=now_ms + LIFETIME_MS)
            document = canonical_json.encode_checked(value)
            self._made[domain] = document, now_ms
        return document

    async def vouched_for(self, notary: str, wanted: Mapping[str, int | None]) -> list[bytes]:
        """The documents of the wanted servers that can be had, with the signature of `notary`, a domain of ours.

        `wanted` says until when each should be good; None: until now.
        """
        now_ms = self._now_ms()
        answers = await asyncio.gather(
            *(
                self._document(name, now_ms if until is None else until, may_fetch=number < MAX_FETCHES)
                for number, (name, until) in enumerate(wanted.items())
            )
        )
        key = self._own_keys.current[notary]
        values = [canonical_json.decode(answer) for answer in answers if answer is not None]
        return [canonical_json.encode_checked(sign_json(value, notary, key)) for value in values]

    async def _document(self, server_name: str, valid_at_ms: int, *, may_fetch: bool) -> bytes | None:
        if server_name in self._own_keys:
            return self.own(server_name)
        found = await self._keyring.document(server_name, valid_at_ms=valid_at_ms, may_fetch=may_fetch)
        return None if found is None else found.data


def latest(times: list[Any]) -> int | None:
    """The latest of some times, of which each may be left out."""
    return max((time for time in times if time is not None), default=None)
