"""A space and the rooms in it, depth first, as far as somebody may know of them.

A room that is reached twice is told once, so circles end. Of rooms that nobody of this server is in, the servers that
the space names are asked (`via`): a few at a time, so many in one walk, and not for long. What none of them tells of is
left out.

https://spec.matrix.org/v1.19/client-server-api/#discovering-rooms-within-spaces
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from weft.modules.room_summary import RemoteRooms, RoomSummaries, Told
from weft.modules.spaces import children, store
from weft.modules.spaces.children import Child
from weft.protocol.api.client.room_summary import RoomSummary, SpaceHierarchyRoomsChunk
from weft.protocol.errors import Forbidden, NotFound
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: How deep, and over how many rooms, one walk goes.
MAX_DEPTH: Final = 20
MAX_ROOMS: Final = 1_000
#: Of how many of a space's rooms another server is told more than their ids.
_MAX_TOLD: Final = 300
#: How many rooms other servers are asked about in one walk, how many at a time, and for how many seconds in all.
_MAX_ASKED: Final = 50
_ASKED_AT_ONCE: Final = 8
_PATIENCE: Final = 20.0

_SPACE: Final = "m.space"


class _Stop(NamedTuple):
    """A room on the way, and what is known of it from where the walk came."""

    room_id: str
    depth: int
    via: tuple[str, ...]
    #: What the server that told of the space tells of the room, and whether it says that nobody of ours may see it.
    told: RoomSummary | None = None
    is_closed: bool = False


class _Seen(NamedTuple):
    """A room that the user may know of; `told` where another server tells of it."""

    summary: RoomSummary
    children: list[Child]
    told: Told | None = None


class Hierarchy:
    def __init__(self, engine: Engine, summaries: RoomSummaries) -> None:
        self._engine = engine
        self._summaries = summaries

    async def walk(
        self, room_id: str, user_id: str, *, skipped: int, limit: int, max_depth: int, suggested_only: bool
    ) -> tuple[list[SpaceHierarchyRoomsChunk], bool]:
        """The rooms of one page, after those that are skipped; and whether more come after it.

        Raises `Forbidden` alike for a space that the user may not know of and for one that does not exist.
        """
        found: list[SpaceHierarchyRoomsChunk] = []
        met: set[str] = set()
        told = 0
        ahead = [_Stop(room_id, 0, (domain_of(room_id),))]
        others = _Others(self._summaries.remote)
        try:
            while ahead and len(met) < MAX_ROOMS:
                stop = ahead.pop()
                if stop.room_id in met:
                    continue
                met.add(stop.room_id)
                seen = await self._seen(stop, user_id, others)
                if seen is None:
                    if stop.depth == 0:
                        raise Forbidden("You may not look into this room, or it does not exist.")
                    continue
                if len(found) == limit:
                    return found, True
                listed = [child for child in seen.children if child.suggested or not suggested_only]
                told += 1
                if told > skipped:
                    found.append(_chunk(seen.summary, listed))
                if stop.depth < max_depth:
                    following = [_stop(child, stop.depth + 1, seen.told) for child in listed]
                    ahead.extend(reversed(following))
                    others.look_ahead(self._ask_ahead(one, others) for one in following[:_ASKED_AT_ONCE])
        finally:
            others.end()
        return found, False

    async def seen_by_server(
        self, room_id: str, origin: str, *, suggested_only: bool
    ) -> tuple[SpaceHierarchyRoomsChunk, list[RoomSummary], list[str]]:
        """A room as the users of a server may know of it: with what it says of its children, those of them that they
        may know of, and the ids of those that they may not. What this server does not know is in neither.

        Raises `NotFound` alike for a room that they may not know of and for one that does not exist.
        """
        room = await self._engine.rooms.find(room_id)
        summary = await self._summaries.seen_by_server(room, origin) if room is not None else None
        if room is None or summary is None:
            raise NotFound("There is no such room, or your server may not know of it.")
        below = await self._children(room) if summary.room_type == _SPACE else []
        listed = [child for child in below if child.suggested or not suggested_only]
        seen: list[RoomSummary] = []
        closed: list[str] = []
        for child_id in dict.fromkeys(child.room_id for child in listed[:_MAX_TOLD]):
            known = await self._engine.rooms.find(child_id)
            if known is None:
                continue
            told = await self._summaries.seen_by_server(known, origin)
            if told is None:
                closed.append(child_id)
            else:
                seen.append(told)
        return _chunk(summary, listed), seen, closed

    async def _seen(self, stop: _Stop, user_id: str, others: _Others) -> _Seen | None:
        """A room that the user may know of."""
        room = await self._engine.rooms.find(stop.room_id)
        if room is not None and room.membership(user_id) == "ban":
            return None
        if room is None or not room.joined_local:
            told = await self._told(stop, others)
            if told is not None and await self._summaries.may_see_told(told.summary, user_id):
                return told
        if room is None:
            return None
        summary = await self._summaries.seen_by(room, user_id)
        if summary is None:
            return None
        return _Seen(summary, await self._children(room) if summary.room_type == _SPACE else [])

    async def _told(self, stop: _Stop, others: _Others) -> _Seen | None:
        if stop.is_closed:
            return None
        if stop.told is not None and stop.told.room_type != _SPACE:
            return _Seen(stop.told, [])
        told = await others.ask(stop.room_id, stop.via)
        if told is None:
            return None
        is_space = told.room.room_type == _SPACE
        return _Seen(told.room, children.of_stripped(told.room.children_state) if is_space else [], told)

    async def _ask_ahead(self, stop: _Stop, others: _Others) -> None:
        """Has at hand what will be needed soon, so that slow servers are waited for together."""
        room = await self._engine.rooms.find(stop.room_id)
        if room is None or not room.joined_local:
            await self._told(stop, others)

    async def _children(self, room: Room) -> list[Child]:
        ids = await self._engine.database.get(store.children_of, room.number)
        return children.of_events([stored.event for stored in (await self._engine.rooms.events(ids)).values()])


class _Others:
    """Other servers, as one walk asks them."""

    def __init__(self, remote: RemoteRooms) -> None:
        self._remote = remote
        self._asked: set[str] = set()
        self._until = asyncio.get_running_loop().time() + _PATIENCE
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, room_id: str, via: Sequence[str]) -> Told | None:
        """What a server tells of a room; None where none does, or patience is at its end."""
        kept = self._remote.known(room_id)
        if kept is not None:
            return kept.told
        if len(self._asked) >= _MAX_ASKED and room_id not in self._asked:
            return None
        self._asked.add(room_id)
        try:
            async with asyncio.timeout_at(self._until):
                return await self._remote.room(room_id, via)
        except TimeoutError:
            return None

    def look_ahead(self, asking: Iterable[Coroutine[Any, Any, None]]) -> None:
        for one in asking:
            task = asyncio.create_task(one)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()


def _stop(child: Child, depth: int, told: Told | None) -> _Stop:
    if told is None:
        return _Stop(child.room_id, depth, child.via)
    is_closed = child.room_id in told.inaccessible
    return _Stop(child.room_id, depth, child.via, told.children.get(child.room_id), is_closed)


def _chunk(summary: RoomSummary, below: Sequence[Child]) -> SpaceHierarchyRoomsChunk:
    return SpaceHierarchyRoomsChunk(
        **{key: getattr(summary, key) for key in RoomSummary.__struct_fields__},
        children_state=[msgspec.Raw(child.json) for child in below],
    )
