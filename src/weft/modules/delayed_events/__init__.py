"""Events that are sent later. https://github.com/matrix-org/matrix-spec-proposals/pull/4140"""

from __future__ import annotations

from weft.modules.delayed_events.client_api import DelayedEventsApi
from weft.modules.delayed_events.service import DelayedEvents
from weft.modules.delayed_events.store import Row
from weft.modules.module import Module

__all__ = ["DelayedEvents", "Row", "module"]


def module(delayed: DelayedEvents) -> Module:
    return Module(name="delayed_events", routes=DelayedEventsApi(delayed).routes(), tasks=delayed.tasks)
