"""What other servers cost: taking in their events, and joining their rooms."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import quote

from benchmarks.side_by_side.load import RefusedError
from benchmarks.side_by_side.people import Person
from benchmarks.side_by_side.process import free_port
from benchmarks.side_by_side.remote import RemoteRoom, RemoteServer
from benchmarks.side_by_side.scenarios import Scenario

_V3 = "/_matrix/client/v3"
#: The name that both servers are given.
_NAME = "localhost"
_PDUS = 50
_ARRIVAL_SECONDS = 120.0
#: Between two looks whether an event is there: what they cost the server has to be little.
_POLL_SECONDS = 0.04


class Federation(Scenario):
    """A made-up remote server sends into a small room of its own, and has large ones joined, a new one each time."""

    rows = ("taken_in", "join_2000", "join_20000")
    alone = True

    async def prepare(self) -> None:
        self._remote = RemoteServer(self.server.folder, free_port())
        self._remote.make_certificate()
        await self._remote.start()
        self.server.stop()
        self.server.trusts = self._remote.certificate
        self.server.configure()
        await self.server.start()
        [self._person] = await self._people(1)

    async def measure(self, turn: int) -> dict[str, float]:
        small = self._remote.make_room(10)
        await self._join(small)
        rows: dict[str, float] = {"taken_in": await self._taken_in(small)}
        for row, members in (("join_2000", 2_000), ("join_20000", 20_000)):
            if members <= self.scale.largest_room:
                rows[row] = await self._join(self._remote.make_room(members))
        return rows

    async def finish(self) -> None:
        await self._remote.stop()

    async def _join(self, room: RemoteRoom) -> float:
        """The seconds until the client is told that it has joined."""
        path = f"{_V3}/join/{quote(str(room.room_id))}?server_name={quote(self._remote.name)}"
        before, begun = self.server.cpu_seconds(), time.perf_counter()
        await self._person.post(path, b"{}")
        seconds = time.perf_counter() - begun
        self.cost[f"join_{len(room.state) // 1000 * 1000}"] = 1000 * (self.server.cpu_seconds() - before)
        return seconds

    async def _taken_in(self, room: RemoteRoom) -> float:
        """Events a second, from the first sent to the last that a client can read.

        The next transaction is sent when a client can read the last event of the one before: Synapse answers before it
        has dealt with one, and throws away what waits when it is too much.
        """
        count = 0
        content: dict[str, Any] = {"msgtype": "m.text", "body": "A message as long as they are, from far away."}
        ready = [room.add("m.room.message", room.creator, None, content) for _ in range(self.scale.remote_events)]
        before, begun = self.server.cpu_seconds(), time.perf_counter()
        while count < len(ready):
            sent = ready[count : count + _PDUS]
            await self._remote.send(_NAME, self.server.port, sent)
            await _readable(self._person, str(room.room_id), sent[-1].event_id)
            count += _PDUS
        seconds = time.perf_counter() - begun
        self.cost["taken_in"] = 1000 * (self.server.cpu_seconds() - before) / len(ready)
        return len(ready) / seconds


async def _readable(person: Person, room_id: str, event_id: str) -> None:
    deadline = time.perf_counter() + _ARRIVAL_SECONDS
    while time.perf_counter() < deadline:
        try:
            await person.get(f"{_V3}/rooms/{quote(room_id)}/event/{quote(event_id)}")
        except RefusedError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return
    raise TimeoutError(f"{event_id} never arrived")
