"""Taking out of the log what nobody will read there again.

Who is typing and who is online are in tables of their own; their entries only wake those who follow the log. Without
pruning they would be most of it. What is left out never matters to who reads on: a vector counts numbers, not rows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.followers import cursor, save_cursor
from weft.storage.log import heads
from weft.storage.positions import WRITER_SHIFT, Vector

#: How many of each writer's newest entries are left alone: more than a process keeps in memory, so that no other one
#: and no follower that is running is behind it. The newest of all has to stay, for the next number is counted from it.
KEPT: Final = 100_000
#: How many numbers are gone through in one transaction.
_STEP: Final = 5_000
#: The name under which it is written down how far the log was gone through, as followers do.
_CURSOR: Final = "pruning of the log"


async def prune(database: Database, kinds: Collection[str], *, kept: int = KEPT) -> int:
    """Removes old entries of these kinds; returns how many. Each part of the log is gone through once."""
    until, done = await database.read(_bounds, kept)
    removed = 0
    for writer, end in until:
        after = done.number(writer)
        while after < end:
            upto = min(end, after + _STEP)
            removed += await database.write(_remove, kinds, writer, after, upto)
            after = upto
    return removed


def _bounds(tx: Transaction, kept: int) -> tuple[Vector, Vector]:
    """Up to where the log may be pruned, and up to where it has been."""
    return Vector({writer: number - kept for writer, number in heads(tx) if number > kept}), cursor(tx, _CURSOR)


def _remove(tx: WriteTransaction, kinds: Collection[str], writer: int, after: int, upto: int) -> int:
    first = writer << WRITER_SHIFT
    removed = tx.run(
        "DELETE FROM log WHERE position > :after AND position <= :upto AND kind IN :kinds",
        after=first + after,
        upto=first + upto,
        kinds=list(kinds),
    )
    save_cursor(tx, _CURSOR, Vector({writer: upto}))
    return removed
