"""A restored backup gives no one-time key away that may have been given away before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.modules.encryption import Keys, claim
from tests.watching import validated
from weft.server.assembly import forget_one_time_keys
from weft.testing import Client, TestServer


async def count(client: Client) -> int:
    answer = await client.sync()
    number: int = answer["device_one_time_keys_count"]["signed_curve25519"]
    assert (answer["device_unused_fallback_key_types"] == []) == (not number)
    return number


@pytest.fixture
def server(tmp_path: Path) -> TestServer:
    (tmp_path / "data").mkdir()
    return TestServer(tmp_path / "data", watch=validated)


def file(server: TestServer) -> Path:
    return server.settings.sqlite_file


def database_alone(server: TestServer, backup: Path) -> None:
    shutil.copy(backup / file(server).name, file(server))


def all_into_place(server: TestServer, backup: Path) -> None:
    """Each file is written over the one that is there."""
    shutil.copytree(backup, file(server).parent, copy_function=shutil.copy, dirs_exist_ok=True)


def all_with_times(server: TestServer, backup: Path) -> None:
    shutil.copytree(backup, file(server).parent, dirs_exist_ok=True)


def a_new_folder(server: TestServer, backup: Path) -> None:
    folder = file(server).parent
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


@pytest.mark.parametrize("restore", [database_alone, all_into_place, all_with_times, a_new_folder])
async def test_restored(server: TestServer, tmp_path: Path, restore: Callable[[TestServer, Path], None]) -> None:
    await server.start()
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    await keys.upload(5, fallback_keys=keys.fallback())
    await server.stop()
    backup = tmp_path / "backup"
    shutil.copytree(file(server).parent, backup)
    for one in backup.iterdir():
        # It was made a while ago.
        subprocess.run(["touch", "-d", "1 hour ago", one], check=True)
    await server.start()
    given = (await claim(bob, alice))[alice.device_id]
    await server.stop()
    restore(server, backup)
    await server.start()
    try:
        assert await count(alice) == 0
        # What is left is the fallback key; and the key that was given away is not taken in again.
        assert (await claim(bob, alice))[alice.device_id] == keys.fallback()
        assert await keys.upload(one_time_keys=given) == {"signed_curve25519": 0}
        assert await keys.upload(3, fallback_keys=keys.fallback("F2")) == {"signed_curve25519": 3}
        await server.restart()
        assert await count(alice) == 3
    finally:
        await server.stop()


async def test_a_backup_of_the_present_run(server: TestServer, tmp_path: Path) -> None:
    """The server goes on after the backup was made, and is killed."""
    await server.start()
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    await keys.upload(5, fallback_keys=keys.fallback())
    backup = tmp_path / "weft.db"
    script = "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b); b.close()"
    subprocess.run([sys.executable, "-c", script, file(server), backup], check=True)
    await claim(bob, alice)
    claims = file(server).with_name(f"{file(server).name}.claims")
    said = claims.read_bytes()
    await server.stop()
    assert claims.read_bytes() == said
    for companion in file(server).parent.glob(f"{file(server).name}-*"):
        companion.unlink()
    shutil.copy(backup, file(server))
    await server.start()
    try:
        assert await count(alice) == 0
    finally:
        await server.stop()


async def test_nothing_is_forgotten_otherwise(server: TestServer) -> None:
    await server.start()
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    await keys.upload(5, fallback_keys=keys.fallback())
    for left in (4, 3):
        await claim(bob, alice)
        await server.restart()
        assert await count(alice) == left
    await server.stop()
    assert await forget_one_time_keys(server.settings) == 3
    await server.start()
    assert await count(alice) == 0
    await server.stop()


async def test_a_postgresql_database_that_was_made_from_another(weft_database: str, tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"database": {"url": weft_database}}, watch=validated)
    await server.start()
    try:
        alice = await server.user("alice")
        keys = Keys(alice)
        await keys.upload(5, fallback_keys=keys.fallback())
        await server.restart()
        assert await count(alice) == 5
        await server.server.engine.database.write(lambda tx: tx.run("UPDATE restore_guard SET identity = '1/1/1'"))
        await server.restart()
        assert await count(alice) == 0
        await keys.upload(2)
        await server.restart()
        assert (await alice.sync())["device_one_time_keys_count"] == {"signed_curve25519": 2}
        assert await forget_one_time_keys(server.settings) == 2
        assert await count(alice) == 0
    finally:
        await server.stop()


def into_a_new_database(url: str, dump: Path) -> str:
    """Beside the other; returns its URL."""
    name = f"{urlsplit(url).path.removeprefix('/')}_restored"
    program("createdb", f"--maintenance-db={url}", name)
    restored = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    program("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}", restored)
    return restored


def into_one_of_the_same_name(url: str, dump: Path) -> str:
    server, name = urlunsplit(urlsplit(url)._replace(path="/postgres")), urlsplit(url).path.removeprefix("/")
    program("dropdb", f"--maintenance-db={server}", name)
    program("createdb", f"--maintenance-db={server}", "--template=template0", name)
    program("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}", url)
    return url


def over_the_tables(url: str, dump: Path) -> str:
    """The dump drops the tables that are there and makes them anew."""
    program("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}", url)
    return url


@pytest.mark.parametrize("restore", [into_a_new_database, into_one_of_the_same_name, over_the_tables])
async def test_a_postgresql_database_restored_from_a_dump(
    weft_database: str, tmp_path: Path, restore: Callable[[str, Path], str]
) -> None:
    for name in ("pg_dump", "psql", "createdb", "dropdb"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    server = TestServer(tmp_path, settings={"database": {"url": weft_database}}, watch=validated)
    await server.start()
    alice, bob = await server.user("alice"), await server.user("bob")
    keys = Keys(alice)
    await keys.upload(5, fallback_keys=keys.fallback())
    dump = tmp_path / "dump.sql"
    clean = ["--clean"] if restore is over_the_tables else []
    program("pg_dump", *clean, f"--file={dump}", weft_database)
    given = (await claim(bob, alice))[alice.device_id]
    await server.stop()
    restored = restore(weft_database, dump)
    again = TestServer(tmp_path, settings={"database": {"url": restored}}, watch=validated)
    await again.start()
    try:
        here = again.client(alice.token, user_id=alice.user_id, device_id=alice.device_id)
        assert await count(here) == 0
        assert (await claim(again.client(bob.token, user_id=bob.user_id), here))[alice.device_id] == keys.fallback()
        keys.client = here
        assert await keys.upload(one_time_keys=given) == {"signed_curve25519": 0}
        assert await keys.upload(2, fallback_keys=keys.fallback("F2")) == {"signed_curve25519": 2}
        await again.restart()
        assert await count(here) == 2
    finally:
        await again.stop()
        if restored != weft_database:
            program("dropdb", f"--maintenance-db={weft_database}", urlsplit(restored).path.removeprefix("/"))


def program(name: str, *arguments: str) -> None:
    done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
