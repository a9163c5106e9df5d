"""Followers: readers of the log that act after the commit, each with a cursor of its own.

A durable follower's cursor is a row; after a crash it starts again from there, so whatever it does must bear being
done twice. On a shared database one process at a time runs a durable follower: who holds its lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

import structlog

from weft.storage import leases
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.log import Log, heads, read_after
from weft.storage.positions import Entry, Vector

log = structlog.get_logger(__name__)

_BATCH = 500
_LEASE_MS = 10_000
_RETRY_SECONDS = 1.0
_SETTLING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Follower:
    """`handle` is given entries of the `kinds` in order, and may fail: it is then called again with the same."""

    name: str
    kinds: Collection[str]
    handle: Callable[[Sequence[Entry]], Awaitable[None]]
    #: Where it starts the first time: at the log's beginning, or at its present end.
    from_beginning: bool = True
    #: Held while this process is the one that follows.
    session: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    #: How much of what was handled is dealt with for good, for one that goes on working after `handle` returned: no
    #: more than that is written down.
    settled: Callable[[Vector], Vector] | None = None


class Following:
    """Runs one follower until cancelled."""

    def __init__(
        self, follower: Follower, database: Database, log_: Log, holder: str, now_ms: Callable[[], int]
    ) -> None:
        self.follower = follower
        self._database = database
        self._log = log_
        self._holder = holder
        self._now_ms = now_ms
        self.cursor = Vector()
        #: Whether this process is the one that follows.
        self.is_following = False
        self._moved = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                if await self._hold():
                    await self._run_while_held()
            except Exception:
                log.exception("follower failed; it starts again", follower=self.follower.name)
            await asyncio.sleep(_RETRY_SECONDS)

    async def caught_up(self, vector: Vector) -> None:
        """Returns once everything in the vector is handled, by whichever process runs the follower."""
        while not self.cursor.covers(vector):
            if self._database.shared:
                if (await self._database.read(cursor, self.follower.name)).covers(vector):
                    return
                await asyncio.sleep(0.02)
            else:
                self._moved.clear()
                await self._moved.wait()

    async def release(self) -> None:
        """Lets another process take over at once."""
        if self._database.shared:
            await self._database.write(leases.release, self._lease, self._holder)

    @property
    def _lease(self) -> str:
        return f"follower/{self.follower.name}"

    async def _run_while_held(self) -> None:
        """Follows until the lease is lost, which another process may then hold already."""
        if not self._database.shared:
            await self._follow()
            return
        following = asyncio.create_task(self._follow())
        try:
            while not following.done():
                await asyncio.wait([following], timeout=_LEASE_MS / 3000)
                if not following.done() and not await self._hold():
                    return
            following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        async with self.follower.session():
            self.is_following = True
            try:
                await self._follow_on()
            finally:
                self.is_following = False

    async def _follow_on(self) -> None:
        self.cursor = await self._database.write(_start, self.follower)
        settled = self._settled()
        passed = 0
        while True:
            entries, following = await self._next()
            if not entries:
                settled = await self._wait(settled)
                continue
            chosen = [entry for entry in entries if entry.kind in self.follower.kinds]
            if chosen:
                await self.follower.handle(chosen)
            passed += len(entries)
            # What was none of its business may be passed again after a crash; other processes look at the row.
            if self.follower.settled is None and (chosen or passed >= _BATCH or self._database.shared):
                await self._database.write(save_cursor, self.follower.name, following)
                passed = 0
            self.cursor = following
            self._moved.set()
            if self.follower.settled is not None and passed >= _BATCH:
                settled, passed = await self._save_settled(settled), 0

    def _settled(self) -> Vector:
        return self.cursor if self.follower.settled is None else self.follower.settled(self.cursor)

    async def _save_settled(self, before: Vector) -> Vector:
        now = self._settled()
        if now != before:
            await self._database.write(save_cursor, self.follower.name, now)
        return now

    async def _wait(self, settled: Vector) -> Vector:
        """Waits for news; meanwhile what has become settled is written down, a little later."""
        if self.follower.settled is None or settled == self.cursor:
            await self._log.wait_for_anything()
            return settled
        try:
            async with asyncio.timeout(_SETTLING_SECONDS):
                await self._log.wait_for_anything()
        except TimeoutError:
            return await self._save_settled(settled)
        return settled

    async def _next(self) -> tuple[list[Entry], Vector]:
        """What comes next, and how far that goes."""
        head = self._log.head
        entries = self._log.since(self.cursor, limit=_BATCH)
        if entries is not None:
            return entries, head
        found = await self._database.read(read_after, self.cursor, None, _BATCH)
        # What this process has not applied yet, the follower would meet with a view of rooms that is behind.
        head = self._log.head
        entries = [entry for entry in found if entry.position in head]
        return entries, self.cursor.advanced(entry.position for entry in entries)

    async def _hold(self) -> bool:
        if not self._database.shared:
            return True
        return await self._database.write(
            leases.take, self._lease, self._holder, now_ms=self._now_ms(), for_ms=_LEASE_MS
        )


def cursor(tx: Transaction, name: str) -> Vector:
    """How far a follower has come."""
    rows = tx.all("SELECT writer, number FROM followers WHERE name = :name", name=name)
    return Vector(dict(rows))


def save_cursor(tx: WriteTransaction, name: str, vector: Vector) -> None:
    tx.many(
        """INSERT INTO followers (name, writer, number) VALUES (:name, :writer, :number)
           ON CONFLICT (name, writer) DO UPDATE SET number = excluded.number
           WHERE followers.number < excluded.number""",
        [{"name": name, "writer": writer, "number": number} for writer, number in vector],
    )


def _start(tx: WriteTransaction, follower: Follower) -> Vector:
    found = cursor(tx, follower.name)
    if found == Vector() and not follower.from_beginning:
        # A row for a writer that never was marks that the start is made, also in an empty log.
        found = heads(tx)
        save_cursor(tx, follower.name, found.joined(Vector({0: 1})))
    return found
