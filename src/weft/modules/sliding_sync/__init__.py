"""Sliding sync: a client is told of the rooms that it shows, at first, and of the rest as it asks for them.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.devices import DevicesService
from weft.modules.events import EventForms, Sight
from weft.modules.events.user_rooms import UserRooms
from weft.modules.module import Module
from weft.modules.sliding_sync import store
from weft.modules.sliding_sync.client_api import SlidingSyncApi
from weft.modules.sliding_sync.connections import Connections
from weft.modules.sliding_sync.extensions import ExtensionParts
from weft.modules.sliding_sync.facts import RoomFacts
from weft.modules.sliding_sync.lists import Lists, Preferences
from weft.modules.sliding_sync.room_sections import RoomSections
from weft.modules.sliding_sync.service import SlidingSync
from weft.modules.sticky_events import StickyEvents
from weft.modules.sync import Surroundings
from weft.modules.sync.waking import Waking
from weft.modules.thread_subscriptions import ThreadSubscriptions
from weft.rooms.engine import Engine

__all__ = ["Preferences", "module"]


def module(
    engine: Engine,
    devices: DevicesService,
    *,
    user_rooms: UserRooms,
    sight: Sight,
    forms: EventForms,
    parts: Iterable[Module],
    waking: Waking,
    around: Surroundings,
    preferences: Preferences,
    threads: ThreadSubscriptions,
    sticky_events: StickyEvents,
) -> Module:
    facts, connections = RoomFacts(engine), Connections(engine)
    devices.on_deleted.append(store.remove_of_devices)
    service = SlidingSync(
        engine,
        user_rooms=user_rooms,
        connections=connections,
        lists=Lists(engine, facts, preferences),
        sections=RoomSections(engine, sight, forms, around),
        extensions=ExtensionParts(
            {part.name: part.sync for part in parts if part.sync is not None},
            around.about_device,
            threads,
            sticky_events,
        ),
        waking=waking,
        around=around,
    )
    return Module(
        name="sliding_sync", routes=SlidingSyncApi(service).routes(), tasks=connections.tasks, appliers=[facts.apply]
    )
