"""Several servers that talk to each other: over the network in memory, and over HTTPS on loopback addresses.

A test that asks for `servers` runs on both. `await servers(2)` starts `one.test` and `two.test`; with `WEFT_TWINS=1`
the first of them is two processes that share one PostgreSQL database, and tests for which that makes no difference are
left out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.federation.kit import HttpsKit, Kit, MemoryKit
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim
from tests.watching import validated, what_succeeds
from weft.testing import Client, TestServer

__all__ = ["what_succeeds"]

TWINS = bool(os.environ.get("WEFT_TWINS"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not TWINS:
        return
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    same = [item for item in here if "twins_database" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=same)
    items[:] = [item for item in items if item not in same]


@pytest.fixture
def twins_database(request: pytest.FixtureRequest) -> str | None:
    """The database of the first server, where that is two processes."""
    return request.getfixturevalue("weft_database") if TWINS else None


@pytest_asyncio.fixture(params=["memory", "https"])
async def servers(
    request: pytest.FixtureRequest, tmp_path: Path, twins_database: str | None, weft_file: Path
) -> AsyncIterator[Kit]:
    """Starts servers: `one, two = await servers(2)`; more of them later, if need be."""
    kind: Any = MemoryKit if request.param == "memory" else HttpsKit
    kit: Kit = kind(tmp_path, twins_database, weft_file)
    yield kit
    await kit.close()


@pytest_asyncio.fixture
async def memory_servers(tmp_path: Path, twins_database: str | None, weft_file: Path) -> AsyncIterator[MemoryKit]:
    """The same over the network in memory alone, for tests that look at what travels or make it go wrong."""
    kit = MemoryKit(tmp_path, twins_database, weft_file)
    yield kit
    await kit.close()


@pytest_asyncio.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def victim(request: pytest.FixtureRequest, tmp_path: Path, weft_file: Path) -> AsyncIterator[Victim]:
    """One server, on either kind of database, whose requests are counted."""
    settings: dict[str, Any] = {}
    if request.param == "postgres":
        settings["database"] = {"url": request.getfixturevalue("weft_database")}
    else:
        shutil.copy(weft_file, tmp_path)
    server = TestServer(tmp_path, settings=settings, watch=validated)
    await server.start()
    yield Victim(server)
    await server.network.settle()
    await server.stop()


@pytest.fixture
def stranger(victim: Victim) -> Stranger:
    """A server that has keys, and means ill."""
    return Stranger(victim.server)


@pytest_asyncio.fixture
async def alice(victim: Victim) -> Client:
    return await victim.server.user("alice")
