"""Opens a database by its URL and brings its schema up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from weft.storage.database import Database, DatabaseError, Transaction
from weft.storage.migrations import migrate, missing_migrations
from weft.storage.sqlite import SqliteDatabase

#: Makes a database of a URL and the bytes that its page cache may take, without a look at what is in it.
Connect = Callable[[str, int], Database]


async def open_database(
    url: str, packages: Iterable[str], *, cache_bytes: int = 32 << 20, connect: Connect | None = None
) -> Database:
    """`postgresql://…`, or `sqlite:PATH` or a path. `packages` own the tables; `weft.storage` comes first by itself.

    `connect` stands in for what the URL would be opened with.

    Raises `DatabaseError` for one that can't be reached, is damaged, or was made by a newer version.
    """
    database = (connect or _connected)(url, cache_bytes)
    try:
        await migrate(database, ["weft.storage", *packages])
    except BaseException:
        await database.close()
        raise
    return database


async def examine_database(url: str, packages: Iterable[str]) -> int:
    """Looks for damage and for what `open_database` would refuse; how many migrations a start would run.

    Changes no table. Raises `DatabaseError`.
    """
    database = _connected(url, 4 << 20)
    try:
        missing = await missing_migrations(database, ["weft.storage", *packages])
        if isinstance(database, SqliteDatabase):
            problems = await database.read(_damage)
            if problems:
                raise DatabaseError(f"The database is damaged ({problems[0]}). Restore it from a backup.")
        return len(missing)
    finally:
        await database.close()


def _connected(url: str, cache_bytes: int) -> Database:
    if url.startswith(("postgresql://", "postgres://")):
        # Its driver takes time and memory to load, which a server on SQLite need not spend.
        from weft.storage.postgres import PostgresDatabase

        return PostgresDatabase(url)
    return SqliteDatabase(Path(url.removeprefix("sqlite:")), cache_bytes=cache_bytes)


def _damage(tx: Transaction) -> list[str]:
    return [str(row[0]) for row in tx.all("PRAGMA quick_check") if row[0] != "ok"]
