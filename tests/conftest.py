"""What every test may ask for: a PostgreSQL database of its own, and the machine-readable specification.

`postgres_database` is the URL of an empty database made for one test, `weft_database` that of one in which Weft's
tables are made already, `weft_file` an embedded one to be copied. The cluster behind the former is started once in a
run, by whichever worker needs it first. `WEFT_TEST_POSTGRES` names a server to use instead. Without PostgreSQL these
tests are skipped, unless `WEFT_REQUIRE_POSTGRES` is set.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from tests.databases import Pool, new_database, url_of
from weft.server.modules import TABLES
from weft.storage.open import open_database

# A busy machine is nobody's fault. CI looks at the same examples each time, so that it says the same of the same tree.
settings.register_profile("weft", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "weft"))

ROOT = Path(__file__).parents[1]
_RUN = "WEFT_TEST_RUN"
_NOT_INSTALLED = 3


def pytest_configure() -> None:
    """Workers inherit the number of the run: the process that started it."""
    os.environ.setdefault(_RUN, str(os.getpid()))


@pytest.fixture(scope="session")
def spec() -> Path:
    """The folder of the specification's OpenAPI files and event schemas."""
    folder = Path(os.environ.get("WEFT_SPEC", ROOT.parent / "shared" / "spec"))
    if not (folder / "endpoints.json").exists():
        pytest.skip(f"the specification's files are not at {folder} (WEFT_SPEC names their folder)")
    return folder


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The URL of a PostgreSQL server on which tests may make and drop databases."""
    if given := os.environ.get("WEFT_TEST_POSTGRES"):
        return given
    folder = Path(tempfile.gettempdir()) / f"weft-postgres-{os.environ[_RUN]}"
    with Path(f"{folder}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        url = lock.read()
        if not url:
            url = _start_cluster(folder)
            lock.write(url)
    return url


@pytest.fixture(scope="session")
def _postgres_admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgres_database(postgres_url: str, _postgres_admin: psycopg.Connection) -> Iterator[str]:
    """The URL of an empty database that goes away after the test."""
    with new_database(postgres_url, _postgres_admin, "template0") as name:
        yield url_of(postgres_url, name)


@pytest.fixture
def weft_database(_weft_databases: Pool) -> Iterator[str]:
    """The URL of a database with Weft's tables, empty, for this test alone."""
    with _weft_databases.database() as url:
        yield url


@pytest.fixture(scope="session")
def weft_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded database with Weft's tables, empty, to be copied."""
    file = tmp_path_factory.mktemp("template") / "weft.db"
    _aside(f"sqlite:{file}")
    return file


@pytest.fixture(scope="session")
def _weft_databases(postgres_url: str, _postgres_admin: psycopg.Connection) -> Iterator[Pool]:
    with new_database(postgres_url, _postgres_admin, "template0") as template:
        _aside(url_of(postgres_url, template))
        pool = Pool(postgres_url, _postgres_admin, template)
        yield pool
        pool.close()


def _aside(url: str) -> None:
    """Makes Weft's tables. A fixture may be asked for while an event loop runs."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, _migrate(url)).result()


async def _migrate(url: str) -> None:
    await (await open_database(url, TABLES)).close()


def pytest_unconfigure() -> None:
    run = os.environ[_RUN]
    if run == str(os.getpid()):
        Path(tempfile.gettempdir(), f"weft-postgres-{run}.lock").unlink(missing_ok=True)


def _start_cluster(folder: Path) -> str:
    tool = ROOT / "scripts" / "postgres_cluster.py"
    done = subprocess.run(
        [sys.executable, tool, os.environ[_RUN], folder], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode == 0:
        return done.stdout.strip()
    reason = "PostgreSQL is not installed" if done.returncode == _NOT_INSTALLED else done.stderr.strip()
    if os.environ.get("WEFT_REQUIRE_POSTGRES"):
        pytest.fail(f"PostgreSQL is required here: {reason}")
    pytest.skip(reason)
