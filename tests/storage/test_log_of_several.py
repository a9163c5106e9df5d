"""The log of several processes: everybody sees every entry once, each writer's in the order of its numbers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.storage import synthetic
from tests.storage.conftest import Open
from tests.storage.heard import append, started
from weft.storage import log as log_module
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.events import StoredEvent, apply_redaction, by_id
from weft.storage.log import Log, heads, read_after
from weft.storage.positions import WRITER_SHIFT, Vector, split
from weft.storage.postgres import PostgresDatabase


@pytest.fixture
def url(postgres_database: str) -> str:
    return postgres_database


async def test_twins_see_each_others_entries_once_and_in_order(open_one: Open) -> None:
    one, other, third = [await open_one() for _ in range(3)]
    logs = [await started(database, f"p{i}") for i, database in enumerate((one, other, third))]
    rng = random.Random(7)

    async def work(database: Database, log: Log, name: str) -> None:
        for number in range(40):
            await database.write(append, f"{name}{number}")
            if rng.random() < 0.4:
                await log.catch_up()

    await asyncio.gather(
        *(work(database, log, name) for database, (log, _), name in zip((one, other, third), logs, "abc", strict=True)),
        *(work(one, logs[0][0], name) for name in "xy"),
    )
    for log, heard in logs:
        await log.catch_up()
        heard.check()
        assert sorted(map(str, heard.keys)) == sorted(f"{name}{n}" for name in "abcxy" for n in range(40))
        assert log.head == logs[0][0].head
    assert await one.read(heads) == logs[0][0].head


async def test_what_was_committed_before_the_call_is_seen_after_it(open_one: Open) -> None:
    one, other = await open_one(), await open_one()
    await started(one, "one")
    log, heard = await started(other, "other")

    async def write_then_look(key: str) -> None:
        await one.write(append, key)
        await log.catch_up()
        assert key in heard.keys

    await asyncio.gather(*(write_then_look(str(number)) for number in range(60)))
    heard.check()


async def test_callers_share_one_look(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await open_one(), await open_one()
    await started(one, "one")
    log, heard = await started(other, "other")
    looks = 0

    def counted(*args: object) -> object:
        nonlocal looks
        looks += 1
        return read_new(*args)

    read_new: Callable[..., object] = vars(log_module)["_read_new"]
    monkeypatch.setattr(log_module, "_read_new", counted)
    await one.write(append, "a")
    await asyncio.gather(*(log.catch_up() for _ in range(50)))
    assert looks <= 2
    assert heard.keys == ["a"]
    await log.catch_up(Vector({1: 1}))
    assert looks <= 2, "nothing is missing, so nobody looks"


async def test_a_long_absence_is_caught_up(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_BATCH", 7)
    one, other = await open_one(), await open_one()
    await started(one, "one")
    log, heard = await started(other, "other")
    await asyncio.gather(*(one.write(append, str(number)) for number in range(50)))
    await log.catch_up()
    assert heard.keys == [str(number) for number in range(50)]


async def test_entries_of_others_come_with_their_events(open_one: Open) -> None:
    one, other = await open_one(), await open_one()
    await started(one, "one")
    log, heard = await started(other, "other")

    def write(tx: WriteTransaction) -> None:
        room = synthetic.room(tx)
        synthetic.store(tx, room, synthetic.event("hello", content={"body": "hello"}))
        target = by_id(tx, "$hello")
        assert target is not None
        apply_redaction(tx, target, "$redaction")
        tx.append("test", key="$hello")

    await one.write(write)
    await log.catch_up()
    first, second, third = heard.entries
    assert isinstance(first.payload, StoredEvent)
    assert isinstance(second.payload, StoredEvent)
    assert (first.kind, first.payload.event.event_id) == ("event", "$hello")
    assert (second.kind, second.payload.redacted_by, second.payload.event.content) == ("redacted", "$redaction", {})
    assert (third.kind, third.payload) == ("test", None)


async def test_others_are_told(open_one: Open) -> None:
    one, other = await open_one(), await open_one()
    await started(one, "one")
    await started(other, "other")
    assert isinstance(other, PostgresDatabase)
    told = other.notifications()
    await anext(told)
    await one.write(append, "a")
    await asyncio.wait_for(anext(told), 5)
    await other.write(append, "b")
    nothing = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0.1)
    assert not nothing.done(), "what this process wrote itself is no news to it"
    nothing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await nothing


async def test_heads_and_reading_after_are_fair_to_all_writers(open_one: Open) -> None:
    database = await open_one()

    def fill(tx: WriteTransaction) -> None:
        for writer in (1, 2, 3):
            tx.run("INSERT INTO writers (writer, holder) VALUES (:writer, '')", writer=writer)
        rows = [{"position": writer << WRITER_SHIFT | n} for writer in (1, 3) for n in range(1, 30)]
        tx.many("INSERT INTO log (position, kind) VALUES (:position, 'x')", rows)

    await database.write(fill)
    assert await database.read(heads) == Vector({1: 29, 3: 29})

    def look(tx: Transaction) -> list[tuple[int, int]]:
        return [split(e.position) for e in read_after(tx, Vector({1: 5}), None, 2)]

    assert sorted(await database.read(look)) == [(1, 6), (1, 7), (3, 1), (3, 2)]
    assert await database.read(read_after, Vector({3: 29}), 1, 10) == []
