"""The budget for memory: every cache draws on one, and says what it holds.

Sizes are estimates in bytes, made when a value is put in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Values by key; the least recently used go first once `limit` bytes are held, but for the last `at_least`.

    `on_evict` hears of those.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        size_of: Callable[[V], int],
        *,
        at_least: int = 1,
        on_evict: Callable[[V], None] | None = None,
    ) -> None:
        self.name = name
        self.limit = limit
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._size_of = size_of
        self._at_least = at_least
        self._on_evict = on_evict
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._values.move_to_end(key)
        return found[0]

    def peek(self, key: K) -> V | None:
        """As `get`, without counting as a use."""
        found = self._values.get(key)
        return found[0] if found is not None else None

    def values(self) -> list[V]:
        return [value for value, _ in self._values.values()]

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        size = self._size_of(value)
        self._values[key] = (value, size)
        self.bytes += size
        while self.bytes > self.limit and len(self._values) > self._at_least:
            _, (evicted, bytes_) = self._values.popitem(last=False)
            self.bytes -= bytes_
            if self._on_evict is not None:
                self._on_evict(evicted)

    def drop(self, key: K) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self.bytes -= found[1]

    def clear(self) -> None:
        self._values.clear()
        self.bytes = 0


class Budget:
    """One amount of memory for all caches; each takes a share of it when it is made."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.caches: list[Cache[Any, Any]] = []

    def cache(
        self,
        name: str,
        share: float,
        size_of: Callable[[V], int],
        *,
        at_least: int = 1,
        on_evict: Callable[[V], None] | None = None,
    ) -> Cache[Any, V]:
        """A cache that may hold `share` (0 to 1) of the budget."""
        made: Cache[Any, V] = Cache(name, int(self.total * share), size_of, at_least=at_least, on_evict=on_evict)
        self.caches.append(made)
        return made

    @property
    def held(self) -> dict[str, int]:
        """Bytes held, by cache."""
        return {cache.name: cache.bytes for cache in self.caches}
