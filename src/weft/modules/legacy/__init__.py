"""What `/sync` replaced, and previews of rooms. https://spec.matrix.org/v1.19/client-server-api/#room-previews"""

from collections.abc import Awaitable, Callable, Sequence

from weft.modules.events import EventForms, Sight
from weft.modules.events.user_rooms import UserRooms
from weft.modules.history import History
from weft.modules.legacy.client_api import LegacyApi
from weft.modules.legacy.snapshots import Snapshots
from weft.modules.legacy.stream import Stream
from weft.modules.module import Module, SyncPart
from weft.rooms.engine import Engine

__all__ = ["module"]


def module(
    engine: Engine,
    history: History,
    *,
    user_rooms: UserRooms,
    sight: Sight,
    forms: EventForms,
    parts: Sequence[SyncPart],
    is_published: Callable[[str], Awaitable[bool]],
) -> Module:
    """It wakes those who wait, so it comes after the modules that keep things in memory up to date."""
    snapshots = Snapshots(engine, history, user_rooms=user_rooms, forms=forms, parts=parts, is_published=is_published)
    stream = Stream(engine, history, user_rooms=user_rooms, sight=sight)
    api = LegacyApi(engine, history, snapshots, stream)
    return Module(name="legacy", routes=api.routes(), appliers=[stream.wake])
