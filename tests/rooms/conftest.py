"""Engines on SQLite and on PostgreSQL, and twins: two engines that share one PostgreSQL database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.rooms.engines import check_database, start_engine
from weft.rooms.engine import Engine
from weft.storage.open import open_database

Start = Callable[..., Awaitable[Engine]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "postgres":
        given: str = request.getfixturevalue("postgres_database")
        return given
    return f"sqlite:{tmp_path / 'weft.db'}"


@pytest_asyncio.fixture
async def start(url: str) -> AsyncIterator[Start]:
    """Starts an engine; all are stopped after the test, and then the database is checked."""
    started: list[Engine] = []

    async def start_(name: str = "one", *, budget: int = 64 << 20) -> Engine:
        made = await start_engine(await open_database(url, []), name, budget=budget)
        started.append(made)
        return made

    yield start_
    for engine in started:
        await engine.stop()
    database = await open_database(url, [])
    await database.read(check_database)
    await database.close()


@pytest_asyncio.fixture
async def engine(start: Start) -> Engine:
    return await start()
