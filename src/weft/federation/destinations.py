"""Which servers don't answer, and when each is worth another try.

After a failure there is a pause, twice as long each time up to an hour; it is over at once when the server is heard
from, whoever began. What happens is written down, so that a restart does not begin with a round of time-outs, and is
told in the log, so that every process knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog

from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.positions import Entry

log = structlog.get_logger(__name__)

#: The kind of log entry: `key` is the server's name, followed by what the row says unless all is well.
KIND: Final = "destination"

FIRST_PAUSE_MS: Final = 2_000
LONGEST_PAUSE_MS: Final = 3_600_000
#: A server that nobody has tried for so long begins anew.
FORGOTTEN_AFTER_MS: Final = 14 * 24 * 3_600_000


class Failing(NamedTuple):
    """A server that does not answer."""

    server_name: str
    failing_since_ms: int
    retry_at_ms: int
    pause_ms: int


class Destinations:
    """Answers from memory; writes behind. `jitter` gives bytes by which pauses differ a little from each other."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int], jitter: Callable[[int], bytes]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._jitter = jitter
        self._failing: dict[str, Failing] = {}
        #: Called with the name of a server that failed and is heard from again.
        self.on_return: list[Callable[[str], None]] = []

    async def start(self) -> None:
        """Reads what was known when this process began."""
        for row in await self._database.read(read_all):
            self._failing.setdefault(row.server_name, row)

    def failing(self, server_name: str) -> Failing | None:
        """What is known of a server that does not answer; None of one that does, or was never tried."""
        return self._failing.get(server_name)

    def all_failing(self) -> list[str]:
        """The names of the servers that don't answer."""
        return list(self._failing)

    def is_available(self, server_name: str) -> bool:
        """Whether it is worth a try now."""
        failing = self._failing.get(server_name)
        return failing is None or failing.retry_at_ms <= self._now_ms()

    def failed(self, server_name: str) -> None:
        """It did not answer. Failures during a pause don't make it longer: they come from what was under way."""
        now_ms = self._now_ms()
        before = self._failing.get(server_name)
        if before is not None and before.retry_at_ms > now_ms:
            return
        pause = FIRST_PAUSE_MS if before is None else min(2 * before.pause_ms, LONGEST_PAUSE_MS)
        wait = pause * (896 + self._jitter(1)[0]) // 1024
        row = Failing(server_name, before.failing_since_ms if before else now_ms, now_ms + wait, pause)
        self._failing[server_name] = row
        self._write(put, row)

    def heard_from(self, server_name: str) -> None:
        """It answered, or asked us something: all is well."""
        if self._failing.pop(server_name, None) is not None:
            self._write(clear, server_name)
            self._returned(server_name)

    async def prune(self) -> None:
        """Forgets servers that nobody wants anything of any more."""
        before = self._now_ms() - FORGOTTEN_AFTER_MS
        for name in [row.server_name for row in self._failing.values() if row.retry_at_ms < before]:
            del self._failing[name]
        await self._database.write(prune, before)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what the log says, of other processes too."""
        for entry in entries:
            if entry.kind == KIND and entry.key is not None:
                name, *numbers = entry.key.split(" ")
                if numbers:
                    told, known = Failing(name, *map(int, numbers)), self._failing.get(name)
                    # What this process wrote may be told after it has found out more.
                    if known is None or told.retry_at_ms >= known.retry_at_ms:
                        self._failing[name] = told
                elif self._failing.pop(name, None) is not None:
                    self._returned(name)

    def _returned(self, server_name: str) -> None:
        for callback in self.on_return:
            callback(server_name)

    def _write(self, function: Callable[..., None], argument: object) -> None:
        self._database.submit(function, argument).add_done_callback(_noted)


def _noted(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.warning("whether another server answers could not be written down", error=str(done.exception()))


def read_all(tx: Transaction) -> list[Failing]:
    rows = tx.all("SELECT server_name, failing_since_ms, retry_at_ms, pause_ms FROM destinations")
    return [Failing(*row) for row in rows]


def put(tx: WriteTransaction, row: Failing) -> None:
    tx.append(KIND, key=" ".join(map(str, row)))
    tx.run(
        """INSERT INTO destinations (server_name, failing_since_ms, retry_at_ms, pause_ms)
           VALUES (:server_name, :failing_since_ms, :retry_at_ms, :pause_ms)
           ON CONFLICT (server_name) DO UPDATE SET failing_since_ms = excluded.failing_since_ms,
               retry_at_ms = excluded.retry_at_ms, pause_ms = excluded.pause_ms""",
        **row._asdict(),
    )


def clear(tx: WriteTransaction, server_name: str) -> None:
    if tx.run("DELETE FROM destinations WHERE server_name = :name", name=server_name):
        tx.append(KIND, key=server_name)


def prune(tx: WriteTransaction, before_ms: int) -> None:
    tx.run("DELETE FROM destinations WHERE retry_at_ms < :before", before=before_ms)
