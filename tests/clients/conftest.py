"""Unmodified clients against a real server: what the tests of all of them may ask for.

`weft` is one server for the whole run; tests make accounts of their own on it. `weft_alone` is one that a test has for
itself and may stop, start and set as it likes. A test fails if the server logged an error meanwhile.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import pytest_asyncio
from nio import AsyncClient

from tests.clients.nio_people import register
from tests.clients.running import RunningWeft

FOLDER = Path(__file__).parent
Starter = Callable[..., RunningWeft]
Person = Callable[[str], Awaitable[AsyncClient]]


@pytest.fixture(scope="session")
def _weft_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWeft]:
    server = RunningWeft(tmp_path_factory.mktemp("weft"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def weft(_weft_for_all: RunningWeft) -> Iterator[RunningWeft]:
    """A server that is shared with the other tests."""
    before = len(_weft_for_all.log())
    yield _weft_for_all
    _no_errors(_weft_for_all.log()[before:])


@pytest.fixture
def start_weft(tmp_path: Path) -> Iterator[Starter]:
    """Starts servers of this test's own: `start_weft({"registration.mode": "token", ...})`.

    `public`: it knows the address at which clients reach it.
    """
    started: list[RunningWeft] = []

    def start(sets: dict[str, str] | None = None, *, public: bool = False) -> RunningWeft:
        port = _free_port() if public else 0
        if public:
            sets = {**(sets or {}), "server.public_url": f"http://127.0.0.1:{port}"}
        server = RunningWeft(tmp_path / f"weft-{len(started)}", sets, port=port)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
        _no_errors(server.log())


@pytest.fixture
def weft_alone(start_weft: Starter) -> RunningWeft:
    """A server of this test's own."""
    return start_weft()


@pytest.fixture
def name() -> Callable[[str], str]:
    """A user name that no other test has: `name("alice")`."""
    suffix = secrets.token_hex(4)
    return lambda localpart: f"{localpart}-{suffix}"


@pytest.fixture(scope="session")
def node() -> None:
    """Node with the packages of package-lock.json. Without it tests are skipped, or fail with WEFT_REQUIRE_CLIENTS."""
    if shutil.which("node") is None or not (FOLDER / "node_modules").exists():
        _missing("Node and its packages are not installed (make test-clients does that)")


@pytest.fixture(scope="session")
def browser(node: None) -> str:
    """Where Chromium is. Without it as without Node."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        _missing("Chromium is not installed (make test-clients does that where it may)")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _missing(reason: str) -> NoReturn:
    if os.environ.get("WEFT_REQUIRE_CLIENTS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest_asyncio.fixture
async def person(weft: RunningWeft, name: Callable[[str], str]) -> AsyncIterator[Person]:
    """Makes people who use matrix-nio: `await person("alice")`."""
    people: list[AsyncClient] = []

    async def make(localpart: str) -> AsyncClient:
        people.append(await register(weft.url, name(localpart)))
        return people[-1]

    yield make
    for each in people:
        await each.close()


@pytest_asyncio.fixture
async def alice(person: Person) -> AsyncClient:
    return await person("alice")


@pytest_asyncio.fixture
async def bob(person: Person) -> AsyncClient:
    return await person("bob")


@pytest_asyncio.fixture
async def carol(person: Person) -> AsyncClient:
    return await person("carol")


def _no_errors(log: str) -> None:
    wrong = [line for line in log.splitlines() if "[error" in line or line.startswith("ERROR") or "Traceback" in line]
    assert not wrong, log
