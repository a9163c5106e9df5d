"""What an operator looks at in a room: its event graph, and how other servers' copies of it differ.

Weft's own; `weft graph` and `weft rooms compare` ask for it.
"""

from __future__ import annotations

from pathlib import Path

from weft.modules.module import Module
from weft.modules.room_inspection.client_api import RoomInspectionApi
from weft.modules.room_inspection.comparison import Comparison
from weft.modules.room_inspection.graph import RoomGraph
from weft.rooms.engine import Engine

__all__ = ["Comparison", "RoomGraph", "module"]


def module(engine: Engine, secret_file: Path | None) -> Module:
    api = RoomInspectionApi(
        RoomGraph(engine), Comparison(engine), secret_file=secret_file, now_ms=engine.outside.now_ms
    )
    return Module(name="room_inspection", routes=api.routes())
