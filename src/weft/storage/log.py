"""The one log, as a process sees it: what is committed, in an order that every reader can follow.

`Log.head` is the vector up to which this process has applied entries. Entries reach it in one of two ways: its own
after each commit, other processes' by `catch_up`. Each is first given to the appliers (which bring what is kept in
memory up to date, at once, without waiting), then readers wake.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import structlog

from weft.storage import events
from weft.storage.database import Database, Transaction
from weft.storage.positions import NUMBER_MASK, WRITER_SHIFT, Entry, Vector, ranges_beyond

logger = structlog.get_logger(__name__)

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
        self._recent: deque[Entry] = deque()
        #: Everything at or below this vector may be missing from `_recent`.
        self._floor = Vector()
        self._appliers: list[Applier] = []
        #: Dicts, not sets: who has waited longest is woken first, so that one seed of the simulator is one run.
        self._waiting: dict[object, dict[asyncio.Future[None], None]] = defaultdict(dict)
        self._anything: dict[asyncio.Future[None], None] = {}
        self._catching: asyncio.Task[None] | None = None
        self._catch_next: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads how far the log goes. What lies before that is history, which readers look up."""
        self.head = self._floor = await self._database.read(heads)
        self._database.on_commit = self.publish
        self._database.read_missed = self._read_missed

    def on_entries(self, applier: Applier) -> None:
        """Has an applier called with every group of entries, in order, before anybody else hears of them."""
        self._appliers.append(applier)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Takes committed entries in: those of one writer in the order of their numbers, each once."""
        head = self.head
        fresh = [entry for entry in entries if entry.position not in head]
        if not fresh:
            return
        self._recent.extend(fresh)
        if len(self._recent) > _RECENT:
            dropped = [self._recent.popleft().position for _ in range(len(self._recent) - _RECENT)]
            self._floor = self._floor.advanced(dropped)
        self.head = head.advanced((fresh[-1].position,) if len(fresh) == 1 else (e.position for e in fresh))
        for applier in self._appliers:
            try:
                applier(fresh)
            except Exception:
                # The others must hear of it, and so must those who wait for the commit.
                logger.exception("what follows the log failed", applier=applier)
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
        self._waiting[key][future] = None
        deadline = loop.time() + timeout
        handle = loop.call_at(deadline, _resolve, future)
        try:
            await future
        finally:
            handle.cancel()
            futures = self._waiting.get(key)
            if futures is not None:
                futures.pop(future, None)
                if not futures:
                    del self._waiting[key]
        return loop.time() < deadline

    def close(self) -> None:
        """Ends all waiting, now and from now on: the server is about to stop."""
        self.closed = True
        for futures in list(self._waiting.values()):
            _wake(futures)
        self._waiting.clear()

    async def wait_for_anything(self) -> None:
        """Waits until the head moves."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._anything[future] = None
        try:
            await future
        finally:
            self._anything.pop(future, None)

    # -- reading

    def since(self, vector: Vector, limit: int = 10_000) -> list[Entry] | None:
        """The entries beyond a vector, oldest first, from memory; None where that is too far back, or too many."""
        behind = self.head.distance(vector)
        if behind > limit or not vector.covers(self._floor):
            return None
        newest: Iterator[Entry] = reversed(self._recent)
        if not self.head.is_of_one_writer:
            newest = (entry for entry in newest if entry.position not in vector)
        found = list(islice(newest, behind))
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
        more = True
        while more:
            # This process's own entries come by `publish`, in the order of its commits.
            own = self._database.writer.id if self._database.writer else 0
            entries, more = await self._database.read(_read_new, self.head, own)
            self.publish(entries)

    def _read_missed(self, tx: Transaction, writer: int) -> list[Entry]:
        others = Vector({one: NUMBER_MASK for (one,) in tx.all("SELECT writer FROM writers") if one != writer})
        return _with_events(tx, read_after(tx, self.head.joined(others), None, NUMBER_MASK))


def heads(tx: Transaction) -> Vector:
    """How far the log goes."""
    rows = tx.all(
        f"""SELECT (SELECT MAX(position) FROM log
                    WHERE position >= CAST(w.writer AS BIGINT) << {WRITER_SHIFT}
                      AND position < CAST(w.writer + 1 AS BIGINT) << {WRITER_SHIFT})
            FROM writers w"""
    )
    return Vector().advanced(position for (position,) in rows if position is not None)


def read_after(tx: Transaction, vector: Vector, except_writer: int | None, limit: int) -> list[Entry]:
    """Entries beyond a vector: each writer's in the order of its numbers, up to `limit` of one."""
    if except_writer is not None:
        vector = vector.joined(Vector({except_writer: NUMBER_MASK}))
    ranges = [one for pair in ranges_beyond(vector) for one in _split_after_its_writer(*pair)]
    bounds = {
        f"{name}_{i}": bound for i, pair in enumerate(ranges) for name, bound in zip(("a", "b"), pair, strict=True)
    }
    return [Entry(*row) for row in tx.all(_ranges_sql(len(ranges)), limit=limit, **bounds)]


def _split_after_its_writer(after: int, before: int) -> list[tuple[int, int]]:
    """A range that begins within a writer's entries as two: the rest of those, and the writers that follow."""
    end = ((after >> WRITER_SHIFT) + 1) << WRITER_SHIFT
    return [(after, end), (end, before)] if after and end < before else [(after, before)]


@lru_cache
def _ranges_sql(count: int) -> str:
    """One look for all writers: a range for each, and one for the writers between that are not known yet."""
    return " UNION ALL ".join(
        f"""SELECT * FROM (
                SELECT position, kind, room, user_id, key FROM log
                WHERE position > :a_{i} AND position < :b_{i} ORDER BY position LIMIT :limit
            ) r{i}"""
        for i in range(count)
    )


def _read_new(tx: Transaction, vector: Vector, own: int) -> tuple[list[Entry], bool]:
    """What other writers have appended, and whether there may be more."""
    entries = read_after(tx, vector, own, _BATCH)
    return _with_events(tx, entries), len(entries) >= _BATCH


def _with_events(tx: Transaction, entries: Sequence[Entry]) -> list[Entry]:
    """The entries with the events themselves as payload, as their own process would have them."""
    positions = [entry.position for entry in entries if entry.kind == "event"]
    at = events.by_positions(tx, positions) if positions else {}
    named = [entry.key for entry in entries if entry.kind in ("redacted", "history") and entry.key]
    by_id = events.by_ids(tx, named) if named else {}
    return [
        entry._replace(payload=at.get(entry.position) if entry.kind == "event" else by_id.get(entry.key or ""))
        if entry.kind in ("event", "redacted", "history")
        else entry
        for entry in entries
    ]


def _wake(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in list(futures):
        _resolve(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
