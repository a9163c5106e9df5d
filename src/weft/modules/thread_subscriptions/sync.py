"""Subscriptions in `/sync`: they are not told there, but they change how much of a room is unread."""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.thread_subscriptions.store import KIND
from weft.storage.positions import Entry


class ThreadSubscriptionsSync:
    """Has the room appear, and with it its counts, when the user subscribed to one of its threads, or gave one up."""

    kinds = frozenset({KIND})

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        for entry in sync.entries(self.kinds) or ():
            if entry.key is not None and entry.key in sync.joined:
                sync.room(entry.key)
