"""The rooms that a request asks for, found."""

from __future__ import annotations

from dataclasses import dataclass, field

from weft.protocol.sliding_sync import RoomConfig


@dataclass(slots=True)
class Wanted:
    """A room that is asked for, by these lists and perhaps by a subscription."""

    config: RoomConfig
    lists: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Matches:
    """`rooms` by id; of each list how many rooms it is of, and those in its ranges in order."""

    rooms: dict[str, Wanted] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    windows: dict[str, list[str]] = field(default_factory=dict)
    direct: frozenset[str] = frozenset()
