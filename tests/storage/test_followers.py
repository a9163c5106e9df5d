"""Followers: each handles every entry, also after a crash, and in one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.storage.conftest import Open
from tests.storage.heard import append
from weft.storage import followers, leases
from weft.storage.database import Database
from weft.storage.followers import Follower, Following
from weft.storage.log import Log
from weft.storage.open import open_database
from weft.storage.positions import Entry, Vector


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Recorder:
    """Handles entries by noting them; fails as often as it is told to."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.failures = 0

    async def __call__(self, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("asked to fail")
        self.keys.extend(entry.key for entry in entries)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(followers, "_LEASE_MS", 300)


class Process:
    """A database with a log, and a follower that runs on it."""

    def __init__(self, database: Database, log: Log, following: Following) -> None:
        self.database, self.log, self.following = database, log, following
        self.task = asyncio.create_task(following.run())

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def write(self, *keys: str) -> None:
        await asyncio.gather(*(self.database.write(append, key) for key in keys))


@contextlib.asynccontextmanager
async def process(
    database: Database,
    recorder: Recorder,
    name: str = "one",
    clock: Clock | None = None,
    *,
    from_beginning: bool = True,
) -> AsyncIterator[Process]:
    await database.become_writer(name)
    log = Log(database)
    await log.start()
    follower = Follower("test", {"test"}, recorder, from_beginning=from_beginning)
    made = Process(database, log, Following(follower, database, log, name, clock or Clock()))
    yield made
    await made.crash()


async def settle(made: Process) -> None:
    await asyncio.wait_for(made.following.caught_up(made.log.head), 10)


async def test_every_entry_is_handled_in_order(open_one: Open) -> None:
    recorder = Recorder()
    async with process(await open_one(), recorder) as made:
        await made.write("a", "b")
        await settle(made)
        await made.database.write(lambda tx: tx.append("something else", key="x"))
        await made.write("c")
        await settle(made)
    assert recorder.keys == ["a", "b", "c"]


async def test_a_failure_is_tried_again(open_one: Open) -> None:
    recorder = Recorder()
    recorder.failures = 2
    async with process(await open_one(), recorder) as made:
        await made.write("a", "b")
        await settle(made)
    assert recorder.keys == ["a", "b"]


async def test_after_a_crash_it_goes_on_where_it_was(open_one: Open) -> None:
    recorder = Recorder()
    database = await open_one()
    async with process(database, recorder) as made:
        await made.write("a")
        await settle(made)
        recorder.failures = 10_000
        await made.write("b", "c")
        await asyncio.sleep(0.05)
    recorder.failures = 0
    await database.write(append, "d")
    assert recorder.keys == ["a"]
    async with process(database, recorder) as made:
        await settle(made)
    assert recorder.keys == ["a", "b", "c", "d"]


async def test_what_crashed_between_its_work_and_its_cursor_works_again(open_one: Open) -> None:
    recorder = Recorder()
    handled = asyncio.Event()

    async def handle_and_hang(entries: Sequence[Entry]) -> None:
        await recorder(entries)
        handled.set()
        await asyncio.sleep(60)

    database = await open_one()
    await database.become_writer("one")
    log = Log(database)
    await log.start()
    hanging = Following(Follower("test", {"test"}, handle_and_hang), database, log, "one", Clock())
    task = asyncio.create_task(hanging.run())
    await database.write(append, "a")
    await asyncio.wait_for(handled.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with process(database, recorder) as made:
        await settle(made)
    assert recorder.keys == ["a", "a"]


async def test_one_that_starts_at_the_end(open_one: Open) -> None:
    recorder = Recorder()
    database = await open_one()
    async with process(database, recorder, from_beginning=False):
        await asyncio.sleep(0.05)
    await database.write(append, "while it was away, in a log that was empty")
    async with process(database, recorder, from_beginning=False) as made:
        await settle(made)
    assert recorder.keys == ["while it was away, in a log that was empty"]


async def test_one_that_is_far_behind_reads_the_log_from_disk(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_BATCH", 7)
    recorder = Recorder()
    database = await open_one()
    await database.become_writer("one")
    await asyncio.gather(*(database.write(append, str(number)) for number in range(60)))
    async with process(database, recorder) as made:
        await settle(made)
        await made.write(*(str(number) for number in range(60, 90)))
        await settle(made)
    assert recorder.keys == [str(number) for number in range(90)]


async def test_a_cursor_does_not_go_back(open_one: Open) -> None:
    database = await open_one()
    await database.write(followers.save_cursor, "test", Vector({1: 5, 2: 2}))
    await database.write(followers.save_cursor, "test", Vector({1: 3, 2: 4}))
    assert await database.read(followers.cursor, "test") == Vector({1: 5, 2: 4})
    assert await database.read(followers.cursor, "other") == Vector()


async def test_another_process_takes_over(postgres_database: str) -> None:
    one, other = await open_database(postgres_database, []), await open_database(postgres_database, [])
    clock = Clock()
    first, second = Recorder(), Recorder()
    async with process(one, first, "one", clock) as made, process(other, second, "other", clock) as standby:
        await made.write("a", "b")
        await settle(made)
        assert (first.keys, second.keys) == (["a", "b"], [])
        # The first one dies, and its lease runs out.
        await made.crash()
        await made.write("c")
        await asyncio.sleep(0.05)
        assert second.keys == []
        clock.now += 301
        await standby.log.catch_up()
        await asyncio.wait_for(standby.following.caught_up(standby.log.head), 10)
        assert second.keys == ["c"]
        # What one process handled, the other need not wait for.
        await asyncio.wait_for(made.following.caught_up(standby.log.head), 10)
        assert first.keys == ["a", "b"]
    await one.close()
    await other.close()


async def test_a_lease_that_is_given_up_moves_at_once(postgres_database: str) -> None:
    one, other = await open_database(postgres_database, []), await open_database(postgres_database, [])
    clock = Clock()
    first, second = Recorder(), Recorder()
    async with process(one, first, "one", clock) as made:
        await made.write("a")
        await settle(made)
        async with process(other, second, "other", clock) as standby:
            await made.crash()
            await made.following.release()
            await standby.write("b")
            await settle(standby)
    assert (first.keys, second.keys) == (["a"], ["b"])
    await one.close()
    await other.close()


async def test_one_that_lost_its_lease_stops(postgres_database: str) -> None:
    database = await open_database(postgres_database, [])
    clock = Clock()
    recorder = Recorder()
    async with process(database, recorder, "one", clock) as made:
        await made.write("a")
        await settle(made)
        clock.now += 10_000
        assert await database.write(leases.take, "follower/test", "somebody else", now_ms=clock.now, for_ms=10_000)
        await asyncio.sleep(0.3)
        await made.write("b")
        await asyncio.sleep(0.1)
        assert recorder.keys == ["a"]
    await database.close()
