"""PostgreSQL: any number of processes share one database.

One thread with one connection writes, in groups, so that this process's entries commit in the order of their
numbers. Reads have a few threads with a connection each. `NOTIFY weft` tells the other processes that there is
something new; what it is, they read from the log.

A group that meets a deadlock is run again, one write at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import errors as pg

from weft.storage.database import Database, DatabaseError, Job, Row, Transaction, UniqueViolation, Writer, WriteTransaction
from weft.storage.dialect import POSTGRES, postgres_statement

P = ParamSpec("P")
T = TypeVar("T")

CHANNEL = "weft"
_READERS = 4
_MAX_GROUP = 64
_TRIES = 8
_RETRYABLE = (pg.DeadlockDetected, pg.SerializationFailure)

Connection = psycopg.Connection[Row]


class PostgresTransaction(WriteTransaction):
    """A transaction on one connection; also what reading functions get."""

    dialect = POSTGRES

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.entries = []

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        return self._execute(sql, params).fetchall()

    def run(self, sql: str, /, **params: Any) -> int:
        return self._execute(sql, params).rowcount

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(postgres_statement(sql).encode(), rows)
        except pg.UniqueViolation as error:
            raise UniqueViolation(str(error)) from error

    def _execute(self, sql: str, params: dict[str, Any]) -> psycopg.Cursor[Row]:
        try:
            return self._connection.execute(postgres_statement(sql).encode(), params or None)
        except pg.UniqueViolation as error:
            raise UniqueViolation(str(error)) from error


class PostgresDatabase(Database):
    """An open connection to one database, for this process."""

    dialect = POSTGRES

    def __init__(self, url: str) -> None:
        self.url = url
        self._write_connection = self._connect()
        self._local = threading.local()
        self._reader_connections: list[Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="postgres-read")
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._writing = threading.Thread(target=self._write_loop, name="postgres-write", daemon=True)
        self._writing.start()

    def _connect(self) -> Connection:
        try:
            return psycopg.connect(self.url, autocommit=True, application_name="weft")
        except psycopg.Error as error:
            raise DatabaseError(f"PostgreSQL can't be reached: {_first_line(error)}") from error

    # -- reading

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(fn, args, kwargs))

    async def get(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.read(fn, *args, **kwargs)

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
        for attempt in range(2):
            connection = self._reader()
            try:
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    return fn(PostgresTransaction(connection), *args, **kwargs)
            except psycopg.OperationalError as error:
                # The server went away between two requests: connect anew, once.
                if not connection.broken or attempt:
                    raise DatabaseError(f"PostgreSQL refused a read: {_first_line(error)}") from error
        raise AssertionError

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._local.connection = self._connect()
            self._reader_connections.append(connection)
        return connection

    # -- writing

    def submit(
        self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        if self._closed:
            raise DatabaseError("The database is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(fn, args, future, kwargs))
        return future

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            stop = False
            while len(group) < _MAX_GROUP and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    stop = True
                    break
                group.append(following)
            self._run(group)
            if stop:
                return

    def _run(self, group: list[Job]) -> None:
        """Runs a group in one transaction, or after a conflict each of its writes in one of its own."""
        try:
            self._run_once(group)
        except _RETRYABLE as error:
            if len(group) > 1:
                for job in group:
                    self._run([job])
            else:
                self._run_alone(group[0], error)
        except psycopg.Error as error:
            self._fail(group, DatabaseError(f"PostgreSQL refused a write: {_first_line(error)}"))
            if self._write_connection.broken:
                with contextlib.suppress(DatabaseError):
                    self._write_connection = self._connect()

    def _run_alone(self, job: Job, error: Exception) -> None:
        for _ in range(_TRIES):
            try:
                self._run_once([job])
            except _RETRYABLE as again:
                error = again
            else:
                return
        self._fail([job], DatabaseError(f"PostgreSQL refused a write {_TRIES} times: {_first_line(error)}"))

    def _run_once(self, group: list[Job]) -> None:
        connection = self._write_connection
        transaction = PostgresTransaction(connection)
        transaction.writer = self.writer or Writer(0, 0)
        results: list[tuple[Job, Any, Exception | None]] = []
        with connection.transaction():
            for job in group:
                mark = len(transaction.entries)
                try:
                    with connection.transaction():
                        results.append((job, job.function(transaction, *job.args, **job.kwargs), None))
                except _RETRYABLE:
                    raise
                except Exception as error:
                    if connection.broken:
                        raise
                    del transaction.entries[mark:]
                    results.append((job, None, error))
            if transaction.entries:
                connection.execute(f"NOTIFY {CHANNEL}")
        if transaction.entries and self.writer is not None:
            self.writer.number += len(transaction.entries)
        # The loop is gone only when the process is on its way out.
        with contextlib.suppress(RuntimeError):
            group[0].future.get_loop().call_soon_threadsafe(self._committed, results, transaction.entries)

    def _committed(self, results: list[tuple[Job, Any, Exception | None]], entries: list[Any]) -> None:
        if entries and self.on_commit is not None:
            self.on_commit(entries)
        for job, result, error in results:
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _fail(self, group: list[Job], error: Exception) -> None:
        def fail() -> None:
            for job in group:
                if not job.future.done():
                    job.future.set_exception(error)

        with contextlib.suppress(RuntimeError):
            group[0].future.get_loop().call_soon_threadsafe(fail)

    # -- hearing of others

    async def notifications(self) -> AsyncIterator[None]:
        """Yields whenever some process (this one too) has committed entries, and once at the start of each connection."""
        while not self._closed:
            try:
                async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    yield
                    async for _ in connection.notifies():
                        yield
            except psycopg.Error:
                await asyncio.sleep(0.5)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writing.join)
        self._readers.shutdown(wait=True)
        for connection in (*self._reader_connections, self._write_connection):
            connection.close()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
