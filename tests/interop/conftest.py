"""Synapse and two Wefts, started once for all conversations.

A test fails if a server logged an error meanwhile, or (unless it is marked `refusals`) refused an event that another
sent it. Without Synapse the tests
are skipped, or fail with `WEFT_REQUIRE_SYNAPSE`.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from benchmarks.side_by_side.synapse import VERSION

from tests.http.certificates import make_certificate
from tests.interop.homeservers import VENV, Homeserver, Synapse, Weft, trusting
from tests.interop.people import Society
from weft.http.serve import Tls

#: What no server may write while people only do what they may.
_WRONG = re.compile(r"Traceback|\[error|\[critical| - ERROR| - CRITICAL|refuses a transaction")
_REFUSED = re.compile(r"a server refused an event")


class Pair(NamedTuple):
    """Two servers: the one where a room begins, and the one that comes to it."""

    host: Homeserver
    guest: Homeserver


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(*make_certificate(tmp_path_factory.mktemp("tls") / "tls", "localhost", addresses=["127.0.0.1"]))


@pytest.fixture(scope="session")
def trust(tls: Tls) -> ssl.SSLContext:
    return trusting(tls)


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[Homeserver]:
    if not (VENV / f"synapse-{VERSION}").exists():
        reason = "Synapse is not installed (make test-interop does that where it may)"
        if os.environ.get("WEFT_REQUIRE_SYNAPSE"):
            pytest.fail(reason)
        pytest.skip(reason)
    server = Synapse(tmp_path_factory.mktemp("synapse") / "data", tls, VENV / "bin" / "python")
    server.prepare()
    asyncio.run(server.start())
    yield server
    server.stop()


def _weft(folder: Path, tls: Tls, host: str) -> Iterator[Homeserver]:
    server = Weft(folder, tls, host)
    asyncio.run(server.start())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def weft(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[Homeserver]:
    """A Weft that has a host's name."""
    yield from _weft(tmp_path_factory.mktemp("weft"), tls, "localhost")


@pytest.fixture(scope="session")
def second_weft(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[Homeserver]:
    """Another, whose name is an IP address."""
    yield from _weft(tmp_path_factory.mktemp("second-weft"), tls, "127.0.0.1")


@pytest.fixture(params=["weft", "synapse"])
def pair(request: pytest.FixtureRequest, weft: Homeserver, synapse: Homeserver) -> Pair:
    """Weft and Synapse, each once as the host."""
    return Pair(weft, synapse) if request.param == "weft" else Pair(synapse, weft)


@pytest_asyncio.fixture
async def person(trust: ssl.SSLContext) -> AsyncIterator[Society]:
    """Makes people: `await person("alice", weft)`."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as web:
        yield Society(web, trust)


@pytest.fixture(autouse=True)
def _nothing_wrong_in_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    servers: list[Homeserver] = [
        request.getfixturevalue(name) for name in ("weft", "second_weft", "synapse") if name in request.fixturenames
    ]
    before = [len(server.log()) for server in servers]
    allowed = request.node.get_closest_marker("refusals") is not None
    yield
    for server, length in zip(servers, before, strict=True):
        lines = server.log()[length:].splitlines()
        wrong = [line for line in lines if _WRONG.search(line) or (not allowed and _REFUSED.search(line))]
        assert not wrong, f"{server.server_name} logged:\n" + "\n".join(wrong[:20])
