"""The work that is measured. A scenario prepares a server once and measures it several times.

What a scenario measures in one round is a number for each of its rows (`targets.ROWS`).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.side_by_side.load import Exhausted, Sample, closed_loop
from benchmarks.side_by_side.people import (
    LAZY,
    LONG_TIMELINE,
    MARK,
    Person,
    hang_up,
    join_all,
    next_batch,
    register,
)
from benchmarks.side_by_side.process import ServerProcess

_SENDERS = 16
_WARM_UP = 0.25
#: A message that some waiting client still has not got by then is lost.
_LOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done. The full scale is for results, the quick one to see whether all is well."""

    seconds: float = 5.0
    account_rooms: int = 40
    account_members: int = 30
    account_messages: int = 50
    settle: float = 10.0
    #: Events that another server sends, and members of the largest of its rooms that is joined.
    remote_events: int = 1_000
    largest_room: int = 20_000
    #: Of somebody who syncs by sliding windows.
    sliding_rooms: int = 300
    #: Who shares a room with somebody whose device changes.
    sharers: int = 5_000
    #: One-time keys that there have to be for each second of claiming.
    claims: int = 3_000


QUICK = Scale(
    seconds=1.5,
    account_messages=10,
    settle=3.0,
    remote_events=300,
    largest_room=2_000,
    sliding_rooms=60,
    sharers=300,
)


class Scenario(ABC):
    """One kind of work on one server.

    `busy` is the largest share of a core that the generator took for a row, `cost` the server's processor time for one
    request of it, in milliseconds. The cost says on a noisy machine too what the work takes.
    """

    #: The rows it gives.
    rows: tuple[str, ...]
    #: Whether it wants a server that nothing was done with before.
    alone = False

    def __init__(self, server: ServerProcess, scale: Scale) -> None:
        self.server = server
        self.scale = scale
        self.busy: dict[str, float] = {}
        self.cost: dict[str, float] = {}

    @abstractmethod
    async def prepare(self) -> None:
        """Makes the accounts and rooms. Not measured."""

    @abstractmethod
    async def measure(self, turn: int) -> dict[str, float]:
        """One round: the value of each row."""

    async def finish(self) -> None:
        """Puts away what `prepare` made beside the server."""
        return

    async def _people(self, count: int, *, turn: int = 0) -> list[Person]:
        name = type(self).__name__.lower()
        return await register(self.server.port, (f"{name}{turn}_{number}" for number in range(count)))

    async def _loop(self, row: str, workers: Sequence[Callable[[], Awaitable[int]]]) -> Sample:
        """A closed loop, after a short one that warms the server up."""
        await closed_loop(workers, _WARM_UP)
        return await self._measured(row, workers)

    async def _measured(self, row: str, workers: Sequence[Callable[[], Awaitable[int]]]) -> Sample:
        before = self.server.cpu_seconds()
        sample = await closed_loop(workers, self.scale.seconds)
        self.cost[row] = 1000 * (self.server.cpu_seconds() - before) / max(1, sample.count)
        self.busy[row] = max(sample.busy, self.busy.get(row, 0.0))
        return sample


def _sender(person: Person, room_id: str) -> Callable[[], Awaitable[int]]:
    async def send() -> int:
        await person.send(room_id)
        return 1

    return send


class Send(Scenario):
    """One sender; sixteen in one room; sixteen in a room each."""

    rows = ("send_rate", "send_p50", "send_p99", "send_room", "send_rooms")

    async def prepare(self) -> None:
        self._senders = await self._people(_SENDERS)
        self._own = [await person.create_room() for person in self._senders]
        self._alone = await self._senders[0].create_room()
        self._common = await self._senders[0].create_room()
        await join_all(self._senders[1:], self._common)

    async def measure(self, turn: int) -> dict[str, float]:
        one = await self._loop("send_rate", [_sender(self._senders[0], self._alone)])
        together = await self._loop("send_room", [_sender(person, self._common) for person in self._senders])
        apart = [_sender(person, room) for person, room in zip(self._senders, self._own, strict=True)]
        return {
            "send_rate": one.rate,
            "send_p50": one.percentile(50),
            "send_p99": one.percentile(99),
            "send_room": together.rate,
            "send_rooms": (await self._loop("send_rooms", apart)).rate,
        }


