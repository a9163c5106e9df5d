"""One SQL text becomes each database's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import Transactions
from weft.storage.database import Database, UniqueViolation, WriteTransaction
from weft.storage.dialect import (
    POSTGRES,
    SQLITE,
    escaped,
    is_escaped,
    needs_escape,
    postgres_statement,
    schema_sql,
    sqlite_statement,
    unescaped,
)
from weft.storage.migrations import statements

# A SQL text and what PostgreSQL is sent.
STATEMENTS = [
    ("SELECT 1", "SELECT 1"),
    ("SELECT a FROM t WHERE b = :b", "SELECT a FROM t WHERE b = %(b)s"),
    ("SELECT a FROM t WHERE b IN :some_names", "SELECT a FROM t WHERE b = ANY(%(some_names)s)"),
    ("SELECT a FROM t WHERE b NOT IN :names", "SELECT a FROM t WHERE b <> ALL(%(names)s)"),
    ("SELECT a FROM t WHERE b LIKE 'x%'", "SELECT a FROM t WHERE b LIKE 'x%%'"),
    ("SELECT a % :n", "SELECT a %% %(n)s"),
    ("SELECT a FROM t WHERE b IN (SELECT c FROM u)", "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
    ("SELECT a FROM t WHERE b IN ('x', 'y')", "SELECT a FROM t WHERE b IN ('x', 'y')"),
]


@pytest.mark.parametrize(("sql", "expected"), STATEMENTS)
def test_statements_for_postgres(sql: str, expected: str) -> None:
    assert postgres_statement(sql) == expected.encode()


def test_statements_for_sqlite() -> None:
    assert sqlite_statement("SELECT a FROM t WHERE b = :b") == ("SELECT a FROM t WHERE b = :b", ())
    text, lists = sqlite_statement("SELECT a FROM t WHERE b IN :b AND c NOT IN :c")
    assert text == (
        "SELECT a FROM t WHERE b IN (SELECT value FROM json_each(:b)) AND c NOT IN (SELECT value FROM json_each(:c))"
    )
    assert lists == ("b", "c")


def test_schema() -> None:
    text = """
        CREATE TABLE t (
            id {identity},
            name TEXT NOT NULL {binary_order},
            other TEXT,
            bytes {blob}
        ) {clustered};
        -- only: sqlite
        CREATE INDEX s ON t (name);
        -- end
        -- only: postgres
        CREATE INDEX p ON t (name);
        -- end
    """
    sqlite, postgres = schema_sql(text, SQLITE), schema_sql(text, POSTGRES)
    assert "BLOB" in sqlite
    assert "WITHOUT ROWID" in sqlite
    assert "INDEX s" in sqlite
    assert "INDEX p" not in sqlite
    assert "COLLATE" not in sqlite
    assert "BYTEA" in postgres
    assert "INDEX p" in postgres
    assert "INDEX s" not in postgres
    assert 'other TEXT COLLATE "C"' in postgres
    assert "{" not in sqlite + postgres


def test_a_migration_is_split_into_statements() -> None:
    text = "-- a comment; with a semicolon\nCREATE TABLE a (\n  b TEXT -- why\n);\nINSERT INTO a VALUES ('x;y');\n\n"
    assert statements(text) == ["CREATE TABLE a (\n  b TEXT -- why\n)", "INSERT INTO a VALUES ('x;y')"]


@given(st.text(alphabet=st.sampled_from("\x00\x1b01a")))
def test_escaping_is_undone(text: str) -> None:
    there = escaped(text)
    assert "\x00" not in there
    assert unescaped(there) == text
    assert needs_escape(text) == is_escaped(there) == (there != text)


def test_values_come_back_as_they_were(transactions: Transactions) -> None:
    texts = ["", "plain", "it's %s 100% :name ::x", "\x00", "a\x00b\x1b0", "\x1b1", "ä\u20ac\U0001f9f5", "\\x00"]
    with transactions() as tx:
        tx.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BIGINT)")
        for number, text in enumerate(texts):
            tx.run("INSERT INTO t (a, b, c) VALUES (:a, :b, :c)", a=number, b=text, c=(1 << 63) - 1 - number)
        assert [b for (b,) in tx.all("SELECT b FROM t ORDER BY a")] == texts
        assert tx.value("SELECT c FROM t WHERE a = 0") == (1 << 63) - 1
        for number, text in enumerate(texts):
            assert tx.all("SELECT a FROM t WHERE b = :b", b=text) == [(number,)]
            assert tx.all("SELECT a FROM t WHERE b IN :b", b=[text, "not there"]) == [(number,)]


def test_lists(transactions: Transactions) -> None:
    with transactions() as tx:
        tx.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        tx.many("INSERT INTO t (a, b) VALUES (:a, :b)", [{"a": n, "b": f"b{n}"} for n in range(10)])

        def found(sql: str, **params: object) -> list[int]:
            return [a for (a,) in tx.all(f"SELECT a FROM t WHERE {sql} ORDER BY a", **params)]

        assert found("a IN :a", a=[3, 4, 99]) == [3, 4]
        assert found("a IN :a", a=[]) == []
        assert found("a NOT IN :a", a=[]) == list(range(10))
        assert found("a NOT IN :a AND b IN :b", a=[1], b=["b1", "b2"]) == [2]


def test_rows_that_were_touched(transactions: Transactions) -> None:
    with transactions() as tx:
        tx.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        assert tx.run("INSERT INTO t (a, b) VALUES (1, 'x')") == 1
        assert tx.run("INSERT INTO t (a, b) VALUES (1, 'x') ON CONFLICT DO NOTHING") == 0
        assert tx.run("UPDATE t SET b = 'y'") == 1
        assert tx.run("UPDATE t SET b = 'y' WHERE a = 2") == 0
        assert tx.run("DELETE FROM t") == 1


def test_texts_are_ordered_by_code_point(transactions: Transactions) -> None:
    with transactions() as tx:
        for name in ("@b:x", "@B:x", "@a:x", "@_:x", "@\u00e4:x", "@z:x"):
            tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES (:name, 'x', 0)", name=name)
        found = [name for (name,) in tx.all("SELECT name FROM leases ORDER BY name")]
    assert found == sorted(found)


async def test_what_must_be_unique_names_its_table(database: Database) -> None:
    def twice(tx: WriteTransaction) -> None:
        tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES ('a', 'b', 0)")
        tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES ('a', 'b', 0)")

    with pytest.raises(UniqueViolation) as raised:
        await database.write(twice)
    assert raised.value.table == "leases"
