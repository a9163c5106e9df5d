"""Takes turns: of all that is ready to be answered, one goes in each pass of the event loop.

A message in a room that a thousand clients wait for makes a thousand answers due at once. Made in one go they would
keep every other request waiting, the sender's next one among them; and each answer would hold that one message, while
one that is made a little later holds what came meanwhile too. Where nobody else is ready a turn costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        #: Whether somebody had a turn in this pass of the loop, or is about to.
        self._taken = False

    async def take(self) -> None:
        """Returns when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next)
            return
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        await future

    def _next(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():  # whose client hung up, is
                future.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._taken = False
