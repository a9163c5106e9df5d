"""Each test that asks for `url`, `database` or `transactions` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import apsw
import psycopg
import pytest
import pytest_asyncio

from weft.storage.database import Database, Writer, WriteTransaction
from weft.storage.dialect import schema_sql
from weft.storage.migrations import migrations_of, statements
from weft.storage.open import open_database
from weft.storage.postgres import PostgresTransaction
from weft.storage.sqlite import SqliteTransaction

Open = Callable[[], Awaitable[Database]]
Transactions = Callable[[], AbstractContextManager[WriteTransaction]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "postgres":
        given: str = request.getfixturevalue("postgres_database")
        return given
    return f"sqlite:{tmp_path / 'weft.db'}"


@pytest_asyncio.fixture
async def open_one(url: str) -> AsyncIterator[Open]:
    """Opens the database, on PostgreSQL as often as one likes; everything is closed after the test."""
    opened: list[Database] = []

    async def open_() -> Database:
        database = await open_database(url, [])
        opened.append(database)
        return database

    yield open_
    for database in opened:
        await database.close()


@pytest_asyncio.fixture
async def database(open_one: Open) -> Database:
    """An open database whose writer is this process."""
    database = await open_one()
    await database.become_writer("test")
    return database


@pytest.fixture
def transactions(request: pytest.FixtureRequest, url: str) -> Iterator[Transactions]:
    """Transactions on a database with Weft's tables, undone at their end; for tests that need thousands."""
    if url.startswith("sqlite:"):
        yield from _on_sqlite()
    else:
        yield from _on_postgres(url)


def _on_sqlite() -> Iterator[Transactions]:
    connection = apsw.Connection(":memory:")

    @contextlib.contextmanager
    def begin() -> Iterator[WriteTransaction]:
        connection.execute("BEGIN")
        try:
            yield _as_writer(SqliteTransaction(connection))
        finally:
            connection.execute("ROLLBACK")

    _make_tables(SqliteTransaction(connection))
    yield begin
    connection.close()


def _on_postgres(url: str) -> Iterator[Transactions]:
    with psycopg.connect(url, autocommit=True) as connection:

        @contextlib.contextmanager
        def begin() -> Iterator[WriteTransaction]:
            with connection.transaction(force_rollback=True):
                yield _as_writer(PostgresTransaction(connection))

        _make_tables(PostgresTransaction(connection))
        yield begin


def _make_tables(tx: WriteTransaction) -> None:
    for migration in migrations_of("weft.storage"):
        for statement in statements(schema_sql(migration.text, tx.dialect)):
            tx.run(statement)


def _as_writer(tx: WriteTransaction) -> WriteTransaction:
    tx.writer = Writer(1, 0)
    return tx
