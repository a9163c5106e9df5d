"""The event nearest to a time.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from weft.modules.history import store
from weft.modules.history.pages import MAX_LOOKED_AT
from weft.modules.history.store import Order
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent

_MAX_TIME_MS: Final = 1 << 53

#: Those of some events that may be seen, in the same order.
Choose = Callable[[Sequence[StoredEvent]], Awaitable[Sequence[StoredEvent]]]


async def nearest(
    engine: Engine, room: Room, time_ms: int, direction: Literal["f", "b"], choose: Choose
) -> StoredEvent | None:
    """The event nearest to a time that `choose` lets through, not before it (`f`) or not after it (`b`)."""
    time_ms = max(-_MAX_TIME_MS, min(time_ms, _MAX_TIME_MS))
    beyond: Order | None = None
    looked_at, size = 0, 10
    while looked_at < MAX_LOOKED_AT:
        rows = await engine.database.read(store.around_time, room.number, time_ms, direction == "b", size, beyond)
        found = await engine.rooms.events([event_id for event_id, _, _ in rows])
        chosen = await choose([found[event_id] for event_id, _, _ in rows if event_id in found])
        if chosen:
            return chosen[0]
        if len(rows) < size:
            break
        beyond = rows[-1][1:]
        looked_at += size
        size = 500
    return None
