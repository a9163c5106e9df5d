"""Sticky events in `/sync`: a member of the section of each joined room."""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.sticky_events.service import StickyEvents
from weft.protocol.stickiness import FIELD
from weft.storage.positions import Entry
from weft.storage.sticky import KIND


class StickyEventsSync:
    kinds = frozenset({KIND})

    def __init__(self, sticky_events: StickyEvents) -> None:
        self._sticky_events = sticky_events

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        fresh = {room_id: number for room_id, number in sync.joined.items() if room_id in sync.newly_joined}
        others = {room_id: number for room_id, number in sync.joined.items() if room_id not in fresh}
        entries = sync.entries(self.kinds)
        if entries is not None:
            touched = {entry.room for entry in entries}
            others = {room_id: number for room_id, number in others.items() if number in touched}
        for rooms, since in ((fresh, None), (others, sync.since)):
            told = await self._sticky_events.told(
                sync.requester, rooms=rooms, since=since, upto=sync.upto, timelines=sync.timeline
            )
            for room_id, events in told.rooms.items():
                sync.room(room_id).extra[FIELD] = b'{"events":[%s]}' % b",".join(events)
