"""Sees to it that a restored backup gives no one-time key away that was given away before.

A backup holds keys that have been claimed since it was made; to give one of them away once more would break what is
encrypted with it. So a database that has been restored is recognised at the start, and all its keys count as given
away. Devices see that none is left, and upload new ones.

* SQLite: beside the database lies a file with the database's identity, which is another one after each start, and how
  far the log had come when a key was last given away. It is written before the key leaves. The file belongs to the disk
  and not to the backup: it also tells when it was written, and a copy of it was written later than that.
* PostgreSQL knows by itself: a database that is made anew from a dump has another number, so has a table that a dump
  replaced, and a cluster that was restored to an earlier time goes on in another timeline.

What no program can see, a machine that is set back as a whole, is for `weft keys forget-one-time`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from weft.modules.keys import one_time_store
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction

log = structlog.get_logger(__name__)

#: A file that is older or newer than it says by so many nanoseconds is a copy.
_TOLERANCE_NS: Final = 50_000_000
_TRIES: Final = 10
_SIZE: Final = 160


class _Record(NamedTuple):
    """What the file says. `written_ns` is the file system's time."""

    identity: str
    number: int
    written_ns: int


class RestoreGuard:
    """`file` is beside the database; None where the database is PostgreSQL's."""

    def __init__(self, engine: Engine, file: Path | None) -> None:
        self._engine = engine
        self._file = file
        self._identity = ""
        #: How far the log had come when that was last written down.
        self._noted = -1

    async def start(self) -> None:
        """Finds out whether the database was restored. Before the first request."""
        database = self._engine.database
        found = _read(self._file) if self._file is not None else None
        head = self._head()
        fresh = self._engine.outside.token(24)
        renewed, forgotten = await database.write(
            _check, lambda known: found is not None and found.identity == known and found.number <= head, fresh
        )
        self._identity = renewed
        if forgotten is not None:
            log.warning("the database was restored or copied: its one-time keys are not given away", keys=forgotten)
        self.note()

    def note(self) -> None:
        """Writes down how far the log has come, before a key that was given away leaves.

        Keys that were given away in one commit share one note.
        """
        head = self._head()
        if self._file is not None and head != self._noted:
            self._write(self._file, head)
            self._noted = head

    def _write(self, file: Path, head: int) -> None:
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            said_ns = 0
            # Written twice, because when it was written is known afterwards only; more often by a machine that stalls.
            for _ in range(_TRIES):
                written_ns = os.fstat(opened).st_mtime_ns
                if written_ns - said_ns < _TOLERANCE_NS:
                    return
                os.pwrite(opened, f"{self._identity} {head} {written_ns}".ljust(_SIZE).encode(), 0)
                said_ns = written_ns
        finally:
            os.close(opened)

    def _head(self) -> int:
        """How far the log has come; on SQLite there is one writer."""
        return sum(number for _, number in self._engine.log.head)


def _read(file: Path) -> _Record | None:
    """What the file says; None where there is none, or it is a copy."""
    try:
        identity, number, written = file.read_text(encoding="ascii").split()
        record = _Record(identity, int(number), int(written))
        state = file.stat()
    except (OSError, ValueError):
        return None
    is_copy = (
        abs(state.st_mtime_ns - record.written_ns) > _TOLERANCE_NS
        or abs(state.st_ctime_ns - state.st_mtime_ns) > _TOLERANCE_NS
    )
    return None if is_copy else record


def _check(tx: WriteTransaction, is_known: Callable[[str], bool], fresh: str) -> tuple[str, int | None]:
    """The database's identity from now on, and how many keys were forgotten; None where there was no reason to."""
    known: str | None = tx.value("SELECT identity FROM restore_guard WHERE id = 1")
    if tx.dialect.for_update:
        identity = _postgres_identity(tx)
        is_same = known == identity
    else:
        identity = fresh
        is_same = known is not None and is_known(known)
    if known != identity:
        tx.run(
            """INSERT INTO restore_guard (id, identity) VALUES (1, :identity)
               ON CONFLICT (id) DO UPDATE SET identity = excluded.identity""",
            identity=identity,
        )
    # The first start with a guard finds nothing to compare with.
    return identity, one_time_store.forget_all(tx) if known is not None and not is_same else None


def _postgres_identity(tx: Transaction) -> str:
    """The cluster's mark where that may be read, the timeline that it is in, and the numbers of database and table."""
    number, timeline, table = tx.all(
        """SELECT CAST(d.oid AS TEXT), substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), CAST(c.oid AS TEXT)
           FROM pg_database d, pg_class c
           WHERE d.datname = current_database() AND c.oid = CAST('restore_guard' AS regclass)"""
    )[0]
    cluster = ""
    if tx.value("SELECT has_function_privilege('pg_control_system()', 'execute')"):
        cluster = tx.value("SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()")
    return f"{cluster}/{timeline}/{number}/{table}"
