"""Whoever sends an event hears of it by sync a moment later than others do.

The answer to the sending request has to arrive first: some clients (matrix-js-sdk, in threads) take an echo that
overtakes it for a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

#: Long enough for an answer that is ready to be written, too short to be noticed.
_LATER_SECONDS: Final = 0.005


class Echoes:
    """`wake` is called with the user when it is time."""

    def __init__(self, wake: Callable[[Iterable[object]], None]) -> None:
        self._wake = wake
        #: When those who have just sent something may hear of it, in the event loop's time.
        self._due: dict[str, float] = {}

    def sent(self, sender: str) -> None:
        """Notes that an event of theirs is in the log."""
        loop = asyncio.get_running_loop()
        due = self._due[sender] = loop.time() + _LATER_SECONDS
        loop.call_at(due, self._is_due, sender, due)

    async def wait(self, user_id: str) -> None:
        """Returns when the user may hear of what they have sent before this call; at once, as a rule."""
        due = self._due.get(user_id)
        if due is not None:
            await asyncio.sleep(due - asyncio.get_running_loop().time())

    def _is_due(self, sender: str, due: float) -> None:
        if self._due.get(sender) == due:
            del self._due[sender]
        self._wake((sender,))
