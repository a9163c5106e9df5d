"""Transactions, and the two ways to run one: `await db.read(fn, …)` and `await db.write(fn, …)`.

Store functions are plain functions whose first argument is a `Transaction`; they run whole, so that no transaction
can wait on the network. A function given to `write` may run more than once (after a conflict with another
process), so it changes nothing outside its transaction.

Writes are grouped: while one commit is under way, what arrives waits and shares the next. Each runs in its own
savepoint; one that raises undoes only itself.

What a write appends to the log is handed to `Database.on_commit` after the commit and before the caller of
`write` goes on, in the order of its numbers.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from weft.protocol.errors import WeftError
from weft.storage.dialect import Dialect
from weft.storage.positions import Entry, WRITER_SHIFT

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]


class DatabaseError(WeftError):
    """The database can't be used as it is; the message says why and what to do."""


class UniqueViolation(WeftError):
    """A row that must be unique is there already."""


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
    """This process's place in the log: its leased id, and the number of its newest committed entry."""

    id: int
    number: int


class WriteTransaction(Transaction):
    """A transaction that may change rows and append to the log."""

    writer: Writer
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
        number = self.writer.number + len(self.entries) + 1
        position = self.writer.id << WRITER_SHIFT | number
        self.run(_INSERT_ENTRY, position=position, kind=kind, room=room, user_id=user_id, key=key)
        self.entries.append(Entry(position, kind, room, user_id, key, payload))
        return position


_INSERT_ENTRY = """
    INSERT INTO log (position, kind, room, user_id, key) VALUES (:position, :kind, :room, :user_id, :key)
"""


@dataclass(slots=True)
class Job:
    """A write that waits for its group."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Database(ABC):
    """An open database. `writer` is set before the first write that appends to the log."""

    dialect: Dialect
    writer: Writer | None = None
    #: Called on the event loop with the entries of each committed group.
    on_commit: Callable[[Sequence[Entry]], None] | None = None

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
        """Queues a writing function; the future is done once it is on disk. Writes run in the order they are queued in."""

    async def write(self, fn: Callable[Concatenate[WriteTransaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a writing function; returns once it is on disk. A caller that is cancelled does not undo it."""
        return await asyncio.shield(self.submit(fn, *args, **kwargs))

    @abstractmethod
    async def close(self) -> None:
        """Finishes the writes that wait, then closes every connection."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it."""
        return self.dialect.name == "postgres"
