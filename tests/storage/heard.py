"""What several tests of the log need."""

from __future__ import annotations

from collections.abc import Sequence

from weft.storage.database import Database, WriteTransaction
from weft.storage.log import Log
from weft.storage.positions import WRITER_SHIFT, Entry, split


def append(tx: WriteTransaction, key: str) -> int:
    return tx.append("test", key=key)


class Heard:
    """What a log's readers were given."""

    def __init__(self, log: Log) -> None:
        self.entries: list[Entry] = []
        log.on_entries(self._take)

    def _take(self, entries: Sequence[Entry]) -> None:
        self.entries.extend(entries)

    @property
    def keys(self) -> list[str | None]:
        return [entry.key for entry in self.entries]

    def check(self) -> None:
        """Each once, and each writer's in order, without gaps."""
        numbers: dict[int, list[int]] = {}
        for entry in self.entries:
            writer, number = split(entry.position)
            numbers.setdefault(writer, []).append(number)
        for found in numbers.values():
            assert found == list(range(found[0], found[0] + len(found)))


async def started(database: Database, name: str) -> tuple[Log, Heard]:
    await database.become_writer(name)
    log = Log(database)
    heard = Heard(log)
    await log.start()
    return log, heard


def entry(writer: int, number: int) -> Entry:
    return Entry(writer << WRITER_SHIFT | number, "test", key=f"{writer}.{number}")
