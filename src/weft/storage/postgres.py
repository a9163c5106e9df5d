"""PostgreSQL: any number of processes share one database.

One thread with one connection writes, in groups, so that this process's entries commit in the order of their
numbers. Reads have a few threads with a connection each. `NOTIFY weft` tells the other processes that there is
something new; what it is, they read from the log.

A group runs in pipeline mode: a statement whose result nobody needs costs no round trip. Should one of its writes
fail, all is undone and runs again with a savepoint for each; should it meet another process in a deadlock, each
write runs again in a transaction of its own.

The writer id belongs to the write connection. When that is lost, the process takes an id anew (most often the same),
and reads what its last commit left in the log: a commit may succeed without its answer getting through.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus

from weft.storage import leases
from weft.storage.database import (
    Database,
    DatabaseError,
    Job,
    Row,
    Transaction,
    UniqueViolation,
    Writer,
    WriteTransaction,
)
from weft.storage.dialect import POSTGRES, escaped, is_escaped, needs_escape, postgres_statement, unescaped
from weft.storage.positions import NUMBER_MASK, Entry

P = ParamSpec("P")
T = TypeVar("T")

_CHANNEL = "weft"
#: Sent after the commit: within it, PostgreSQL would have all processes' commits wait for each other.
_NOTIFY = f"NOTIFY {_CHANNEL}"
_READERS = 4
_MAX_GROUP = 64
_TRIES = 8
_CONNECT_SECONDS = 10
_PREPARED_STATEMENTS = 1_000
#: SQLSTATE classes: connection exceptions, and interventions by the operator.
_LOST = ("08", "57")
_CONFLICTS = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)
_RECONNECT_SECONDS = 0.5

#: Every look-up is by key, also while tables have no statistics yet, and none is worth compiling. A process that hangs
#: or is cut off in the middle of a transaction must not keep its locks.
_SETTINGS = """
    SET enable_seqscan = off; SET jit = off; SET statement_timeout = 0; SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3
