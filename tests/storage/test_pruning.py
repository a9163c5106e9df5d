"""Old entries that only woke somebody leave the log, and whoever reads on does not notice."""

from __future__ import annotations

from tests.storage.conftest import Open
from tests.storage.heard import append, started
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.log import Log, heads, read_after
from weft.storage.positions import Vector
from weft.storage.pruning import prune


def glance(tx: WriteTransaction, key: str) -> int:
    return tx.append("glance", key=key)


def keys(tx: Transaction) -> list[str | None]:
    return [entry.key for entry in read_after(tx, Vector(), None, 1_000)]


async def fill(database: Database) -> None:
    for number in range(10):
        await database.write(glance if number % 2 else append, str(number))


async def test_old_entries_of_the_kinds_go(database: Database) -> None:
    await fill(database)
    before = await database.read(heads)
    assert await prune(database, ["glance"], kept=3) == 3
    assert await database.read(keys) == ["0", "2", "4", "6", "7", "8", "9"]
    assert await database.read(heads) == before


async def test_what_was_gone_through_is_not_gone_through_again(database: Database) -> None:
    await fill(database)
    assert await prune(database, ["glance"], kept=3) == 3
    assert await prune(database, ["glance", "test"], kept=3) == 0
    await fill(database)
    assert await prune(database, ["glance"], kept=3) == 5


async def test_a_short_log_is_left_alone(database: Database) -> None:
    await fill(database)
    assert await prune(database, ["glance", "test"], kept=10) == 0
    assert len(await database.read(keys)) == 10


async def test_the_next_entry_is_numbered_as_if_nothing_was_gone(open_one: Open) -> None:
    database = await open_one()
    log, heard = await started(database, "one")
    await fill(database)
    assert await prune(database, ["glance", "test"], kept=1) == 9
    after_it = log.head
    await database.write(append, "next")
    heard.check()
    entries = await database.read(read_after, after_it, None, 10)
    assert [entry.key for entry in entries] == ["next"]
    assert await database.read(heads) == after_it.advanced([entries[0].position])


async def test_who_reads_from_before_the_gap_gets_the_rest(open_one: Open) -> None:
    database = await open_one()
    log, _ = await started(database, "one")
    start = log.head
    await fill(database)
    await prune(database, ["glance"], kept=1)
    fresh = Log(database)
    await fresh.start()
    assert fresh.since(start) is None
    assert [entry.key for entry in await database.read(read_after, start, None, 100)] == ["0", "2", "4", "6", "8", "9"]
