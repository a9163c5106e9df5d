"""The one log, as a process sees it: what is committed, in an order that every reader can follow.

`Log.head` is the vector up to which this process has applied entries. Entries reach it in one of two ways: its own
after each commit, other processes' by `catch_up`. Each is first given to the appliers (which bring what is kept in
memory up to date, at once, without waiting), then readers wake.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence

from weft.storage import events
from weft.storage.database import Database, Transaction
from weft.storage.positions import NUMBER_MASK, WRITER_SHIFT, Entry, Vector

Applier = Callable[[Sequence[Entry]], None]

#: How many entries of each writer are read at a time.
_BATCH = 2_000

#: How many entries are kept in memory for readers that are a little behind.
_RECENT = 65_536


class Log:
    """The log of one process. Everything but `catch_up` and `read_after` runs without waiting, on the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.head = Vector()
        #: Whether the server is about to stop, so that nobody should wait any more.
        self.closed = False
        self._recent: deque[Entry] = deque(maxlen=_RECENT)
        #: Everything at or below this vector may be missing from `_recent`.
        self._floor = Vector()
        self._appliers: list[Applier] = []
        self._waiting: dict[object, set[asyncio.Future[None]]] = defaultdict(set)
        self._anything: set[asyncio.Future[None]] = set()
        self._catching: asyncio.Task[None] | None = None
        self._catch_next: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads how far the log goes. What lies before that is history, which readers look up."""
        self.head = self._floor = await self._database.read(heads)
        self._database.on_commit = self.publish

    def on_entries(self, applier: Applier) -> None:
        """Has an applier called with every group of entries, in order, before anybody else hears of them."""
        self._appliers.append(applier)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Takes committed entries in: those of one writer in the order of their numbers, each once."""
        head = self.head
        fresh = [entry for entry in entries if entry.position not in head]
        if not fresh:
            return
        if len(self._recent) + len(fresh) > _RECENT:
            overflow = len(self._recent) + len(fresh) - _RECENT
            dropped = list(self._recent)[:overflow] + fresh[: max(0, overflow - len(self._recent))]
            self._floor = self._floor.advanced(entry.position for entry in dropped)
        self._recent.extend(fresh)
        self.head = head.advanced((fresh[-1].position,) if len(fresh) == 1 else (e.position for e in fresh))
        for applier in self._appliers:
            applier(fresh)
        _wake(self._anything)

    # -- waiting

    def wake(self, keys: Iterable[object]) -> None:
        """Wakes those who wait for one of the keys; called by appliers that know whom an entry concerns."""
        for key in keys:
            futures = self._waiting.pop(key, None)
            if futures:
                _wake(futures)

    def is_waiting(self, key: object) -> bool:
        return key in self._waiting

    @property
    def waiting(self) -> Collection[object]:
        """The keys that somebody waits for."""
        return self._waiting.keys()

    async def wait(self, key: object, timeout: float) -> bool:
        """Waits until `wake` is called with the key; False after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[key].add(future)
        handle = loop.call_later(timeout, _resolve, future)
        try:
            await future
        finally:
            handle.cancel()
            futures = self._waiting.get(key)
            if futures is not None:
                futures.discard(future)
                if not futures:
                    del self._waiting[key]
        return loop.time() < handle.when()

    def close(self) -> None:
        """Ends all waiting, now and from now on: the server is about to stop."""
        self.closed = True
        for futures in list(self._waiting.values()):
            _wake(futures)
        self._waiting.clear()

    async def wait_for_anything(self) -> None:
        """Waits until the head moves."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._anything.add(future)
        try:
            await future
        finally:
            self._anything.discard(future)

    # -- reading

    def since(self, vector: Vector, limit: int = 10_000) -> list[Entry] | None:
        """The entries beyond a vector, oldest first, from memory; None where that is too far back, or too many."""
        behind = self.head.distance(vector)
        if behind > limit or not vector.covers(self._floor):
            return None
        found: list[Entry] = []
        for entry in reversed(self._recent):
            if len(found) == behind:
                break
            if entry.position not in vector:
                found.append(entry)
        found.reverse()
        return found

    async def catch_up(self, beyond: Vector | None = None) -> None:
        """Applies what other processes have committed before this call.

        Callers that come while one look is under way share the next one. Does nothing where this is the only writer.
        """
        if not self._database.shared:
            return
        if beyond is not None and self.head.covers(beyond):
            return
        if self._catching is None or self._catching.done():
            task = self._catching = asyncio.create_task(self._catch_up())
        elif self._catch_next is None or self._catch_next.done():
            task = self._catch_next = asyncio.create_task(self._catch_up_after(self._catching))
        else:
            task = self._catch_next
        await asyncio.shield(task)

    async def _catch_up_after(self, task: asyncio.Task[None]) -> None:
        await asyncio.wait([task])
        self._catching = self._catch_next
        self._catch_next = None
        await self._catch_up()

    async def _catch_up(self) -> None:
        own = self._database.writer.id if self._database.writer else 0
        while True:
            entries = await self._database.read(_read_with_events, self.head, own)
            self.publish(entries)
            if len(entries) < _BATCH:
                return


def heads(tx: Transaction) -> Vector:
    """How far the log goes."""
    numbers: dict[int, int] = {}
    for (writer,) in tx.all("SELECT writer FROM writers"):
        position: int | None = tx.value(
            "SELECT MAX(position) FROM log WHERE position >= :first AND position < :beyond",
            first=writer << WRITER_SHIFT,
            beyond=(writer + 1) << WRITER_SHIFT,
        )
        if position is not None:
            numbers[writer] = position & NUMBER_MASK
    return Vector(numbers)


def read_after(tx: Transaction, vector: Vector, except_writer: int | None, limit: int) -> list[Entry]:
    """Entries beyond a vector: each writer's in the order of its numbers."""
    found: list[Entry] = []
    for (writer,) in tx.all("SELECT writer FROM writers ORDER BY writer"):
        if writer == except_writer:
            continue
        rows = tx.all(
            """SELECT position, kind, room, user_id, key FROM log
               WHERE position > :after AND position < :beyond ORDER BY position LIMIT :limit""",
            after=(writer << WRITER_SHIFT) + vector.number(writer),
            beyond=(writer + 1) << WRITER_SHIFT,
            limit=limit,
        )
        found.extend(Entry(*row) for row in rows)
    return found


def _read_with_events(tx: Transaction, vector: Vector, except_writer: int) -> list[Entry]:
    """As `read_after`, with the events themselves as payload, as their own process would have them."""
    entries = read_after(tx, vector, except_writer, _BATCH)
    positions = [entry.position for entry in entries if entry.kind == "event"]
    at = events.by_positions(tx, positions) if positions else {}
    redacted = [entry.key for entry in entries if entry.kind == "redacted" and entry.key]
    by_id = events.by_ids(tx, redacted) if redacted else {}
    return [
        entry._replace(payload=at.get(entry.position) or by_id.get(entry.key or "")) for entry in entries
    ]


def _wake(futures: set[asyncio.Future[None]]) -> None:
    for future in list(futures):
        _resolve(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


