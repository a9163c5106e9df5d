"""A room's event graph, drawn."""

from __future__ import annotations

from weft.graph.drawing import Drawn, draw
from weft.modules.room_inspection import store
from weft.rooms.engine import Engine
from weft.storage.database import Transaction


class RoomGraph:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def draw(self, room_id: str, limit: int) -> str:
        """The newest events of the room's graph as an SVG document. Raises `NotFound`."""
        room = await self._engine.rooms.get(room_id)
        return await self._engine.database.read(drawing_of, room_id, room.number, limit)


def drawing_of(tx: Transaction, room_id: str, room: int, limit: int) -> str:
    """As `RoomGraph.draw`, read from the tables."""
    found = store.newest(tx, room, limit)
    title = f"{room_id}: " + ("the whole graph" if len(found) < limit else f"the newest {limit} events")
    return draw(title, [Drawn(one.event, one.outcome) for one in found], ends=store.ends(tx, room))
