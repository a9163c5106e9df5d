"""A whole server for each test, and its watch: every answer is checked against the specification's schemas.

With `WEFT_TWINS=1` the same tests run against two servers that share one PostgreSQL database, each request going to one
of the two at random; `WEFT_SEED` chooses the course.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.spec import openapi
from weft.http.router import Router
from weft.protocol.api import client, federation
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.errors import MatrixError
from weft.testing import Answer, TestServer, Twins

TWINS = bool(os.environ.get("WEFT_TWINS"))
SEED = int(os.environ.get("WEFT_SEED", "1"))

_OPERATIONS: Router[Endpoint[Any, Any]] = Router()
for _endpoint in (*client.ENDPOINTS, *federation.ENDPOINTS):
    for _path in _endpoint.paths:
        _OPERATIONS.add(_endpoint.method, _path, _endpoint)

_succeeded: set[str] = set()
_shown_by: dict[str, set[str]] = defaultdict(set)
for _operation, _test in json.loads((Path(__file__).parents[1] / "spec" / "proof.json").read_bytes()).items():
    _shown_by[_test].add(_operation)


def validated(method: str, path: str, answer: Answer) -> None:
    """Fails the test where an answer is not what the specification says, or the server is at fault.

    That another server could not be reached, or answered wrongly, is nobody's fault here.
    """
    assert answer.status < 500 or answer.status in (502, 503, 504), f"{method} {path}: {answer.body[:500]!r}"
    try:
        endpoint = _OPERATIONS.find(method, path.partition("?")[0].encode()).target
    except MatrixError:
        return
    if answer.status < 400:
        _succeeded.add(endpoint.name)
    if answer.headers.get("content-type", "").startswith("application/json"):
        openapi.validate_response(endpoint.operation_id, answer.status, answer.json, endpoint.api.value)


@pytest.fixture(autouse=True)
def _what_succeeds(request: pytest.FixtureRequest) -> Iterator[None]:
    _succeeded.clear()
    yield
    test = request.node.nodeid
    if calls := os.environ.get("WEFT_CALLS"):
        with Path(calls).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, "operations": sorted(_succeeded)}) + "\n")
    missing = _shown_by[test] - _succeeded
    assert not missing, f"tests/spec/proof.json takes this test for the proof of {sorted(missing)}"


Start = Callable[..., Awaitable[TestServer]]


@pytest_asyncio.fixture
async def start_server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Start]:
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
