"""Values made from rows, kept in memory until the log says that the rows changed.

The owner's applier calls `drop` for whatever an entry touches. A value whose rows change while it is being read is
given to those who asked for it and not kept: the next one to ask reads it anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from weft.storage.cache import Cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Derived(Generic[K, V]):
    """`load` reads one value; None is not a value."""

    def __init__(self, cache: Cache[K, V], load: Callable[[K], Awaitable[V]]) -> None:
        self._cache = cache
        self._load = load
        #: Who is reading, by key; emptied when what they read is outdated.
        self._reading: dict[K, set[object]] = {}

    def now(self, key: K) -> V | None:
        """The value if it is at hand."""
        return self._cache.get(key)

    async def get(self, key: K) -> V:
        """The value, read if need be."""
        found = self._cache.get(key)
        if found is not None:
            return found
        mark = object()
        self._reading.setdefault(key, set()).add(mark)
        try:
            value = await self._load(key)
        except BaseException:
            self._is_current(key, mark)
            raise
        if self._is_current(key, mark):
            self._cache.put(key, value)
        return value

    def drop(self, key: K) -> None:
        """Has the value read anew, also by those who are reading it now."""
        self._cache.drop(key)
        self._reading.pop(key, None)

    def forget_readers(self, key: K) -> None:
        """Has those who are reading the value now not keep it, where its owner changed the one at hand in place."""
        self._reading.pop(key, None)

    def clear(self) -> None:
        """Drops everything."""
        self._cache.clear()
        self._reading.clear()

    def _is_current(self, key: K, mark: object) -> bool:
        """Ends a reading; whether nothing was dropped meanwhile."""
        readers = self._reading.get(key)
        if readers is None or mark not in readers:
            return False
        readers.discard(mark)
        if not readers:
            del self._reading[key]
        return True
