"""Positions for events that happened before this server heard of them.

A process takes a block of them at a time, so that no two processes ever use the same one, and uses them in order.
Unused ones of a block are lost with the process; there are 2^28 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.storage.database import Database, WriteTransaction

_BLOCK_BITS = 12
_BLOCK = 1 << _BLOCK_BITS


class HistoryPositions:
    """The history positions of one process."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._free: list[int] = []

    async def take(self, count: int) -> Sequence[int]:
        """That many positions, ascending, never given to anybody before."""
        while len(self._free) < count:
            block = await self._database.write(_new_block, self._holder)
            self._free.extend(range(block << _BLOCK_BITS, (block + 1) << _BLOCK_BITS))
        taken = self._free[:count]
        del self._free[:count]
        return taken


def _new_block(tx: WriteTransaction, holder: str) -> int:
    block: int = tx.value("INSERT INTO history_blocks (holder) VALUES (:holder) RETURNING block", holder=holder)
    return block
