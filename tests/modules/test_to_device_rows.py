"""The rows of messages to devices, on both databases: which of them go when, and those of before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from weft.modules.to_device import inbox_store
from weft.modules.to_device.inbox_store import Arrived
from weft.storage import migrations
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.migrations import Migration, migrations_of
from weft.storage.open import open_database
from weft.storage.positions import WRITER_SHIFT, Vector

PACKAGE = "weft.modules.to_device"
BOB = "@bob:weft.test"
#: What clients may choose for the ids of their devices.
STRANGE = ['"', '","', "\\", 'A","B', "\n", "é", "a b"]
Open = Callable[[], Awaitable[Database]]


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    is_postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_database") if is_postgres else f"sqlite:{tmp_path / 'weft.db'}"
    opened: list[Database] = []

    async def open_() -> Database:
        opened.append(await open_database(url, [PACKAGE]))
        return opened[-1]

    yield open_
    for database in opened:
        await database.close()


def at(writer: int, number: int) -> int:
    return writer << WRITER_SHIFT | number


def arrived(position: int, stamp: int, messages: dict[str, Any]) -> Arrived:
    return Arrived(BOB, list(messages), position, stamp, inbox_store.encoded("@alice:weft.test", "m.test", messages))


def contents(tx: Transaction, device_id: str, since: Vector, upto: Vector, most: int = 100) -> tuple[list[Any], bool]:
    found, is_all = inbox_store.next_ones(tx, BOB, device_id, since, upto, most=most, most_bytes=1 << 20)
    return [msgspec.json.decode(message.json)["content"] for message in found], is_all


def counts(tx: Transaction) -> list[int]:
    return [tx.value(f"SELECT COUNT(*) FROM {table}") for table in ("to_device_waiting", "to_device_messages")]


async def test_rows_go_with_the_last_device(open_one: Open) -> None:
    database = await open_one()
    everything = Vector({1: 100})

    def write(tx: WriteTransaction) -> None:
        inbox_store.put(tx, [arrived(at(1, 1), 1, {device_id: {"for": device_id} for device_id in STRANGE})])

    await database.write(write)
    for left in range(len(STRANGE), 0, -1):
        device_id = STRANGE[left - 1]
        assert await database.read(contents, device_id, Vector(), everything) == ([{"for": device_id}], True)
        assert await database.read(inbox_store.is_waiting, BOB, device_id, Vector())
        assert await database.read(counts) == [1, 1]
        await database.write(inbox_store.remove, BOB, device_id, Vector(), everything)
        assert not await database.read(inbox_store.is_waiting, BOB, device_id, Vector())
    assert await database.read(counts) == [0, 0]


async def test_what_several_processes_took_in_is_told_in_the_order_of_arrival(open_one: Open) -> None:
    database = await open_one()
    # By turns, and the second process far ahead of the first.
    order = [(1 + index % 2, index // 2 + 1 + 500 * (index % 2)) for index in range(30)]

    def write(tx: WriteTransaction) -> None:
        inbox_store.put(tx, [arrived(at(*where), stamp, {"A": {"n": stamp}}) for stamp, where in enumerate(order)])
        inbox_store.put(tx, [arrived(at(1, 900), 900, {"B": {"n": 900}})])

    await database.write(write)
    everything = Vector({1: 1_000, 2: 1_000})
    told: list[int] = []
    since = Vector()
    for portion in range(1, 6):
        found, is_all = await database.read(
            inbox_store.next_ones, BOB, "A", since, everything, most=7, most_bytes=1 << 20
        )
        assert is_all is (portion == 5)
        told += [msgspec.json.decode(message.json)["content"]["n"] for message in found]
        since = since.advanced(message.position for message in found)
        await database.write(inbox_store.remove, BOB, "A", Vector(), since)
    assert told == list(range(30))
    assert await database.read(counts) == [1, 1]
    await database.write(inbox_store.remove_devices, BOB, ["A", "B"])
    assert await database.read(counts) == [0, 0]


async def test_what_waits_from_before_is_told(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def older(package: str) -> list[Migration]:
        return [one for one in migrations_of(package) if package != PACKAGE or one.number < 3]

    content = (
        b'{"text": "\\"content\\": \\u00e9 \\n","big":123456789012345678901234567890,"half":0.5,"deep":{"a":[{}]}}'
    )
    monkeypatch.setattr(migrations, "migrations_of", older)
    database = await open_one()

    def write(tx: WriteTransaction) -> None:
        for number, device_id in ((1, "A"), (1, '","'), (2, "A"), (3, "B")):
            tx.run(
                """INSERT INTO to_device_inbox (user_id, device_id, seq, position, sender, json)
                   VALUES (:user_id, :device_id, :number, :position, :sender, :json)""",
                user_id=BOB,
                device_id=device_id,
                number=number,
                position=at(1, number),
                sender="@alice:weft.test",
                json=b'{"content":%s,"sender":"@alice:weft.test","type":"m.\\"%d"}' % (content, number),
            )

    await database.write(write)
    await database.close()
    monkeypatch.undo()
    database = await open_one()
    everything = Vector({1: 3})
    for device_id, numbers in (("A", [1, 2]), ('","', [1]), ("B", [3])):
        found, _ = await database.read(
            inbox_store.next_ones, BOB, device_id, Vector(), everything, most=100, most_bytes=1 << 20
        )
        assert [msgspec.json.decode(message.json)["type"] for message in found] == [f'm."{n}' for n in numbers]
        assert all(b"123456789012345678901234567890" in message.json and b"0.5" in message.json for message in found)
        wanted = msgspec.json.decode(content)
        assert [msgspec.json.decode(message.json)["content"] for message in found] == [wanted] * len(numbers)
    await database.write(inbox_store.remove_devices, BOB, ["A", "B", '","'])
    assert await database.read(counts) == [0, 0]
