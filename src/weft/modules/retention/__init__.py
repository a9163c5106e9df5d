"""Removes messages that are older than their room keeps them. Until then they are hidden (`weft.modules.events.sight`).

https://github.com/matrix-org/matrix-spec-proposals/pull/1763
"""

from __future__ import annotations

from weft.modules.events import Expiry
from weft.modules.module import Module
from weft.modules.retention.service import Retention
from weft.rooms.engine import Engine

__all__ = ["Retention", "module"]


def module(engine: Engine, expiry: Expiry) -> Module:
    return Module(name="retention", tasks=Retention(engine, expiry).tasks)
