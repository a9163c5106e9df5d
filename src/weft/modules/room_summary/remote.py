"""Rooms that only other servers can tell of: their summaries and what is below them, asked for and kept for a while.

What comes is what another server says: it is shown to people and believed in nothing else.

https://spec.matrix.org/v1.19/server-server-api/#spaces
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from weft.federation.asking import Asking
from weft.protocol.api.client.room_summary import RoomSummary
from weft.protocol.api.federation import spaces as api
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.rooms.engine import Engine
from weft.storage.cache import Cache

#: How long an answer counts, and how long it counts that there was none.
_KEPT_MS: Final = 5 * 60_000
_NONE_MS: Final = 60_000
_OVERHEAD: Final = 500
_BYTES_OF_A_ROOM: Final = 1_500


class Told(NamedTuple):
    """What a server tells of a room: what the room says of its children, those of them that may be seen, and the ids
    of those that may not."""

    room: api.SpaceHierarchyParentRoom
    children: dict[str, RoomSummary]
    inaccessible: frozenset[str]


class _Kept(NamedTuple):
    told: Told | None
    until_ms: int


class RemoteRooms:
    def __init__(self, engine: Engine, asking: Asking) -> None:
        self._engine = engine
        self._asking = asking
        self._kept: Cache[str, _Kept] = engine.budget.cache("remote_rooms", 0.01, _size)
        self._under_way: dict[str, asyncio.Task[Told | None]] = {}

    def known(self, room_id: str) -> _Kept | None:
        """What was told lately, if anything was asked."""
        kept = self._kept.get(room_id)
        return kept if kept is not None and kept.until_ms > self._engine.outside.now_ms() else None

    async def room(self, room_id: str, via: Sequence[str]) -> Told | None:
        """What one of some servers tells of a room; None where none of them does."""
        kept = self.known(room_id)
        if kept is not None:
            return kept.told
        task = self._under_way.get(room_id)
        if task is None:
            task = self._under_way[room_id] = asyncio.create_task(self._ask(room_id, via))
            task.add_done_callback(partial(self._ended, room_id))
        return await asyncio.shield(task)

    def _ended(self, room_id: str, task: asyncio.Task[Told | None]) -> None:
        self._under_way.pop(room_id, None)
        if not task.cancelled():
            task.exception()  # it is told to those who still wait

    async def _ask(self, room_id: str, via: Sequence[str]) -> Told | None:
        told: Told | None = None
        try:
            answer = await self._asking.ask_any(
                via, api.GET_SPACE_HIERARCHY, api.GetSpaceHierarchyRequest(room_id=room_id)
            )
        except (PeerError, NotNow, Unreachable):
            answer = None
        if answer is not None and answer.room.room_id == room_id:
            children = {child.room_id: child for child in answer.children}
            told = Told(answer.room, children, frozenset(answer.inaccessible_children))
        for_ms = _NONE_MS if told is None else _KEPT_MS
        self._kept.put(room_id, _Kept(told, self._engine.outside.now_ms() + for_ms))
        return told


def _size(kept: _Kept) -> int:
    if kept.told is None:
        return _OVERHEAD
    children = sum(map(len, kept.told.room.children_state))
    return _OVERHEAD + children + _BYTES_OF_A_ROOM * (1 + len(kept.told.children))
