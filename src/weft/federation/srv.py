"""SRV records: which hosts and ports offer a service at a domain. What was found is kept as long as it says.

https://www.rfc-editor.org/rfc/rfc2782.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import structlog

from weft.storage.cache import Cache

log = structlog.get_logger(__name__)

#: Seconds for a look-up, every server and repetition included.
TIMEOUT: Final = 5.0
SHORTEST_MS: Final = 60_000
LONGEST_MS: Final = 24 * 3_600_000
#: Records that are read of one name.
_MAX_RECORDS: Final = 20


class SrvRecord(NamedTuple):
    priority: int
    weight: int
    port: int
    target: str


class Kept(NamedTuple):
    """Records, and until when they hold."""

    records: Sequence[SrvRecord]
    until_ms: int


class Srv:
    """The system's resolver, with a memory. `cache` is its place in the budget."""

    def __init__(self, cache: Cache[str, Kept], *, now_ms: Callable[[], int]) -> None:
        self._cache = cache
        self._now_ms = now_ms
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def records(self, name: str) -> Sequence[SrvRecord]:
        """The records of a name; none where there are none, or none can be had."""
        kept = self._cache.get(name)
        if kept is not None and kept.until_ms > self._now_ms():
            return kept.records
        try:
            records, seconds = await self._look_up(name)
        except (dns.exception.DNSException, OSError, ValueError) as error:
            log.info("DNS does not answer", name=name, error=str(error))
            records, seconds = (kept.records if kept is not None else ()), 0
        lifetime = min(max(SHORTEST_MS, int(seconds * 1000)), LONGEST_MS)
        self._cache.put(name, Kept(records, self._now_ms() + lifetime))
        return records

    async def _look_up(self, name: str) -> tuple[Sequence[SrvRecord], float]:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver()
        try:
            answer = await self._resolver.resolve(name, dns.rdatatype.SRV, lifetime=TIMEOUT, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return (), 0
        records = [
            SrvRecord(one.priority, one.weight, one.port, one.target.to_text(omit_final_dot=True))
            for one in list(answer)[:_MAX_RECORDS]
        ]
        # The target "." says that the service is decidedly not there.
        return [one for one in records if one.target != "."], answer.rrset.ttl if answer.rrset is not None else 0
