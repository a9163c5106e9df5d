"""PostgreSQL databases with Weft's tables, one for each test, used again for later ones.

To make a database is slower than most tests are. One that a test has left is emptied instead: its rows go, those that
the migrations made come back, and numbers are counted from the beginning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

#: What was deleted takes place until then: nothing cleans up in the databases of tests.
_USES: Final = 40
_GONE_WITHIN: Final = "5s"


def url_of(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


@contextmanager
def new_database(server: str, admin: psycopg.Connection, template: str) -> Iterator[str]:
    """The name of a copy of a database that goes away in the end."""
    name = _copy(admin, template)
    try:
        yield name
    finally:
        _drop(admin, name)


def _copy(admin: psycopg.Connection, template: str) -> str:
    name = f"weft_{os.getpid()}_{os.urandom(6).hex()}"
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Pool:
    """Copies of `template`, a database in which nothing has happened but the migrations."""

    def __init__(self, server: str, admin: psycopg.Connection, template: str) -> None:
        self._server = server
        self._admin = admin
        self._template = template
        self._free: list[tuple[str, int]] = []
        with psycopg.connect(url_of(server, template), autocommit=True) as connection:
            self._reset = _reset(connection)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database as the migrations leave it, for one test."""
        name, uses = self._free.pop() if self._free else (_copy(self._admin, self._template), 0)
        try:
            yield url_of(self._server, name)
        finally:
            if uses + 1 < _USES and self._empty(name):
                self._free.append((name, uses + 1))
            else:
                _drop(self._admin, name)

    def close(self) -> None:
        for name, _ in self._free:
            _drop(self._admin, name)

    def _empty(self, name: str) -> bool:
        """Whether the database is as it was. Whoever still has a connection to it loses that."""
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            with psycopg.connect(url_of(self._server, name), autocommit=True) as connection:
                connection.execute(f"SET lock_timeout = '{_GONE_WITHIN}'")
                connection.execute(self._reset)
        except psycopg.Error:
            return False
        return True


def _reset(connection: psycopg.Connection) -> sql.Composed:
    """The statements that bring a database back to what it is now."""
    tables = _column(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    steps: list[sql.Composable] = []
    for table in tables:
        name = sql.Identifier(table)
        columns = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name)).description or []
        rows = connection.execute(sql.SQL("SELECT * FROM {}").format(name)).fetchall()
        if table == "migrations":
            continue
        steps.append(sql.SQL("DELETE FROM {}").format(name))
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        for row in rows:
            values = sql.SQL(", ").join(map(sql.Literal, row))
            steps.append(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(name, names, values))
    sequences = "SELECT schemaname || '.' || sequencename, start_value, last_value FROM pg_sequences"
    for sequence, start, last in connection.execute(sequences).fetchall():
        value = sql.SQL("SELECT setval({}, {}, {})")
        steps.append(value.format(sql.Literal(sequence), sql.Literal(last or start), sql.Literal(last is not None)))
    return sql.SQL("; ").join(steps)


def _column(connection: psycopg.Connection, query: Any) -> list[str]:
    return [row[0] for row in connection.execute(query).fetchall()]
