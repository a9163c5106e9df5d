"""What lists sort and filter rooms by, at hand for all rooms that somebody lists, and kept true by the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

import orjson

from weft.modules.sliding_sync import store
from weft.rooms.engine import Engine
from weft.storage.cache import Cache
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import WRITER_SHIFT, Entry

V = TypeVar("V")

#: An entry of a cache: two numbers, and their places in dictionaries.
_BYTES: Final = 250
_AT_ONCE: Final = 1_000
_ENCRYPTION: Final = "m.room.encryption"


class RoomFacts:
    """Rooms are named by number. A room that is not at hand is looked up together with all others that are not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._now_ms = engine.outside.now_ms
        cache = engine.budget.cache
        self._activity: Cache[int, int] = cache("sliding_sync_activity", 0.02, lambda _: _BYTES)
        self._types: Cache[int, tuple[str | None]] = cache("sliding_sync_types", 0.01, lambda _: _BYTES)
        self._encrypted: Cache[int, tuple[bool]] = cache("sliding_sync_encrypted", 0.01, lambda _: _BYTES)

    async def activity(self, rooms: Collection[int]) -> Mapping[int, int]:
        """When something last arrived in each room, in milliseconds since the epoch: about, and never too early."""
        return await self._known(self._activity, rooms, self._read_activity)

    async def types(self, rooms: Collection[int]) -> Mapping[int, tuple[str | None]]:
        """The type that each room was created with."""
        return await self._known(self._types, rooms, _read_types)

    async def encrypted(self, rooms: Collection[int]) -> Mapping[int, tuple[bool]]:
        """Whether each room is encrypted."""
        return await self._known(self._encrypted, rooms, _read_encrypted)

    async def _known(
        self, cache: Cache[int, V], rooms: Collection[int], read: Callable[[Transaction, list[int]], dict[int, V]]
    ) -> dict[int, V]:
        found = {room: value for room in rooms if (value := cache.get(room)) is not None}
        missing = [room for room in rooms if room not in found]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            for room, value in (await self._engine.database.read(read, some)).items():
                newer = cache.peek(room)
                if newer is None:
                    cache.put(room, value)
                found[room] = value if newer is None else newer
        return found

    def _read_activity(self, tx: Transaction, rooms: list[int]) -> dict[int, int]:
        # Other servers' clocks may be ahead; nothing is newer than what arrives now.
        now_ms = self._now_ms()
        return {room: min(at_ms, now_ms) for room, at_ms in store.last_activity(tx, rooms, WRITER_SHIFT).items()}

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        for entry in entries:
            if entry.room is None:
                continue
            if entry.kind == "event":
                self._activity.put(entry.room, self._now_ms())
                if isinstance(entry.payload, StoredEvent) and entry.payload.event.type == _ENCRYPTION:
                    self._encrypted.drop(entry.room)
            elif entry.kind == "resolution":
                self._encrypted.drop(entry.room)


def _read_types(tx: Transaction, rooms: list[int]) -> dict[int, tuple[str | None]]:
    types: dict[int, tuple[str | None]] = {room: (_type(json),) for room, json in store.creations(tx, rooms).items()}
    return types


def _read_encrypted(tx: Transaction, rooms: list[int]) -> dict[int, tuple[bool]]:
    encrypted = store.encrypted(tx, rooms)
    return {room: (room in encrypted,) for room in rooms}


def _type(create_json: bytes) -> str | None:
    content = orjson.loads(create_json).get("content")
    room_type = content.get("type") if isinstance(content, dict) else None
    return room_type if isinstance(room_type, str) else None
