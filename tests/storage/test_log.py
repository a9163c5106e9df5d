"""The log, as the only process sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.storage.conftest import Open
from tests.storage.heard import Heard, append, entry, started
from weft.storage import log as log_module
from weft.storage.database import Database
from weft.storage.log import Log, read_after
from weft.storage.positions import Entry, Vector


async def test_what_is_written_is_heard(database: Database) -> None:
    log, heard = await started(database, "one")
    assert log.head == Vector()
    for key in "abc":
        await database.write(append, key)
    assert heard.keys == ["a", "b", "c"]
    assert log.head == Vector({1: 3})
    since = log.since(Vector({1: 1}))
    assert since is not None
    assert [e.key for e in since] == ["b", "c"]
    assert log.since(Vector({1: 3})) == []
    assert log.since(Vector({1: 9})) == []
    assert log.since(Vector(), limit=2) is None


async def test_a_log_starts_at_its_end(open_one: Open) -> None:
    database = await open_one()
    log, _ = await started(database, "one")
    await database.write(append, "a")
    head = log.head
    await database.close()
    again = await open_one()
    log, heard = await started(again, "one")
    assert log.head == head
    assert heard.entries == []
    assert log.since(Vector()) is None, "history is looked up"
    assert [e.key for e in await again.read(read_after, Vector(), None, 10)] == ["a"]
    await again.write(append, "b")
    assert [e.key for e in log.since(head) or ()] == ["b"]


async def test_entries_are_taken_in_once(database: Database) -> None:
    log = Log(database)
    heard = Heard(log)
    log.publish([entry(1, 1), entry(1, 2)])
    log.publish([entry(1, 2), entry(2, 1), entry(1, 3)])
    log.publish([entry(1, 1)])
    assert heard.keys == ["1.1", "1.2", "2.1", "1.3"]
    assert log.head == Vector({1: 3, 2: 1})
    assert [e.key for e in log.since(Vector({1: 1})) or ()] == ["1.2", "2.1", "1.3"]
    assert [e.key for e in log.since(Vector({1: 3})) or ()] == ["2.1"]


async def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_RECENT", 10)
    log = Log(database)
    for number in range(1, 26):
        log.publish([entry(1 + number % 2, 1 + (number - 1) // 2)])
    head = log.head
    assert log.since(Vector()) is None
    for behind in range(11):
        vector = Vector({1: head.number(1) - behind // 2, 2: head.number(2) - (behind + 1) // 2})
        found = log.since(vector)
        assert found is not None
        assert sorted(e.position for e in found) == sorted(
            e.position
            for n in (1, 2)
            for i in range(1, 20)
            if (e := entry(n, i)).position in head and e.position not in vector
        )
    log.publish([entry(3, number) for number in range(1, 40)])
    assert [e.key for e in log.since(log.head.advanced([]), limit=5) or ()] == []
    assert log.since(head) is None


async def test_an_applier_that_fails_keeps_it_from_nobody(database: Database) -> None:
    log = Log(database)
    log.on_entries(_broken)
    heard = Heard(log)
    log.publish([entry(1, 1)])
    assert heard.keys == ["1.1"]
    assert log.head == Vector({1: 1})


def _broken(_: Sequence[Entry]) -> None:
    raise RuntimeError("broken applier")


async def test_waiting(database: Database) -> None:
    log = Log(database)
    waiting = [asyncio.create_task(log.wait("key", 10)), asyncio.create_task(log.wait("key", 10))]
    other = asyncio.create_task(log.wait("other", 0.01))
    anything = asyncio.create_task(log.wait_for_anything())
    await asyncio.sleep(0)
    assert log.is_waiting("key")
    assert set(log.waiting) == {"key", "other"}
    log.wake(["key", "nobody"])
    assert await asyncio.gather(*waiting) == [True, True]
    assert await other is False
    log.publish([entry(1, 1)])
    await anything
    assert not log.waiting
    given_up = asyncio.create_task(log.wait("key", 10))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert not log.waiting


async def test_alone_nobody_has_to_catch_up(database: Database) -> None:
    log, heard = await started(database, "one")
    await database.write(append, "a")
    await asyncio.gather(*(log.catch_up() for _ in range(5)))
    assert heard.keys == ["a"]
