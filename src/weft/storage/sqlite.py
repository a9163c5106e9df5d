"""SQLite: one file, one process.

The statements of a write run on the event loop itself (they touch memory, some 10 µs each); only the commit, which
waits for the disk, runs in a thread. A thread for the statements would have to win back the interpreter lock
after each of them. Reads that scan run in a few reader threads, short look-ups by key on the loop.

`journal_mode=WAL` and `synchronous=FULL`: what was acknowledged is on disk. A file that turns out not to be Weft's, or
newer than this version, is closed as it was found: the journal mode is set only after that look.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from weft.storage import leases
from weft.storage.database import (
    Database,
    DatabaseError,
    DatabaseInUse,
    Job,
    Row,
    Transaction,
    UniqueViolation,
    Writer,
    WriteTransaction,
)
from weft.storage.dialect import SQLITE, json_lists, sqlite_statement

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 3
_MAX_GROUP = 256
#: How long a group may keep the event loop before it commits.
_MAX_GROUP_SECONDS = 0.01
_STATEMENTS = 512


class SqliteTransaction(WriteTransaction):
    """A transaction on one connection; also what reading functions get."""

    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.entries = []
        self.writer = None

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        text, lists = sqlite_statement(sql)
        if lists:
            params = json_lists(params, lists)
        return self._connection.execute(text, params).fetchall()

    def run(self, sql: str, /, **params: Any) -> int:
        text, lists = sqlite_statement(sql)
        if lists:
            params = json_lists(params, lists)
        try:
            self._connection.execute(text, params)
        except apsw.ConstraintError as error:
            raise _constraint(error) from error
        return self._connection.changes()

    def put(self, sql: str, /, **params: Any) -> None:
        self.run(sql, **params)

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        text, _ = sqlite_statement(sql)
        try:
            self._connection.executemany(text, rows)
        except apsw.ConstraintError as error:
            raise _constraint(error) from error


class SqliteDatabase(Database):
    """An open file. Only one process may hold it; the second is refused."""

    dialect = SQLITE

    def __init__(self, path: Path, *, cache_bytes: int = 32 << 20) -> None:
        self.path = path.resolve()
        self._lock = _hold(self.path)
        self._cache_bytes = cache_bytes
        try:
            self._write_connection = self._connect(cache_bytes // 2)
        except DatabaseError:
            os.close(self._lock)
            raise
        self._transaction = SqliteTransaction(self._write_connection)
        self._loop_connection = self._connect(cache_bytes // 4)
        self._loop_reader = SqliteTransaction(self._loop_connection)
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        self._jobs: deque[Job] = deque()
        self._busy = False
        self._drained: asyncio.Future[None] | None = None
        self._closed = False
        #: Seconds by which a group's time on the event loop is measured.
        self._clock: Callable[[], float] = time.monotonic
        self._commits: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._committer: threading.Thread | None = None

    def _connect(self, cache_bytes: int) -> apsw.Connection:
        try:
            connection = apsw.Connection(str(self.path), statementcachesize=_STATEMENTS)
            connection.set_busy_timeout(10_000)
            connection.pragma("synchronous", "FULL")
            connection.pragma("cache_size", -max(256, cache_bytes // 1024))
            connection.pragma("temp_store", "MEMORY")
            connection.pragma("journal_size_limit", 16 << 20)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            # Opening does not look at the file; this does.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except apsw.Error as error:
            raise self._unreadable(error) from error
        return connection

    def _unreadable(self, error: Exception) -> DatabaseError:
        return DatabaseError(
            f"The database {self.path} can't be read ({error}). Restore it from a backup, or name another file."
        )

    async def prepare(self) -> None:
        try:
            mode = self._write_connection.pragma("journal_mode", "WAL")
            self._write_connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        except apsw.Error as error:
            raise self._unreadable(error) from error
        if mode != "wal":
            raise DatabaseError(f"The file system of {self.path} can't hold a database in use; name another place.")

    async def become_writer(self, holder: str) -> Writer:
        self.writer = Writer(*await self.write(leases.only_writer, holder))
        return self.writer

    # -- reading

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(fn, args, kwargs))

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(self._cache_bytes // 8)
            self._reader_connections.append(connection)
        return self._in_snapshot(connection, SqliteTransaction(connection), fn, args, kwargs)

    async def get(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.get_now(fn, *args, **kwargs)

    def get_now(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `get`, without being a coroutine."""
        return self._in_snapshot(self._loop_connection, self._loop_reader, fn, args, kwargs)

    def _in_snapshot(
        self,
        connection: apsw.Connection,
        transaction: Transaction,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        try:
            connection.execute("BEGIN")
            try:
                return fn(transaction, *args, **kwargs)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
        except apsw.Error as error:
            raise self._unreadable(error) from error

    # -- writing

    def submit(
        self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        if self._closed:
            raise DatabaseError("The database is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(Job(fn, args, future, kwargs))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._run_group, loop)
        return future

    def _run_group(self, loop: asyncio.AbstractEventLoop) -> None:
        transaction = self._transaction
        transaction.entries = []
        transaction.writer = self.writer
        group: list[Job] = []
        try:
            self._write_connection.execute("BEGIN IMMEDIATE")
            if not self._run_waiting(group):
                self._run_again(group)
        except apsw.Error as error:
            if not group and self._jobs:
                group.append(self._jobs.popleft())
            self._ended(loop, group, error)
            return

        self._commit(loop, group)

    def _commit(self, loop: asyncio.AbstractEventLoop, group: list[Job]) -> None:
        """Has the open transaction committed where that keeps nobody waiting, and `_ended` called after."""

        def commit() -> None:
            failure = self._commit_now()
            # The loop is gone only when the process is on its way out.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._ended, loop, group, failure)

        if self._committer is None:
            self._committer = threading.Thread(target=self._commit_loop, name="sqlite-commit", daemon=True)
            self._committer.start()
        self._commits.put(commit)

    def _commit_now(self) -> Exception | None:
        """Commits; what went wrong, if anything."""
        try:
            if self._write_connection.in_transaction:
                self._write_connection.execute("COMMIT")
        except apsw.Error as error:
            return error
        return None

    def _run_waiting(self, group: list[Job]) -> bool:
        """Runs what waits, one write after the other; False if one failed, with those before it in the group."""
        until = self._clock() + _MAX_GROUP_SECONDS
        while self._jobs and len(group) < _MAX_GROUP and self._clock() <= until:
            job = self._jobs.popleft()
            if job.future.cancelled():
                continue
            group.append(job)
            try:
                job.run(self._transaction)
            except Exception as error:
                job.error = self._translated(error)
                return False
        return True

    def _run_again(self, group: Sequence[Job]) -> None:
        """Undoes a group of which the last failed, and runs the others again, each with a savepoint.

        To give each a savepoint from the first would make all writes dearer, and few fail.
        """
        connection, transaction = self._write_connection, self._transaction
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        transaction.entries = []
        if len(group) == 1:
            return
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            mark = len(transaction.entries)
            connection.execute("SAVEPOINT job")
            try:
                job.run(transaction)
            except Exception as error:
                job.error = self._translated(error)
                del transaction.entries[mark:]
                connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")

    def _translated(self, error: Exception) -> Exception:
        return self._refused(error) if isinstance(error, apsw.Error) else error

    def _ended(self, loop: asyncio.AbstractEventLoop, group: list[Job], failure: Exception | None) -> None:
        entries = self._transaction.entries
        if failure is not None:
            with contextlib.suppress(apsw.Error):
                self._write_connection.execute("ROLLBACK")
            for job in group:
                job.error = job.error or self._refused(failure)
            entries = []
        elif self.writer is not None:
            self.writer.number += len(entries)
        self._tell(entries, group)
        if self._jobs:
            loop.call_soon(self._run_group, loop)
        else:
            self._busy = False
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

    def _refused(self, error: Exception) -> DatabaseError:
        return DatabaseError(f"The database {self.path} refused a write: {error}")

    def _commit_loop(self) -> None:
        while (commit := self._commits.get()) is not None:
            commit()

    async def close(self) -> None:
        if self._busy:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if self._closed:
            return
        self._closed = True
        if self._committer is not None:
            self._commits.put(None)
            self._committer.join()
        self._close()

    def _close(self) -> None:
        self._readers.shutdown(wait=True)
        for connection in (*self._reader_connections, self._loop_connection, self._write_connection):
            connection.close()
        os.close(self._lock)


def _constraint(error: apsw.ConstraintError) -> Exception:
    _, found, columns = str(error).partition("UNIQUE constraint failed: ")
    return UniqueViolation(str(error), columns.partition(".")[0]) if found else error


def _hold(path: Path) -> int:
    """Takes the lock that keeps a second process away; the lock goes with the process, however it ends."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(f"The database {path} can't be opened: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # What SQLite would make by itself, others on this machine could read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseInUse(f"Another process uses the database {path}. Stop it first.") from None
    except OSError as error:
        os.close(descriptor)
        raise DatabaseError(f"The database {path} can't be opened: {error.strerror}.") from error
    return descriptor
