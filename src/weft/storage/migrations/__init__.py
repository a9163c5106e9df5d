"""Migrations: forward only, each in a transaction, run by themselves at start.

A migration is a file `NNNN_name.sql` in the `migrations` folder of the package that owns the tables. Which ones ran is
written down by package and number. A database that holds more than this version of Weft knows is refused untouched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from weft.storage.database import Database, DatabaseError, Transaction, WriteTransaction
from weft.storage.dialect import POSTGRES, schema_sql

#: Held on PostgreSQL while a migration runs, so that processes which start together take turns.
_MIGRATION_LOCK = 0x77656674


@dataclass(frozen=True, slots=True)
class Migration:
    package: str
    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def migrations_of(package: str) -> list[Migration]:
    """The migrations in a package's folder `migrations`, in order."""
    folder = resources.files(package).joinpath("migrations")
    found = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql") and number.isdigit():
            found.append(Migration(package, int(number), name, file.read_text(encoding="utf-8")))
    return found


async def migrate(database: Database, packages: Iterable[str]) -> list[Migration]:
    """Brings the schema up to date and returns what was run. Raises `DatabaseError` for a newer or foreign database."""
    missing = await missing_migrations(database, packages)
    await database.prepare()
    for migration in missing:
        await database.write(_apply, migration)
    return missing


async def missing_migrations(database: Database, packages: Iterable[str]) -> list[Migration]:
    """What `migrate` would run; changes nothing. Raises as it does."""
    known = [migration for package in packages for migration in migrations_of(package)]
    applied = await database.read(_applied)
    _refuse_unknown(applied, known)
    return [m for m in known if (m.package, m.number) not in applied]


def _applied(tx: Transaction) -> dict[tuple[str, int], str]:
    if not _has_table(tx, "migrations"):
        if _has_any_table(tx):
            raise DatabaseError("The database holds tables that are not Weft's. Name an empty database, or Weft's own.")
        return {}
    return {
        (package, number): digest
        for package, number, digest in tx.all("SELECT package, number, digest FROM migrations")
    }


def _refuse_unknown(applied: dict[tuple[str, int], str], known: Sequence[Migration]) -> None:
    digests = {(m.package, m.number): m.digest for m in known}
    for key, digest in applied.items():
        package, number = key
        if key not in digests:
            raise DatabaseError(
                f"The database was made by a newer version of Weft (it has migration {number} of {package}). "
                "Start that version, or restore a backup made before the upgrade. Nothing was changed."
            )
        if digests[key] != digest:
            raise DatabaseError(
                f"The database's migration {number} of {package} differs from this version's. "
                "It was made by another build of Weft; start that one. Nothing was changed."
            )


def _apply(tx: WriteTransaction, migration: Migration) -> None:
    if tx.dialect is POSTGRES:
        tx.run("SELECT pg_advisory_xact_lock(:key)", key=_MIGRATION_LOCK)
    if not _has_table(tx, "migrations"):
        tx.run(
            """CREATE TABLE migrations (package TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
               PRIMARY KEY (package, number))"""
        )
    # Another process may have been faster.
    if tx.one(
        "SELECT 1 FROM migrations WHERE package = :package AND number = :number",
        package=migration.package,
        number=migration.number,
    ):
        return
    for statement in statements(schema_sql(migration.text, tx.dialect)):
        tx.run(statement)
    tx.run(
        "INSERT INTO migrations (package, number, digest) VALUES (:package, :number, :digest)",
        package=migration.package,
        number=migration.number,
        digest=migration.digest,
    )


def statements(text: str) -> list[str]:
    """The statements of a migration: separated by a semicolon at the end of a line, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().rstrip(";") for part in parts if part.strip().rstrip(";")]


def _has_table(tx: Transaction, name: str) -> bool:
    return tx.one(_TABLES[tx.dialect.name] + " AND name = :name", name=name) is not None


def _has_any_table(tx: Transaction) -> bool:
    return tx.one(_TABLES[tx.dialect.name]) is not None


_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgres": """SELECT name FROM (
                       SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()
                   ) t WHERE 1 = 1""",
}