class Rooms(Scenario):
    """Sixteen people make rooms; then sixteen others join those, each beginning at another one."""

    rows = ("create_room", "join")

    async def prepare(self) -> None:
        self._makers = await self._people(_SENDERS)

    async def measure(self, turn: int) -> dict[str, float]:
        rooms: list[str] = []

        def maker(person: Person) -> Callable[[], Awaitable[int]]:
            async def make() -> int:
                rooms.append(await person.create_room())
                return 1

            return make

        def joiner(person: Person, waiting: list[str]) -> Callable[[], Awaitable[int]]:
            async def join() -> int:
                if not waiting:
                    raise Exhausted
                await person.join(waiting.pop())
                return 1

            return join

        made = await self._loop("create_room", [maker(person) for person in self._makers])
        joiners = await self._people(_SENDERS, turn=turn + 1)
        step = max(1, len(rooms) // _SENDERS)
        waiting = [rooms[number * step :] + rooms[: number * step] for number in range(_SENDERS)]
        joined = await self._loop("join", [joiner(*pair) for pair in zip(joiners, waiting, strict=True)])
        hang_up(joiners)
        return {"create_room": made.rate, "join": joined.rate}


class Reading(Scenario):
    """Syncs and history, by sixteen people in ten rooms of two hundred messages or so."""

    rows = ("sync_empty", "sync_initial", "messages")
    _ROOMS = 10
    _MESSAGES = 120

    async def prepare(self) -> None:
        self._readers = await self._people(_SENDERS)
        self._rooms = [await self._readers[0].create_room() for _ in range(self._ROOMS)]
        for room_id in self._rooms:
            await join_all(self._readers[1:], room_id)

        async def write(person: Person, room_id: str) -> None:
            for _ in range(self._MESSAGES):
                await person.send(room_id)

        await asyncio.gather(*map(write, self._readers, self._rooms))

    async def measure(self, turn: int) -> dict[str, float]:
        def empty(person: Person, since: str) -> Callable[[], Awaitable[int]]:
            async def sync() -> int:
                await person.sync(since)
                return 1

            return sync

        def initial(person: Person) -> Callable[[], Awaitable[int]]:
            async def sync() -> int:
                await person.sync()
                return 1

            return sync

        def page(person: Person, room_id: str) -> Callable[[], Awaitable[int]]:
            async def messages() -> int:
                await person.messages(room_id, 100)
                return 1

            return messages

        tokens = [await _settled(person) for person in self._readers]
        empties = await self._loop("sync_empty", list(map(empty, self._readers, tokens)))
        initials = await self._loop("sync_initial", list(map(initial, self._readers)))
        rooms = [self._rooms[number % self._ROOMS] for number in range(_SENDERS)]
        pages = await self._loop("messages", list(map(page, self._readers, rooms)))
        return {"sync_empty": empties.rate, "sync_initial": initials.rate, "messages": pages.rate}


class FanOut(Scenario):
    """One sender writes as fast as the server takes it; so many people in the room wait in `/sync`.

    What counts are messages that arrived, once for each who got them. A client that is woken late gets several in one
    answer, as in life.
    """

    waiting: int

    async def prepare(self) -> None:
        [self._sender, *self._waiting] = await self._people(self.waiting + 1)
        self._room = await self._sender.create_room()
        await join_all(self._waiting, self._room)
        self._since = [await _settled(person) for person in self._waiting]

    async def measure(self, turn: int) -> dict[str, float]:
        free, steps = f"fan_out_{self.waiting}", f"fan_out_{self.waiting}_steps"
        return {free: await self._deliver(free, in_steps=False), steps: await self._deliver(steps, in_steps=True)}

    async def _deliver(self, row: str, *, in_steps: bool) -> float:
        received = [0] * self.waiting
        sent = 0
        behind = asyncio.Event()

        async def wait(number: int) -> None:
            person = self._waiting[number]
            while True:
                answer = await person.sync(self._since[number], timeout=30_000, filtered=LONG_TIMELINE)
                self._since[number] = next_batch(answer)
                received[number] += answer.count(MARK)
                if in_steps and received[number] >= sent and min(received) >= sent:
                    behind.set()

        async def send() -> int:
            nonlocal sent
            sent += 1
            behind.clear()
            await self._sender.send(self._room)
            if in_steps and min(received) < sent:
                await asyncio.wait_for(behind.wait(), _LOST_SECONDS)
            return 1

        waiters = [asyncio.create_task(wait(number)) for number in range(self.waiting)]
        await closed_loop([send], _WARM_UP)
        before = sum(received)
        begun = time.perf_counter()
        await self._measured(row, [send])
        delivered, seconds = sum(received) - before, time.perf_counter() - begun
        await self._all_arrived(received)
        for waiter in waiters:
            waiter.cancel()
        failures = [one for one in await asyncio.gather(*waiters, return_exceptions=True) if isinstance(one, Exception)]
        hang_up(self._waiting)
        if failures:
            raise failures[0]
        return delivered / seconds

    async def _all_arrived(self, received: list[int]) -> None:
        """Lets what is under way arrive, so that the next round begins with nothing owed."""
        for _ in range(60):
            before = sum(received)
            await asyncio.sleep(1.0)
            if sum(received) == before:
                break


class FanOut20(FanOut):
    rows = ("fan_out_20", "fan_out_20_steps")
    waiting = 20


class FanOut200(FanOut):
    rows = ("fan_out_200", "fan_out_200_steps")
    waiting = 200


class Account(Scenario):
    """Forty rooms of thirty members: what they weigh, and what a sync of the whole account takes just after a start.

    Somebody else, with one small room, syncs before the measured sync, so that loading code is not what is measured.
    """

    rows = ("account_initial", "account_changes", "memory_idle", "memory_worked", "disk", "disk_empty", "start")
    alone = True

    async def prepare(self) -> None:
        server, scale = self.server, self.scale
        server.stop()
        empty = server.disk_bytes()
        await server.start()
        await asyncio.sleep(scale.settle)
        self._once = {"disk_empty": empty / 1e6, "memory_idle": server.memory() / 1e6}
        people = await self._people(scale.account_members)
        self._one, self._other = people[0], (await self._people(1, turn=1))[0]
        await self._other.create_room()
        self._rooms = [await self._one.create_room() for _ in range(scale.account_rooms)]
        for room_id in self._rooms:
            await join_all(people[1:], room_id)
        self._members = people
        for number in range(scale.account_messages * scale.account_rooms):
            await people[number % len(people)].send(self._rooms[number % len(self._rooms)])
        await asyncio.gather(*(person.sync() for person in people))
        await asyncio.sleep(scale.settle)
        self._once["memory_worked"] = server.memory() / 1e6
        server.stop()
        self._once["disk"] = (server.disk_bytes() - empty) / 1e6
        await server.start()

    async def measure(self, turn: int) -> dict[str, float]:
        since = await self._measured_from_nothing()
        writer = self._members[1]
        for room_id in self._rooms:
            await writer.send(room_id)
        start = await self._fresh()
        begun = time.perf_counter()
        answer = await self._one.sync(since[1], filtered=LAZY)
        changes = time.perf_counter() - begun
        if answer.count(MARK) != len(self._rooms):
            raise AssertionError(f"{answer.count(MARK)} messages came, {len(self._rooms)} were sent")
        return {
            "account_initial": 1000 * since[0],
            "account_changes": 1000 * changes,
            "start": start,
            **self._once,
        }

    async def _measured_from_nothing(self) -> tuple[float, str]:
        await self._fresh()
        begun = time.perf_counter()
        answer = await self._one.sync(filtered=LAZY)
        return time.perf_counter() - begun, next_batch(answer)

    async def _fresh(self) -> float:
        """Restarts the server, and has its code loaded by somebody else's sync."""
        hang_up([*self._members, self._other])
        seconds = await self.server.restart()
        await self._other.sync(filtered=LAZY)
        await self._other.sync(next_batch(await self._other.sync(filtered=LAZY)), filtered=LAZY)
        return seconds


async def _settled(person: Person) -> str:
    """A token with nothing after it: what presence and the like have to say is heard out."""
    token = next_batch(await person.sync(filtered=LONG_TIMELINE))
    for _ in range(50):
        following = next_batch(await person.sync(token, timeout=50, filtered=LONG_TIMELINE))
        if following == token:
            break
        token = following
    return token
