"""How often somebody may do something.

A token bucket for each pair of rate and key (a user id or an address): `burst` requests at once, then `per_second`.
A bucket is kept as one number, the time at which it will be full again, so that an idle key costs nothing and is
the same as an absent one. Time comes from outside, in seconds of any steady clock.

https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

#: Keys remembered for each rate; about 15 MB for each that is full.
MAX_KEYS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    per_second: float
    #: How many may come at once.
    burst: int
    #: Seconds in which one more is allowed.
    interval: float = field(init=False)
    #: How far ahead of the steady rate somebody may be, in seconds.
    tolerance: float = field(init=False)

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and math.isfinite(self.per_second) and self.burst >= 1):
            raise ValueError("a rate is above 0 per second, and its burst is at least 1")
        object.__setattr__(self, "interval", 1 / self.per_second)
        object.__setattr__(self, "tolerance", (self.burst - 1) / self.per_second)


class Limiter:
    """One table of rates by name, and what has been used of them. A rate of None is unlimited."""

    def __init__(self, rates: Mapping[str, Rate | None], *, enabled: bool = True, max_keys: int = MAX_KEYS) -> None:
        self.enabled = enabled
        self._buckets: dict[str, _Bucket | None] = {
            name: _Bucket(rate, max_keys) if rate else None for name, rate in rates.items()
        }
        #: Keys that have a rate of their own in place of every one in the table; None: they are not limited. Whoever
        #: changes this keeps it small.
        self.overrides: dict[str, Rate | None] = {}

    def allow(self, name: str, key: str, now: float) -> int | None:
        """None, and one request is counted; or the milliseconds to wait, and nothing is counted.

        Raises `KeyError` for a name that is not in the table.
        """
        if not self.enabled:
            return None
        bucket = self._buckets[name]
        if bucket is None:
            return None
        if key not in self.overrides:
            return bucket.take(key, now)
        rate = self.overrides[key]
        return None if rate is None else bucket.take(key, now, rate)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of the names are not in the table, so that a mistake shows at start-up."""
        return sorted(set(names) - set(self._buckets))

    def remembered(self) -> int:
        """How many keys are held, over all rates."""
        return sum(len(bucket.full_at) for bucket in self._buckets.values() if bucket)


class _Bucket:
    __slots__ = ("_max_keys", "_rate", "full_at")

    def __init__(self, rate: Rate, max_keys: int) -> None:
        self._rate = rate
        self._max_keys = max_keys
        #: When the bucket of a key is full again; the key used longest ago comes first.
        self.full_at: dict[str, float] = {}

    def take(self, key: str, now: float, own: Rate | None = None) -> int | None:
        rate = own or self._rate
        full_at = max(self.full_at.get(key, now), now)
        wait = full_at - now - rate.tolerance
        if wait > 1e-9:
            return max(1, math.ceil(wait * 1000))
        self.full_at.pop(key, None)
        self.full_at[key] = full_at + rate.interval
        if len(self.full_at) > self._max_keys:
            self._forget(now)
        return None

    def _forget(self, now: float) -> None:
        """Drops every full bucket; if there are none, the tenth that was used longest ago."""
        kept = {key: full_at for key, full_at in self.full_at.items() if full_at > now}
        surplus = len(kept) - self._max_keys
        if surplus > 0:
            for key in list(kept)[: surplus + self._max_keys // 10]:
                del kept[key]
        self.full_at = kept


#: For servers and tests that limit nothing.
UNLIMITED: Final = Limiter({}, enabled=False)
