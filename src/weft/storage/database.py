"""Transactions, and the two ways to run one: `await db.read(fn, …)` and `await db.write(fn, …)`.

Store functions are plain functions whose first argument is a `Transaction`; they run whole, so that no transaction
can wait on the network. A function given to `write` may run more than once (after a conflict with another process, or
because another write of its group failed), so it changes nothing outside its transaction.

Writes are grouped: while one commit is under way, what arrives waits and shares the next. One that raises undoes only
itself.

What a write appends to the log is handed to `Database.on_commit` after the commit and before the caller of
`write` goes on, in the order of its numbers.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog

from weft.protocol.errors import WeftError
from weft.storage.dialect import Dialect
from weft.storage.positions import WRITER_SHIFT, Entry

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]


class DatabaseError(WeftError):
    """The database can't be used as it is; the message says why and what to do."""


class DatabaseInUse(DatabaseError):
    """Another process holds a database that only one may use."""


class UniqueViolation(WeftError):
    """A row that must be unique is there already, in `table`."""

    def __init__(self, message: str, table: str = "") -> None:
        super().__init__(message)
        self.table = table


class Transaction(ABC):
    """One transaction. Parameters are keywords named as in the statement."""

    dialect: Dialect

    @abstractmethod
    def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row."""

    @abstractmethod
    def run(self, sql: str, /, **params: Any) -> int:
        """Runs a statement; how many rows it touched."""

    @abstractmethod
    def put(self, sql: str, /, **params: Any) -> None:
        """As `run`, where nobody asks how many rows: PostgreSQL then need not be waited for.

        What goes wrong is raised here, by a later statement, or at the end.
        """

    @abstractmethod
    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Runs one statement for each row of parameters."""

    def one(self, sql: str, /, **params: Any) -> Row | None:
        """The first row, or None."""
        rows = self.all(sql, **params)
        return rows[0] if rows else None

    def value(self, sql: str, /, **params: Any) -> Any:
        """The first column of the first row, or None."""
        rows = self.all(sql, **params)
        return rows[0][0] if rows else None


@dataclass(slots=True)
class Writer:
    """This process's place in the log: the id that is its own, and the number of its newest committed entry."""

    id: int
    number: int


class WriteTransaction(Transaction):
    """A transaction that may change rows and append to the log."""

    #: None before the process has taken its place among the writers.
    writer: Writer | None
    #: What this group of writes has appended so far, in order.
    entries: list[Entry]

    def append(
        self,
        kind: str,
        *,
        room: int | None = None,
        user_id: str | None = None,
        key: str | None = None,
        payload: object = None,
    ) -> int:
        """Appends an entry to the log and returns its position.

        `payload` is kept in memory only: it goes with the entry to this process's readers, and spares them a look-up.
        """
        if self.writer is None:
            raise RuntimeError("the log is written to before this process has become a writer")
        number = self.writer.number + len(self.entries) + 1
        position = self.writer.id << WRITER_SHIFT | number
        self.put(_INSERT_ENTRY, position=position, kind=kind, room=room, user_id=user_id, key=key)
        self.entries.append(Entry(position, kind, room, user_id, key, payload))
        return position


_INSERT_ENTRY = """
    INSERT INTO log (position, kind, room, user_id, key) VALUES (:position, :kind, :room, :user_id, :key)
"""


@dataclass(slots=True)
class Job:
    """A write that waits for its group; then what came of it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    error: Exception | None = None

    def run(self, transaction: WriteTransaction) -> None:
        self.error = None
        self.result = self.function(transaction, *self.args, **self.kwargs)

    def finish(self) -> None:
        """Tells whoever waits. On the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Database(ABC):
    """An open database."""

    dialect: Dialect
    writer: Writer | None = None
    #: Called on the event loop with the entries of each committed group.
    on_commit: Callable[[Sequence[Entry]], None] | None = None
    #: Reads the entries of this process's own writer id that `on_commit` was never given; see `PostgresDatabase`.
    read_missed: Callable[[Transaction, int], Sequence[Entry]] | None = None

    @abstractmethod
    async def become_writer(self, holder: str) -> Writer:
        """Takes a writer id that nobody else holds, for as long as the database is open; sets `writer`."""

    async def prepare(self) -> None:
        """Called once the tables are known to be Weft's, before the first of them is changed."""
        return

    @abstractmethod
    async def read(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a reading function in a thread, on one consistent view."""

    @abstractmethod
    async def get(self, fn: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for short look-ups by key: SQLite runs them where they are, without a thread."""

    @abstractmethod
    def submit(
        self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queues a writing function; the future is done once it is on disk. Writes run in the order of the queue."""

    async def write(self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a writing function; returns once it is on disk. A caller that is cancelled does not undo it."""
        return await asyncio.shield(self.submit(fn, *args, **kwargs))

    async def notifications(self) -> AsyncIterator[None]:
        """Yields once at the beginning and whenever another process has committed; ends where there can be no other."""
        return
        yield

    @abstractmethod
    async def close(self) -> None:
        """Finishes the writes that wait, then closes every connection."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it."""
        return self.dialect.name == "postgres"

    def _tell(self, entries: Sequence[Entry], jobs: Iterable[Job]) -> None:
        """After a commit, on the event loop: first the log hears of its entries, then the callers go on."""
        try:
            if entries and self.on_commit is not None:
                self.on_commit(entries)
        except Exception:
            log.exception("what follows the log failed after a commit")
        for job in jobs:
            job.finish()
