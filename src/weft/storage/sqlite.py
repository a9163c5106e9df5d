"""SQLite: one file, one process.

The statements of a write run on the event loop itself (they touch memory, some 10 µs each); only the commit, which
waits for the disk, runs in a thread. A thread for the statements would have to win back the interpreter lock
after each of them. Reads that scan run in a few reader threads, short look-ups by key on the loop.

`journal_mode=WAL` and `synchronous=FULL`: what was acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from weft.storage.database import Database, DatabaseError, Job, Row, Transaction, UniqueViolation, Writer, WriteTransaction
from weft.storage.dialect import SQLITE, json_lists, sqlite_statement

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 3
_MAX_GROUP = 256
_STATEMENTS = 512


class SqliteTransaction(WriteTransaction):
    """A transaction on one connection; also what reading functions get."""

    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.entries = []

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
        self.path = path
        self._lock = _hold(path)
        self._cache_bytes = cache_bytes
        self._write_connection = self._connect(cache_bytes // 2)
        self._transaction = SqliteTransaction(self._write_connection)
        self._loop_connection = self._connect(cache_bytes // 4)
        self._loop_reader = SqliteTransaction(self._loop_connection)
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        self._jobs: deque[Job] = deque()
        self._busy = False
        self._closed = False
        self._commits: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._committer = threading.Thread(target=self._commit_loop, name="sqlite-commit", daemon=True)
        self._committer.start()

    def _connect(self, cache_bytes: int) -> apsw.Connection:
        try:
            connection = apsw.Connection(str(self.path), statementcachesize=_STATEMENTS)
            connection.set_busy_timeout(10_000)
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                f"cache_size=-{max(256, cache_bytes // 1024)}",
                "temp_store=MEMORY",
                "journal_size_limit=16777216",
            ):
                connection.pragma(*pragma.split("="))
        except apsw.Error as error:
            raise DatabaseError(
                f"The database {self.path} can't be read ({error}). Restore it from a backup, or name another file."
            ) from error
        return connection

    # -- reading

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(fn, args, kwargs))

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(self._cache_bytes // 8)
            self._reader_connections.append(connection)
        return _in_snapshot(connection, SqliteTransaction(connection), fn, args, kwargs)

    async def get(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.get_now(fn, *args, **kwargs)

    def get_now(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `get`, without being a coroutine."""
        return _in_snapshot(self._loop_connection, self._loop_reader, fn, args, kwargs)

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
        transaction.writer = self.writer or Writer(0, 0)
        done: list[tuple[Job, Any]] = []
        try:
            self._write_connection.execute("BEGIN IMMEDIATE")
            while self._jobs and len(done) < _MAX_GROUP:
                job = self._jobs.popleft()
                self._run_job(job, done)
        except apsw.Error as error:
            self._rolled_back(loop, done, error)
            return

        def commit() -> None:
            failure: Exception | None = None
            try:
                self._write_connection.execute("COMMIT")
            except apsw.Error as error:
                failure = error
            # The loop is gone only when the process is on its way out.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._committed, loop, done, failure)

        self._commits.put(commit)

    def _run_job(self, job: Job, done: list[tuple[Job, Any]]) -> None:
        if job.future.cancelled():
            return
        connection, transaction = self._write_connection, self._transaction
        mark = len(transaction.entries)
        connection.execute("SAVEPOINT job")
        try:
            result = job.function(transaction, *job.args, **job.kwargs)
        except Exception as error:
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            del transaction.entries[mark:]
            if not job.future.done():
                job.future.set_exception(error)
        else:
            connection.execute("RELEASE job")
            done.append((job, result))

    def _committed(
        self, loop: asyncio.AbstractEventLoop, done: list[tuple[Job, Any]], failure: Exception | None
    ) -> None:
        if failure is not None:
            self._rolled_back(loop, done, failure)
            return
        entries = self._transaction.entries
        if entries and self.writer is not None:
            self.writer.number += len(entries)
            if self.on_commit is not None:
                self.on_commit(entries)
        for job, result in done:
            if not job.future.done():
                job.future.set_result(result)
        self._next_group(loop)

    def _rolled_back(self, loop: asyncio.AbstractEventLoop, done: list[tuple[Job, Any]], error: Exception) -> None:
        with contextlib.suppress(apsw.Error):
            self._write_connection.execute("ROLLBACK")
        failure = DatabaseError(f"The database refused a write: {error}")
        for job, _ in done:
            if not job.future.done():
                job.future.set_exception(failure)
        self._next_group(loop)

    def _next_group(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._jobs:
            loop.call_soon(self._run_group, loop)
        else:
            self._busy = False

    def _commit_loop(self) -> None:
        while (commit := self._commits.get()) is not None:
            commit()

    async def close(self) -> None:
        while self._busy:
            await asyncio.sleep(0.001)
        if self._closed:
            return
        self._closed = True
        self._commits.put(None)
        self._committer.join()
        self._readers.shutdown(wait=True)
        for connection in (*self._reader_connections, self._loop_connection, self._write_connection):
            connection.close()
        os.close(self._lock)


def _in_snapshot(
    connection: apsw.Connection,
    transaction: Transaction,
    fn: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> T:
    connection.execute("BEGIN")
    try:
        return fn(transaction, *args, **kwargs)
    finally:
        connection.execute("COMMIT")


def _constraint(error: apsw.ConstraintError) -> Exception:
    return UniqueViolation(str(error)) if "UNIQUE" in str(error) else error


def _hold(path: Path) -> int:
    """Takes the lock that keeps a second process away; the lock goes with the process, however it ends."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(f"The database {path} can't be opened: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DatabaseError(f"Another process uses the database {path}. Stop it first.") from error
    return descriptor