"""
#: Writes of a group that wait for each other across two processes are told apart sooner than by the deadlock detector.
_GROUP_SETTINGS = "SET LOCAL lock_timeout = '100ms'"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

Connection = psycopg.Connection[Row]
Cursor = psycopg.Cursor[Row]


class PostgresTransaction(WriteTransaction):
    """A transaction on one connection; also what reading functions get."""

    dialect = POSTGRES

    def __init__(self, connection: Connection, pipeline: psycopg.Pipeline | None = None) -> None:
        self._connection = connection
        self.pipeline = pipeline
        self.entries = []
        self.writer = None

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        rows = self._ask(sql, params, psycopg.Cursor.fetchall)
        if any(is_escaped(value) for row in rows for value in row):
            return [tuple([unescaped(value) for value in row]) for row in rows]
        return rows

    def run(self, sql: str, /, **params: Any) -> int:
        return self._ask(sql, params, self._count)

    def put(self, sql: str, /, **params: Any) -> None:
        self._ask(sql, params, _nothing)

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(postgres_statement(sql), [_escaped(row) for row in rows])
        except pg.UniqueViolation as error:
            raise _unique(error) from error

    def _ask(self, sql: str, params: Mapping[str, Any], answer: Callable[[Cursor], T]) -> T:
        try:
            return answer(self._connection.execute(postgres_statement(sql), _escaped(params)))
        except pg.UniqueViolation as error:
            raise _unique(error) from error

    def _count(self, cursor: Cursor) -> int:
        if self.pipeline is not None:
            self.pipeline.sync()
        return cursor.rowcount


def _nothing(_: Cursor) -> None:
    return


def _escaped(params: Mapping[str, Any]) -> Mapping[str, Any]:
    for value in params.values():
        if needs_escape(value) or (type(value) is list and any(needs_escape(one) for one in value)):
            return {name: escaped(one) for name, one in params.items()}
    return params


def _unique(error: pg.UniqueViolation) -> UniqueViolation:
    return UniqueViolation(_first_line(error), error.diag.table_name or "")


class _Undecided(DatabaseError):
    """The connection was lost while a commit was under way that was to bring these entries."""

    def __init__(self, error: psycopg.Error, entries: list[Entry]) -> None:
        super().__init__(f"PostgreSQL was lost during a commit: {_first_line(error)}")
        self.entries = entries


def _is_lost(error: Exception, connection: Connection) -> bool:
    """Whether the connection is gone, or about to go."""
    return connection.closed or (isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_LOST))


class PostgresDatabase(Database):
    """This process's connections to one database."""

    dialect = POSTGRES

    def __init__(self, url: str) -> None:
        self.url = url
        self._holder: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
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
            connection = psycopg.connect(
                self.url, autocommit=True, application_name="weft", connect_timeout=_CONNECT_SECONDS
            )
            connection.prepared_max = _PREPARED_STATEMENTS
            connection.execute(_SETTINGS)
        except psycopg.Error as error:
            raise DatabaseError(f"PostgreSQL can't be reached: {_first_line(error)}") from error
        return connection

    # -- reading

    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(fn, args, kwargs))

    async def get(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.read(fn, *args, **kwargs)

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
        for last_try in (False, True):
            connection = self._reader()
            try:
                return self._read_once(connection, lambda tx: fn(tx, *args, **kwargs))
            except psycopg.Error as error:
                # The server may have gone away between two requests: connect anew, once.
                if last_try or not connection.closed:
                    raise _translated(error) from error
        raise AssertionError

    def _read_once(self, connection: Connection, fn: Callable[[Transaction], T]) -> T:
        try:
            with _pipeline(connection) as pipeline:
                connection.execute(_BEGIN_READ)
                result = fn(PostgresTransaction(connection, pipeline))
                connection.execute("COMMIT")
        finally:
            _end(connection)
        return result

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            if connection is not None:
                self._reader_connections.remove(connection)
            connection = self._local.connection = self._connect()
            self._reader_connections.append(connection)
        return connection

    # -- writing

    async def become_writer(self, holder: str) -> Writer:
        self._loop = asyncio.get_running_loop()
        self.writer = Writer(*await self.write(leases.take_writer, holder))
        self._holder = holder
        return self.writer

    def submit(
        self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        if self._closed:
            raise DatabaseError("The database is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(fn, args, future, kwargs))
        return future

    def _write_loop(self) -> None:
        following: Job | None = self._jobs.get()
        while following is not None:
            group = [following]
            following = None
            while len(group) < _MAX_GROUP and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    self._run(group)
                    return
                group.append(following)
            self._run(group)
            following = self._jobs.get()

    def _run(self, group: list[Job]) -> None:
        """Runs a group to its end, whatever that is."""
        failure: Exception = AssertionError()
        for _ in range(_TRIES):
            try:
                self._commit(group)
            except _CONFLICTS as error:
                failure = error
                if len(group) > 1:
                    for job in group:
                        self._run([job])
                    return
            except psycopg.Error as error:
                # Lost before the commit: it runs again on a new connection.
                failure = error
            except Exception as error:
                failure = error
                break
            else:
                return
        self._fail(group, failure)

    def _commit(self, group: list[Job]) -> None:
        """Runs a group in one transaction; what a write itself raises is its own affair.

        Raises `psycopg.Error` where the group may run again.
        """
        connection = self._writable()
        entries: list[Entry] = []
        try:
            entries = self._commit_at_once(connection, group)
        except _CONFLICTS:
            raise
        except _Undecided as undecided:
            entries = self._found_committed(connection, undecided)
            self._call(group[0].future.get_loop(), entries, group)
            return
        except Exception as error:
            if _is_lost(error, connection):
                connection.close()
                raise psycopg.OperationalError(_first_line(error)) from error
            if len(group) == 1:
                group[0].error = _translated(error)
            else:
                entries = self._commit_one_by_one(connection, group)
        if entries and self.writer is not None:
            self.writer.number += len(entries)
        self._call(group[0].future.get_loop(), entries, group)

    def _found_committed(self, connection: Connection, undecided: _Undecided) -> list[Entry]:
        """The entries of a commit that succeeded without its answer getting through.

        Raises `psycopg.OperationalError` where it did not succeed, and `_Undecided` where that can't be known. The
        log knows, once this process has its writer id again: then nobody is at work on the lost connection.
        """
        before = self.writer
        connection.close()
        self._writable()
        after = self.writer
        if not undecided.entries or before is None or after is None or before.id != after.id:
            raise undecided
        if undecided.entries[-1].position & NUMBER_MASK > after.number:
            raise psycopg.OperationalError(str(undecided))
        return undecided.entries

    def _commit_at_once(self, connection: Connection, group: list[Job]) -> list[Entry]:
        committing: Cursor | None = None
        transaction = self._transaction(connection)
        try:
            with _pipeline(connection) as transaction.pipeline:
                connection.execute("BEGIN")
                if len(group) > 1:
                    connection.execute(_GROUP_SETTINGS)
                for job in group:
                    job.run(transaction)
                committing = connection.execute("COMMIT")
                if transaction.entries:
                    connection.execute(_NOTIFY)
        except psycopg.Error as error:
            if committing is not None and (error.sqlstate is None or _is_lost(error, connection)):
                raise _Undecided(error, transaction.entries) from error
            raise
        finally:
            _end(connection)
        return transaction.entries

    def _commit_one_by_one(self, connection: Connection, group: list[Job]) -> list[Entry]:
        transaction = self._transaction(connection)
        committing = False
        try:
            connection.execute("BEGIN")
            connection.execute(_GROUP_SETTINGS)
            for job in group:
                self._run_in_savepoint(connection, transaction, job)
            committing = True
            connection.execute("COMMIT")
            if transaction.entries:
                connection.execute(_NOTIFY)
        except psycopg.Error as error:
            if committing and _is_lost(error, connection):
                raise _Undecided(error, transaction.entries) from error
            raise
        finally:
            _end(connection)
        return transaction.entries

    def _run_in_savepoint(self, connection: Connection, transaction: PostgresTransaction, job: Job) -> None:
        mark = len(transaction.entries)
        connection.execute("SAVEPOINT job")
        try:
            job.run(transaction)
        except _CONFLICTS:
            raise
        except Exception as error:
            if _is_lost(error, connection):
                raise
            job.error = _translated(error)
            del transaction.entries[mark:]
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def _transaction(self, connection: Connection) -> PostgresTransaction:
        transaction = PostgresTransaction(connection)
        transaction.writer = self.writer
        return transaction

    def _writable(self) -> Connection:
        """The write connection; a new one, with a writer id, where it was lost. Raises `DatabaseError`."""
        if not self._write_connection.closed:
            return self._write_connection
        connection = self._connect()
        if self._holder is not None and self._loop is not None:
            preferred = self.writer.id if self.writer is not None else None
            try:
                with connection.transaction():
                    transaction = PostgresTransaction(connection)
                    writer = Writer(*leases.take_writer(transaction, self._holder, preferred))
                    missed = self.read_missed(transaction, writer.id) if self.read_missed is not None else []
            except psycopg.Error as error:
                connection.close()
                raise DatabaseError(f"PostgreSQL can't be reached: {_first_line(error)}") from error
            self.writer = writer
            self._call(self._loop, missed, [])
        self._write_connection = connection
        return connection

    def _fail(self, group: list[Job], error: Exception) -> None:
        for job in group:
            job.error = _translated(error)
        self._call(group[0].future.get_loop(), [], group)

    def _call(self, loop: asyncio.AbstractEventLoop, entries: Sequence[Entry], group: Sequence[Job]) -> None:
        # The loop is gone only when the process is on its way out.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._tell, entries, group)

    # -- hearing of others

    async def notifications(self) -> AsyncIterator[None]:
        """Yields whenever another process has committed entries, and once at the start of each connection."""
        while not self._closed:
            try:
                async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {_CHANNEL}")
                    yield
                    async for notify in connection.notifies():
                        if notify.pid != self._write_connection.info.backend_pid:
                            yield
            except psycopg.Error:
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writing.join)
        self._readers.shutdown(wait=True)
        for connection in (*self._reader_connections, self._write_connection):
            connection.close()


def _translated(error: Exception) -> Exception:
    if isinstance(error, pg.UniqueViolation):
        return _unique(error)
    if isinstance(error, psycopg.Error):
        return DatabaseError(f"PostgreSQL refused it: {_first_line(error)}")
    return error


@contextlib.contextmanager
def _pipeline(connection: Connection) -> Iterator[psycopg.Pipeline]:
    """Statements are sent without waiting for the answer to the one before."""
    with connection.pipeline() as pipeline:
        try:
            yield pipeline
        except Exception:
            # What was sent meanwhile fails for the same reason.
            with contextlib.suppress(psycopg.Error):
                pipeline.sync()
            raise


def _end(connection: Connection) -> None:
    """Leaves no transaction open behind an error."""
    if not connection.closed and connection.info.transaction_status is not TransactionStatus.IDLE:
        with contextlib.suppress(psycopg.Error):
            # After an error in a pipeline, psycopg believes statements prepared that never were. It forgets them at a
            # rollback, but looks only at a statement that it has not seen before: no two of these are the same.
            connection.execute(f"ROLLBACK /* {next(_ROLLBACKS)} */".encode())


_ROLLBACKS = itertools.count()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
