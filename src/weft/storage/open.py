"""Opens a database by its URL and brings its schema up to date."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from weft.storage.database import Database
from weft.storage.migrations import migrate
from weft.storage.postgres import PostgresDatabase
from weft.storage.sqlite import SqliteDatabase


async def open_database(url: str, packages: Iterable[str], *, cache_bytes: int = 32 << 20) -> Database:
    """`postgresql://…`, or `sqlite:PATH` or a path. `packages` own the tables; `weft.storage` comes first by itself.

    Raises `DatabaseError` for one that can't be reached, is damaged, or was made by a newer version.
    """
    database: Database
    if url.startswith(("postgresql://", "postgres://")):
        database = PostgresDatabase(url)
    else:
        database = SqliteDatabase(Path(url.removeprefix("sqlite:")), cache_bytes=cache_bytes)
    try:
        await migrate(database, ["weft.storage", *packages])
    except BaseException:
        await database.close()
        raise
    return database
