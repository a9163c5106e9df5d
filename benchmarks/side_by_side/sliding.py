"""Sliding sync: what a phone asks when it is opened, and while nothing happens."""

from __future__ import annotations

from itertools import count

import orjson

from benchmarks.side_by_side.people import Person
from benchmarks.side_by_side.scenarios import Scenario

_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0"
_connections = count()
#: What Element X asks of the rooms on its first screen.
_FIRST_SCREEN = {
    "ranges": [[0, 19]],
    "timeline_limit": 1,
    "required_state": [
        ["m.room.name", ""],
        ["m.room.avatar", ""],
        ["m.room.canonical_alias", ""],
        ["m.room.create", ""],
        ["m.room.encryption", ""],
        ["m.room.join_rules", ""],
        ["m.room.power_levels", ""],
        ["m.room.tombstone", ""],
        ["m.room.topic", ""],
        ["m.room.member", "$LAZY"],
        ["m.room.member", "$ME"],
    ],
}
_EXTENSIONS = {name: {"enabled": True} for name in ("e2ee", "account_data", "receipts", "typing")}


class Sliding(Scenario):
    """Somebody in many rooms opens their client; another one of theirs asks again and again, and there is nothing."""

    rows = ("sliding_first", "sliding_first_p95", "sliding_empty")

    async def prepare(self) -> None:
        (self._owner,) = await self._people(1)
        for _ in range(self.scale.sliding_rooms):
            await self._owner.send(await self._owner.create_room())

    async def measure(self, turn: int) -> dict[str, float]:
        owner = self._owner

        async def first() -> int:
            await _ask(owner, next(_connections))
            return 1

        firsts = await self._loop("sliding_first", [first])
        connection = next(_connections)
        # What is new to the connection is told by the second answer, at the latest.
        pos = await _ask(owner, connection)
        pos = await _ask(owner, connection, pos)

        async def empty() -> int:
            nonlocal pos
            pos = await _ask(owner, connection, pos)
            return 1

        empties = await self._loop("sliding_empty", [empty])
        return {
            "sliding_first": firsts.percentile(50),
            "sliding_first_p95": firsts.percentile(95),
            "sliding_empty": empties.rate,
        }


async def _ask(person: Person, connection: int, pos: str | None = None) -> str:
    """One request; the `pos` of the answer."""
    asked = {"conn_id": f"c{connection}", "lists": {"all": _FIRST_SCREEN}, "extensions": _EXTENSIONS}
    path = _PATH if pos is None else f"{_PATH}&pos={pos}"
    return str(orjson.loads(await person.post(path, orjson.dumps(asked)))["pos"])
