"""Writes are grouped, and each is its own affair."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from tests.storage.conftest import Open
from weft.storage.database import Database, DatabaseError, Transaction, UniqueViolation, WriteTransaction
from weft.storage.log import Log
from weft.storage.migrations import migrate
from weft.storage.open import open_database
from weft.storage.positions import NUMBER_MASK, Entry, split
from weft.storage.postgres import PostgresDatabase


def append(tx: WriteTransaction, key: str) -> int:
    return tx.append("test", key=key)


def append_and_fail(tx: WriteTransaction, key: str) -> None:
    tx.append("test", key=key)
    tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES (:name, 'x', 0)", name=key)
    raise ValueError(key)


def append_a_twin(tx: WriteTransaction, key: str) -> None:
    tx.append("test", key=key)
    tx.put("INSERT INTO runs (run, holder) VALUES (1, :key), (1, :key)", key=key)


def append_what_does_not_fit(tx: WriteTransaction, key: str) -> None:
    tx.append("test", key=key)
    tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES (:name, NULL, 0)", name=key)


def logged(tx: Transaction) -> list[tuple[int, str]]:
    rows = tx.all("SELECT position, key FROM log ORDER BY position")
    return [(position & NUMBER_MASK, key) for position, key in rows]


async def test_one_that_fails_undoes_itself_alone(database: Database) -> None:
    heard: list[Entry] = []
    database.on_commit = heard.extend
    futures: list[asyncio.Future[Any]] = [
        database.submit(append, "a"),
        database.submit(append_and_fail, "b"),
        database.submit(append, "c"),
        database.submit(append_a_twin, "d"),
        database.submit(append_what_does_not_fit, "e"),
        database.submit(append, "f"),
    ]
    a, b, c, d, e, f = await asyncio.gather(*futures, return_exceptions=True)
    assert [split(one)[1] for one in (a, c, f) if isinstance(one, int)] == [1, 2, 3]
    assert isinstance(b, ValueError)
    assert isinstance(d, UniqueViolation)
    assert d.table == "runs"
    assert isinstance(e, DatabaseError)
    assert await database.read(logged) == [(1, "a"), (2, "c"), (3, "f")]
    assert [(split(entry.position)[1], entry.key) for entry in heard] == [(1, "a"), (2, "c"), (3, "f")]
    assert await database.read(lambda tx: tx.all("SELECT name FROM leases")) == []


@pytest.mark.parametrize("bad", [append_and_fail, append_a_twin, append_what_does_not_fit])
async def test_one_that_fails_by_itself_leaves_no_gap(database: Database, bad: object) -> None:
    assert callable(bad)
    with pytest.raises((ValueError, UniqueViolation, DatabaseError)):
        await database.write(bad, "x")
    await database.write(append, "a")
    assert await database.read(logged) == [(1, "a")]
    assert database.writer is not None
    assert database.writer.number == 1


async def test_writes_run_in_the_order_of_the_queue(database: Database) -> None:
    ended: list[int] = []
    futures = [database.submit(append, str(number)) for number in range(300)]
    for future in futures:
        future.add_done_callback(lambda future: ended.append(split(future.result())[1] - 1))
    await asyncio.gather(*futures)
    await asyncio.sleep(0)
    assert ended == list(range(300))
    assert await database.read(logged) == [(number + 1, str(number)) for number in range(300)]


async def test_the_log_hears_before_the_caller_goes_on(database: Database) -> None:
    heard: list[str | None] = []
    database.on_commit = lambda entries: heard.extend(entry.key for entry in entries)

    async def write(key: str) -> None:
        await database.write(append, key)
        assert key in heard

    await asyncio.gather(*(write(str(number)) for number in range(50)))
    assert sorted(str(key) for key in heard) == sorted(str(number) for number in range(50))


async def test_what_is_acknowledged_can_be_read(database: Database) -> None:
    async def write_and_read(key: str) -> None:
        await database.write(append, key)
        assert key in [found for _, found in await database.get(logged)]
        assert key in [found for _, found in await database.read(logged)]

    await asyncio.gather(*(write_and_read(str(number)) for number in range(20)))


async def test_a_caller_that_gives_up_does_not_undo(database: Database) -> None:
    task = asyncio.create_task(database.write(append, "a"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(append, "b")
    assert await database.read(logged) == [(1, "a"), (2, "b")]


async def test_a_write_that_is_taken_back_before_its_turn_is_left_out(database: Database) -> None:
    database.submit(append, "a")
    # Only the embedded database can still take one back: there the queue is not looked at before the loop goes on.
    if not database.shared:
        taken_back = database.submit(append, "b")
        taken_back.cancel()
    await database.write(append, "c")
    assert await database.read(logged) == [(1, "a"), (2, "c")]


async def test_a_listener_that_fails_stops_nobody(database: Database) -> None:
    def broken(entries: Sequence[Entry]) -> None:
        raise RuntimeError("broken listener")

    database.on_commit = broken
    await database.write(append, "a")
    await database.write(append, "b")
    assert await database.read(logged) == [(1, "a"), (2, "b")]


async def test_what_has_no_writer_can_not_append(open_one: Open) -> None:
    database = await open_one()
    with pytest.raises(RuntimeError, match="writer"):
        await database.write(append, "a")


async def test_closing_finishes_what_waits(open_one: Open, url: str) -> None:
    database = await open_one()
    await database.become_writer("test")
    futures = [database.submit(append, str(number)) for number in range(100)]
    await database.close()
    assert all(future.done() for future in futures)
    with pytest.raises(DatabaseError, match="closed"):
        await database.write(append, "late")
    again = await open_one()
    assert len(await again.read(logged)) == 100


async def test_a_reader_sees_one_moment(database: Database) -> None:
    """A read that goes on while others write sees nothing of that."""
    loop = asyncio.get_running_loop()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        before = tx.value("SELECT COUNT(*) FROM log")
        asyncio.run_coroutine_threadsafe(database.write(append, "x"), loop).result(timeout=10)
        return before, tx.value("SELECT COUNT(*) FROM log")

    assert await database.read(look_twice) == (0, 0)
    assert await database.read(lambda tx: tx.value("SELECT COUNT(*) FROM log")) == 1


async def test_a_read_that_fails_leaves_nothing_open(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        tx.all("SELECT 1")
        raise ValueError("failed")

    for _ in range(10):
        with pytest.raises(ValueError, match="failed"):
            await database.read(fail)
        with pytest.raises(DatabaseError):
            await database.get(lambda tx: tx.all("SELECT nothing FROM nowhere"))
    assert await database.get(logged) == []


async def test_a_number_that_fits_nowhere_is_refused(database: Database) -> None:
    with pytest.raises((DatabaseError, OverflowError)):
        await database.write(lambda tx: tx.run("UPDATE rooms SET snapshot = :n WHERE room = 1", n=1 << 70))
    await database.write(append, "a")


# -- several processes


async def test_writers_differ(postgres_database: str) -> None:
    databases = [PostgresDatabase(postgres_database) for _ in range(3)]
    await migrate(databases[0], ["weft.storage"])
    writers = await asyncio.gather(*(database.become_writer(f"p{i}") for i, database in enumerate(databases)))
    assert sorted(writer.id for writer in writers) == [1, 2, 3]
    await databases[1].write(append, "a")
    await databases[1].close()
    again = PostgresDatabase(postgres_database)
    writer = await again.become_writer("again")
    assert writer.id == writers[1].id
    assert writer.number == 1
    for database in (databases[0], databases[2], again):
        await database.close()


async def test_two_processes_that_wait_for_each_other_both_get_through(postgres_database: str) -> None:
    one, other = [await open_database(postgres_database, []) for _ in range(2)]

    def make(tx: WriteTransaction) -> None:
        for name in "ab":
            tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES (:name, '', 0)", name=name)

    def touch(tx: WriteTransaction, name: str) -> None:
        tx.run("UPDATE leases SET expires_ms = expires_ms + 1 WHERE name = :name", name=name)
        tx.all("SELECT pg_sleep(0.02)")

    def touch_both(tx: WriteTransaction, names: str) -> None:
        for name in names:
            touch(tx, name)

    await one.write(make)
    # Groups that touch the two rows in opposite orders, and single writes that do.
    await asyncio.gather(
        *(one.write(touch, name) for name in "abab"),
        *(other.write(touch, name) for name in "baba"),
    )
    await asyncio.gather(*(one.write(touch_both, "ab") for _ in range(3)), other.write(touch_both, "ba"))
    assert await one.read(lambda tx: tx.all("SELECT expires_ms FROM leases")) == [(8,), (8,)]
    await one.close()
    await other.close()


async def test_a_lost_connection_is_made_anew_and_nothing_acknowledged_is_lost(postgres_database: str) -> None:
    database = await open_database(postgres_database, [])
    await database.become_writer("test")
    log = Log(database)
    await log.start()
    heard: list[Entry] = []
    log.on_entries(heard.extend)
    acknowledged: list[str] = []
    stop = False

    async def keep_writing(name: str) -> None:
        number = 0
        while not stop:
            number += 1
            try:
                await database.write(append, f"{name}{number}")
                acknowledged.append(f"{name}{number}")
            except DatabaseError:
                await asyncio.sleep(0.01)

    async def keep_trying(key: str) -> None:
        while True:
            with contextlib.suppress(DatabaseError):
                await database.write(append, key)
                return

    async def keep_cutting() -> None:
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            for _ in range(8):
                await asyncio.sleep(0.05)
                await asyncio.to_thread(
                    connection.execute,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )

    tasks = [asyncio.create_task(keep_writing(name)) for name in "abcd"]
    await keep_cutting()
    stop = True
    await asyncio.gather(*tasks)
    await keep_trying("last")
    rows = await database.read(lambda tx: tx.all("SELECT position, key FROM log ORDER BY position"))
    keys = [key for _, key in rows]
    assert [key for key in acknowledged if key not in set(keys)] == []
    assert [position for position, _ in rows] == [entry.position for entry in sorted(heard)]
    assert len(keys) == len(set(keys))
    by_writer: dict[int, list[int]] = {}
    for entry in heard:
        writer, number = split(entry.position)
        by_writer.setdefault(writer, []).append(number)
    for numbers in by_writer.values():
        assert numbers == list(range(1, len(numbers) + 1))
    await database.close()
