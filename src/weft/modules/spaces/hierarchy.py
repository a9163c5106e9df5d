"""A space and the rooms in it, depth first, as far as somebody may know of them.

A room that is reached twice is told once, so circles end. Children that this server does not know are left out.

https://spec.matrix.org/v1.19/client-server-api/#discovering-rooms-within-spaces
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from weft.modules.room_summary import RoomSummaries
from weft.modules.spaces import store
from weft.protocol.api.client.room_summary import RoomSummary, SpaceHierarchyRoomsChunk
from weft.protocol.client_event import dumps, stripped
from weft.protocol.errors import Forbidden, NotFound
from weft.protocol.event import Event
from weft.protocol.identifiers import is_valid_room_id
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: How deep, and over how many rooms, one walk goes.
MAX_DEPTH: Final = 20
MAX_ROOMS: Final = 1_000

#: Of how many of a space's rooms another server is told more than their ids.
_MAX_TOLD: Final = 300

_SPACE: Final = "m.space"
_MAX_ORDER: Final = 50


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
        ahead = [(room_id, 0)]
        while ahead and len(met) < MAX_ROOMS:
            next_id, depth = ahead.pop()
            if next_id in met:
                continue
            met.add(next_id)
            seen = await self._seen(next_id, user_id)
            if seen is None:
                if depth == 0:
                    raise Forbidden("You may not look into this room, or it does not exist.")
                continue
            room, summary = seen
            if len(found) == limit:
                return found, True
            children = await self._children(room, suggested_only) if summary.room_type == _SPACE else []
            told += 1
            if told > skipped:
                found.append(_chunk(summary, children))
            if depth < max_depth:
                ahead.extend((child.state_key or "", depth + 1) for child in reversed(children))
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
        children = await self._children(room, suggested_only) if summary.room_type == _SPACE else []
        seen: list[RoomSummary] = []
        closed: list[str] = []
        for child_id in dict.fromkeys(child.state_key or "" for child in children[:_MAX_TOLD]):
            child = await self._engine.rooms.find(child_id)
            if child is None:
                continue
            told = await self._summaries.seen_by_server(child, origin)
            if told is None:
                closed.append(child_id)
            else:
                seen.append(told)
        return _chunk(summary, children), seen, closed

    async def _seen(self, room_id: str, user_id: str) -> tuple[Room, RoomSummary] | None:
        """A room that the user may know of, with its summary."""
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) == "ban":
            return None
        summary = await self._summaries.seen_by(room, user_id)
        return None if summary is None else (room, summary)

    async def _children(self, room: Room, suggested_only: bool) -> Sequence[Event]:
        ids = await self._engine.database.get(store.children_of, room.number)
        events = [stored.event for stored in (await self._engine.rooms.events(ids)).values()]
        return sorted((one for one in events if _is_child(one, suggested_only)), key=_order)


def _is_child(event: Event, suggested_only: bool) -> bool:
    """Without `via` a room is no child any more; people write what they like into the rest."""
    via = event.content.get("via")
    is_listed = isinstance(via, list) and bool(via) and all(isinstance(server, str) for server in via)
    is_chosen = not suggested_only or event.content.get("suggested") is True
    return is_listed and is_chosen and is_valid_room_id(event.state_key or "")


def _order(event: Event) -> tuple[bool, str, int, str]:
    """https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space"""
    order = event.content.get("order")
    is_ordered = (
        isinstance(order, str)
        and len(order) <= _MAX_ORDER
        and all("\x20" <= character <= "\x7e" for character in order)
    )
    return not is_ordered, str(order) if is_ordered else "", event.origin_server_ts, event.state_key or ""


def _chunk(summary: RoomSummary, children: Sequence[Event]) -> SpaceHierarchyRoomsChunk:
    return SpaceHierarchyRoomsChunk(
        **msgspec.structs.asdict(summary),
        children_state=[
            msgspec.Raw(dumps({**stripped(child), "origin_server_ts": child.origin_server_ts})) for child in children
        ],
    )
