"""A whole server for each test, and its watch: every answer is checked against the specification's schemas.

With `WEFT_TWINS=1` the same tests run against two servers that share one PostgreSQL database, each request going to one
of the two at random; `WEFT_SEED` chooses the course.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.watching import validated, what_succeeds
from weft.testing import TestServer, Twins

__all__ = ["what_succeeds"]

TWINS = bool(os.environ.get("WEFT_TWINS"))
SEED = int(os.environ.get("WEFT_SEED", "1"))

Start = Callable[..., Awaitable[TestServer]]


@pytest_asyncio.fixture
async def start_server(tmp_path: Path, weft_file: Path, request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Starts a server with settings of the test's own: `await start_server({"presence": {"enabled": False}})`."""
    started: list[TestServer] = []
    # Asked for here, it outlasts the servers.
    database = {"url": request.getfixturevalue("weft_database")} if TWINS else None

    async def start(settings: dict[str, Any] | None = None) -> TestServer:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        chosen = dict(settings or {})
        if database is not None:
            chosen.setdefault("database", database)
            server: TestServer = Twins(folder, settings=chosen, seed=SEED, watch=validated)
        else:
            shutil.copy(weft_file, folder)
            server = TestServer(folder, settings=chosen, seed=SEED, watch=validated)
        started.append(server)
        await server.start()
        return server

    yield start
    for server in started:
        await server.stop()


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    """A server with the settings that suit tests."""
    return await start_server()
