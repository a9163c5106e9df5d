"""Log entries that say that a room's state is another one now, otherwise than by the event that came last.

Ends of the graph were resolved, or a state was told by another server.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from weft.storage.database import WriteTransaction
from weft.storage.positions import Entry

KIND: Final = "resolution"


class Resolution(NamedTuple):
    """The snapshot that holds now, and the one that did before where that is known."""

    now: int
    before: int | None


def tell(tx: WriteTransaction, room: int, now: int, before: int | None = None) -> None:
    tx.append(KIND, room=room, key=str(now) if before is None else f"{now} {before}")


def of(entry: Entry) -> Resolution:
    """What an entry tells."""
    now, _, before = (entry.key or "0").partition(" ")
    return Resolution(int(now), int(before) if before else None)
