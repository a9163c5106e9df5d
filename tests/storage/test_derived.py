"""Values kept until their rows change."""

from __future__ import annotations

import asyncio

import pytest

from weft.storage.cache import Cache
from weft.storage.derived import Derived


class Rows:
    """One row for each key, read slowly."""

    def __init__(self) -> None:
        self.values = {"a": 1}
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, key: str) -> int:
        self.reads += 1
        value = self.values[key]
        await self.gate.wait()
        return value


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def derived(rows: Rows) -> Derived[str, int]:
    return Derived(Cache("test", 1_000, lambda _: 1), rows.read)


async def test_a_value_is_read_once(rows: Rows, derived: Derived[str, int]) -> None:
    assert derived.now("a") is None
    assert [await derived.get("a"), await derived.get("a"), derived.now("a")] == [1, 1, 1]
    assert rows.reads == 1


@pytest.mark.parametrize("forget", ["drop", "clear"])
async def test_what_is_dropped_is_read_anew(rows: Rows, derived: Derived[str, int], forget: str) -> None:
    await derived.get("a")
    rows.values["a"] = 2
    derived.drop("a") if forget == "drop" else derived.clear()
    assert await derived.get("a") == 2


@pytest.mark.parametrize("forget", ["drop", "clear", "forget_readers"])
async def test_what_changes_while_it_is_read_is_not_kept(rows: Rows, derived: Derived[str, int], forget: str) -> None:
    rows.gate.clear()
    reading = asyncio.create_task(derived.get("a"))
    await asyncio.sleep(0)
    rows.values["a"] = 2
    derived.clear() if forget == "clear" else getattr(derived, forget)("a")
    second = asyncio.create_task(derived.get("a"))
    await asyncio.sleep(0)
    rows.gate.set()
    assert (await reading, await second) == (1, 2)
    assert derived.now("a") == 2


async def test_a_reading_that_fails_leaves_nothing(rows: Rows, derived: Derived[str, int]) -> None:
    with pytest.raises(KeyError):
        await derived.get("b")
    rows.values["b"] = 3
    assert await derived.get("b") == 3
    assert derived.now("b") == 3
