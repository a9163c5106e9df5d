"""Several servers that talk to each other: over the network in memory, and over HTTPS on loopback addresses.

A test that asks for `servers` runs on both. `await servers(2)` starts `one.test` and `two.test`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.federation.kit import HttpsKit, Kit, MemoryKit
from tests.watching import what_succeeds

__all__ = ["what_succeeds"]


@pytest_asyncio.fixture(params=["memory", "https"])
async def servers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    """Starts servers: `one, two = await servers(2)`; more of them later, if need be."""
    kind: Any = MemoryKit if request.param == "memory" else HttpsKit
    kit: Kit = kind(tmp_path)
    yield kit
    await kit.close()


@pytest_asyncio.fixture
async def memory_servers(tmp_path: Path) -> AsyncIterator[MemoryKit]:
    """The same over the network in memory alone, for tests that look at what travels or make it go wrong."""
    kit = MemoryKit(tmp_path)
    yield kit
    await kit.close()
