"""Events that whoever is in a room is sure to get as long as they are sticky, for calls and for shared places.

They are written with the event (`weft.storage.sticky`), and sent to other servers with the others (`weft.federation`).
Here clients are told of them, those that were soft-failed are looked at again, and what is over is forgotten.

https://github.com/matrix-org/matrix-spec-proposals/pull/4354
"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.sticky_events.service import StickyEvents
from weft.modules.sticky_events.soft_failed import SoftFailed
from weft.modules.sticky_events.sync import StickyEventsSync
from weft.rooms.engine import Engine
from weft.storage.sticky import KIND

__all__ = ["StickyEvents", "module"]


def module(engine: Engine, sticky_events: StickyEvents) -> Module:
    return Module(
        name="sticky_events",
        sync=StickyEventsSync(sticky_events),
        tasks=[*sticky_events.tasks, *SoftFailed(engine).tasks],
        fleeting=(KIND,),
    )
