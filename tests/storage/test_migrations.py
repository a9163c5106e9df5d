"""Schemas are brought up to date by themselves; a database that is not ours, or newer, or damaged, is left alone."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path

import apsw
import psycopg
import pytest

from weft.storage import migrations
from weft.storage.database import Database, DatabaseError, Transaction, WriteTransaction
from weft.storage.migrations import Migration, migrate, migrations_of, missing_migrations
from weft.storage.open import examine_database, open_database

PACKAGES = ["weft.storage"]


def run_on(url: str, *statements: str) -> None:
    if url.startswith("sqlite:"):
        connection = apsw.Connection(url.removeprefix("sqlite:"))
        for statement in statements:
            connection.execute(statement)
        connection.close()
    else:
        with psycopg.connect(url, autocommit=True) as postgres:
            for statement in statements:
                postgres.execute(statement.encode())


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, but for the lock."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if not file.name.endswith(".lock")
    }


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode for file in folder.iterdir()}


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)


async def test_a_fresh_database_gets_every_table_and_a_second_start_changes_nothing(url: str) -> None:
    database = await open_database(url, [])
    assert await database.read(lambda tx: tx.all("SELECT room FROM rooms")) == []
    assert await missing_migrations(database, PACKAGES) == []
    await database.close()
    again = await open_database(url, [])
    assert await migrate(again, PACKAGES) == []
    await again.close()


async def test_a_look_says_how_much_is_missing_and_makes_nothing(url: str) -> None:
    assert await examine_database(url, []) == len(migrations_of("weft.storage"))
    assert await examine_database(url, []) == len(migrations_of("weft.storage"))
    await (await open_database(url, [])).close()
    assert await examine_database(url, []) == 0


async def test_processes_that_start_together_take_turns(postgres_database: str) -> None:
    databases = await asyncio.gather(*(open_database(postgres_database, []) for _ in range(4)))
    for database in databases:
        assert await missing_migrations(database, PACKAGES) == []
        await database.close()


async def test_a_newer_database_is_refused(url: str) -> None:
    await (await open_database(url, [])).close()
    run_on(url, "INSERT INTO migrations (package, number, digest) VALUES ('weft.storage', 9999, 'x')")
    with pytest.raises(DatabaseError, match="newer version"):
        await open_database(url, [])


async def test_tables_of_a_package_that_is_not_there_are_refused(url: str) -> None:
    await (await open_database(url, [])).close()
    run_on(url, "INSERT INTO migrations (package, number, digest) VALUES ('weft.modules.unheard_of', 1, 'x')")
    with pytest.raises(DatabaseError, match="newer version"):
        await open_database(url, [])


async def test_a_database_of_another_build_is_refused(url: str) -> None:
    await (await open_database(url, [])).close()
    run_on(url, "UPDATE migrations SET digest = 'different'")
    with pytest.raises(DatabaseError, match="another build"):
        await open_database(url, [])


async def test_other_peoples_tables_are_refused(url: str) -> None:
    run_on(url, "CREATE TABLE users (name TEXT)")
    with pytest.raises(DatabaseError, match="not Weft's"):
        await open_database(url, [])
    run_on(url, "INSERT INTO users (name) VALUES ('still there')")


async def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration("weft.storage", 9000, "broken", "CREATE TABLE half (a TEXT);\nCREATE TABLE half (a TEXT);\n")
    known = migrations_of("weft.storage")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrations_of", lambda package: [*known, broken])
        with pytest.raises(DatabaseError):
            await open_database(url, [])
    database = await open_database(url, [])
    assert await database.read(_tables_named, "half") == 0
    await database.close()


def _tables_named(tx: Transaction, name: str) -> int:
    table, column = ("sqlite_master", "name") if tx.dialect.name == "sqlite" else ("pg_tables", "tablename")
    found: int = tx.value(f"SELECT COUNT(*) FROM {table} WHERE {column} = :name", name=name)
    return found


# -- files


@pytest.mark.parametrize("journal", ["delete", "wal"])
async def test_a_refused_file_is_as_it_was(tmp_path: Path, journal: str) -> None:
    file = tmp_path / "theirs.db"
    run_on(f"sqlite:{file}", f"PRAGMA journal_mode={journal}", "CREATE TABLE users (name TEXT)")
    before = contents(tmp_path)
    for attempt in (open_database, examine_database):
        with pytest.raises(DatabaseError, match="not Weft's"):
            await attempt(f"sqlite:{file}", [])
    after = contents(tmp_path)
    assert after[file.name] == before[file.name]


async def test_a_refused_file_with_a_log_that_is_not_in_it_yet_keeps_both(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    script = f"""
import apsw, os
connection = apsw.Connection({str(file)!r})
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE users (name TEXT)")
os._exit(0)
"""
    assert run_python(script).returncode == 0
    before = contents(tmp_path)
    assert "theirs.db-wal" in before
    with pytest.raises(DatabaseError, match="not Weft's"):
        await open_database(f"sqlite:{file}", [])
    after = contents(tmp_path)
    assert after["theirs.db"] == before["theirs.db"]
    assert after["theirs.db-wal"] == before["theirs.db-wal"]


async def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    file = tmp_path / "weft.db"
    file.write_bytes(b"this is a letter, and not a database " * 100)
    before = contents(tmp_path)
    with pytest.raises(DatabaseError, match=r"weft\.db can't be read .*backup"):
        await open_database(f"sqlite:{file}", [])
    assert contents(tmp_path) == before


async def test_a_damaged_file_is_refused_and_untouched(tmp_path: Path) -> None:
    file = tmp_path / "weft.db"
    await (await open_database(f"sqlite:{file}", [])).close()
    damaged = bytearray(file.read_bytes())
    damaged[100:4096] = b"\xff" * 3996
    file.write_bytes(damaged)
    before = contents(tmp_path)
    with pytest.raises(DatabaseError, match="can't be read"):
        await open_database(f"sqlite:{file}", [])
    assert contents(tmp_path) == before


async def test_damage_further_in_is_found_by_a_look_and_named_by_a_read(tmp_path: Path) -> None:
    file = tmp_path / "weft.db"
    database = await open_database(f"sqlite:{file}", [])

    def fill(tx: WriteTransaction) -> None:
        rows = [{"holder": "x" * 2000} for _ in range(200)]
        tx.many("INSERT INTO runs (holder) VALUES (:holder)", rows)

    await database.write(fill)
    await database.close()
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 40_960] = b"\x00" * 40_960
    file.write_bytes(whole)
    with pytest.raises(DatabaseError, match=r"damaged|can't be read"):
        await examine_database(f"sqlite:{file}", [])
    database = await open_database(f"sqlite:{file}", [])
    with pytest.raises(DatabaseError, match="can't be read"):
        await database.read(lambda tx: tx.all("SELECT holder FROM runs ORDER BY run"))
    await database.close()


async def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weft.db"
    link = tmp_path / "link.db"
    link.symlink_to(file)
    database = await open_database(f"sqlite:{file}", [])
    for name in (file, link):
        script = f"""
import asyncio
from weft.storage.open import open_database
asyncio.run(open_database("sqlite:" + {str(name)!r}, []))
"""
        done = run_python(script)
        assert done.returncode == 1
        assert "Another process uses the database" in done.stderr
    await database.close()
    await (await open_database(f"sqlite:{file}", [])).close()


async def test_a_file_is_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "weft.db"
    database = await open_database(f"sqlite:{file}", [])
    names = ("weft.db", "weft.db-shm", "weft.db-wal", "weft.db.lock")
    assert {name: mode & 0o077 for name, mode in modes(tmp_path).items()} == dict.fromkeys(names, 0)
    await database.close()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="can't be opened"):
        await open_database(f"sqlite:{tmp_path}/nowhere/weft.db", [])


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(DatabaseError, match="can't be reached"):
        await open_database("postgresql://127.0.0.1:1/weft", [])


async def test_what_is_acknowledged_is_synced_to_disk(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:{tmp_path / 'weft.db'}", [])

    def settings(tx: Transaction) -> tuple[object, object]:
        return tx.value("PRAGMA journal_mode"), tx.value("PRAGMA synchronous")

    assert await database.write(settings) == ("wal", 2)
    assert isinstance(database, Database)
    await database.close()
