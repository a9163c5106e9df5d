"""A whole server for each test, and its watch: every answer is checked against the specification's schemas.

With `WEFT_TWINS=1` the same tests run against two servers that share one PostgreSQL database, each request going to one
of the two at random; `WEFT_SEED` chooses the course.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.spec import openapi
from weft.http.router import Router
from weft.protocol.api.client import ENDPOINTS
from weft.protocol.errors import MatrixError
from weft.testing import Answer, TestServer, Twins

TWINS = bool(os.environ.get("WEFT_TWINS"))
SEED = int(os.environ.get("WEFT_SEED", "1"))

_OPERATIONS: Router[str] = Router()
for _endpoint in ENDPOINTS:
    for _path in _endpoint.paths:
        _OPERATIONS.add(_endpoint.method, _path, _endpoint.operation_id)


def validated(method: str, path: str, answer: Answer) -> None:
    """Fails the test where an answer is not what the specification says, or the server is at fault."""
    assert answer.status < 500, f"{method} {path}: {answer.status} {answer.body[:500]!r}"
    try:
        operation = _OPERATIONS.find(method, path.partition("?")[0].encode()).target
    except MatrixError:
        return
    if answer.headers.get("content-type", "").startswith("application/json"):
        openapi.validate_response(operation, answer.status, answer.json)


Start = Callable[..., Awaitable[TestServer]]


@pytest_asyncio.fixture
async def start_server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Starts a server with settings of the test's own: `await start_server({"presence": {"enabled": False}})`."""
    started: list[TestServer] = []

    async def start(settings: dict[str, Any] | None = None) -> TestServer:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        chosen = dict(settings or {})
        if TWINS:
            chosen.setdefault("database", {"url": request.getfixturevalue("postgres_database")})
            server: TestServer = Twins(folder, settings=chosen, seed=SEED, watch=validated)
        else:
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
