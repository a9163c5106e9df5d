"""Stored filters, and filters that stand in a query: both compiled once and kept in memory.

https://spec.matrix.org/v1.19/client-server-api/#filtering
"""

from __future__ import annotations

import hashlib

import orjson

from weft.modules.filters import store
from weft.protocol.errors import InvalidParam, NotFound
from weft.protocol.filters import EVERYTHING, Filter, decode_filter, parse_filter
from weft.rooms.engine import Engine
from weft.storage.cache import Cache

#: What a compiled filter takes, about.
_FILTER_BYTES = 8_000


class Filters:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # A filter never changes, so nothing has to be forgotten.
        self._compiled: Cache[tuple[str, str], Filter] = engine.budget.cache("filters", 0.01, lambda _: _FILTER_BYTES)

    async def define(self, user_id: str, json: bytes) -> str:
        """Stores a filter and returns its id. Raises `BadJson` for what is none."""
        compiled = parse_filter(orjson.loads(json))
        filter_id = hashlib.sha256(json).hexdigest()[:20]
        await self._engine.database.write(store.put, user_id, filter_id, json)
        self._compiled.put((user_id, filter_id), compiled)
        return filter_id

    async def json(self, user_id: str, filter_id: str) -> bytes:
        """A stored filter as it came. Raises `NotFound`."""
        found = await self._engine.database.get(store.find, user_id, filter_id)
        if found is None:
            raise NotFound("There is no such filter.")
        return found

    async def named(self, user_id: str, text: str | None) -> Filter:
        """The filter that a request names: by its id, as JSON, or not at all. Raises `InvalidParam` or `BadJson`."""
        if not text:
            return EVERYTHING
        if text.startswith("{"):
            return decode_filter(text)
        compiled = self._compiled.get((user_id, text))
        if compiled is None:
            json = await self._engine.database.get(store.find, user_id, text)
            if json is None:
                raise InvalidParam("There is no such filter.")
            compiled = parse_filter(orjson.loads(json))
            self._compiled.put((user_id, text), compiled)
        return compiled
