"""How fast the room engine writes and reads, without HTTP: `python benchmarks/engine.py [URL]`.

URL is a database (`postgresql://…`, empty); without it a SQLite file in a temporary folder is used and measured. Every
message is signed, judged and on disk before it counts.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from weft.graph.build import Draft, Identity
from weft.protocol.room_versions import room_version
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine, Outside
from weft.rooms.room import Room
from weft.storage.cache import Budget
from weft.storage.database import Transaction
from weft.storage.open import open_database

ALICE = "@alice:bench.test"
VERSION = room_version("10")
MESSAGES = int(os.environ.get("MESSAGES", "4000"))
TEXT = "The quick brown fox jumps over the lazy dog, again and again, number {}."


def message(number: int) -> Draft:
    content = {"body": TEXT.format(number), "msgtype": "m.text"}
    return Draft(type="m.room.message", sender=ALICE, content=content)


def member(user_id: str) -> Draft:
    return Draft(type="m.room.member", sender=user_id, content={"membership": "join"}, state_key=user_id)


async def make_room(engine: Engine, name: str) -> Room:
    content = {"room_version": VERSION.identifier, "creator": ALICE}
    drafts = [
        Draft(type="m.room.create", sender=ALICE, content=content, state_key=""),
        member(ALICE),
        Draft(type="m.room.power_levels", sender=ALICE, content={"users": {ALICE: 100}}, state_key=""),
        Draft(type="m.room.join_rules", sender=ALICE, content={"join_rule": "public"}, state_key=""),
    ]
    return await engine.append.create(VERSION, f"!{name}:bench.test", drafts)


async def timed(what: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"| {what} | {count / wall:,.0f} | {1e6 * cpu / count:,.0f} |")


async def senders(engine: Engine, rooms: list[Room], count: int) -> None:
    async def send(room: Room) -> None:
        for number in range(MESSAGES // count):
            await engine.append.append(room.id, message(number))

    await asyncio.gather(*(send(rooms[number % len(rooms)]) for number in range(count)))


async def joins(engine: Engine, room: Room, count: int, first: int, at_once: int) -> None:
    async def join(start: int) -> None:
        for number in range(start, first + count, at_once):
            user_id = f"@user{number}:bench.test"
            await engine.append.append(room.id, member(user_id))

    await asyncio.gather(*(join(first + start) for start in range(at_once)))


async def reads(engine: Engine, room: Room, count: int) -> None:
    for _ in range(count):
        engine.rooms.drop(room.id)
        await engine.rooms.get(room.id)


async def run(url: str, file: Path | None) -> None:
    database = await open_database(url, [])
    engine = Engine(
        database,
        identities={
            "bench.test": Identity("bench.test", SigningKey("ed25519:a", bytes(32)), lambda: os.urandom(9).hex())
        },
        outside=Outside(lambda: time.time_ns() // 1_000_000, os.urandom),
        budget=Budget(256 << 20),
        name="bench",
    )
    await engine.start()
    print("| work | per second | µs of processor each |\n| --- | --- | --- |")
    room = await make_room(engine, "one")
    many = [await make_room(engine, f"many{number}") for number in range(16)]
    await senders(engine, [room], 16)
    for count in (1, 16, 100):
        await timed(f"send, {count} at once, one room", MESSAGES, partial(senders, engine, [room], count))
    await timed("send, 16 at once, 16 rooms", MESSAGES, lambda: senders(engine, many, 16))
    if file is not None:
        await measure_disk(engine, room, file)
    crowded = await make_room(engine, "crowded")
    await timed("join, one at a time", 500, lambda: joins(engine, crowded, 500, 0, 1))
    await timed("join, 16 at once", 2_000, lambda: joins(engine, crowded, 2_000, 1_000, 16))
    await timed("send, 16 at once, room of 2,500 members", MESSAGES, lambda: senders(engine, [crowded], 16))
    await timed("create a room", 200, lambda: asyncio.gather(*(make_room(engine, f"new{n}") for n in range(200))))
    await timed("read a room of 2,500 members from disk", 20, lambda: reads(engine, crowded, 20))
    await timed("read a room of one member from disk", 200, lambda: reads(engine, many[0], 200))
    await engine.stop()


async def measure_disk(engine: Engine, room: Room, file: Path) -> None:
    before = await engine.database.read(_bytes_in_use)
    await senders(engine, [room], 16)
    after = await engine.database.read(_bytes_in_use)
    json = len(room.timeline[-1].event.wire)
    print(
        f"| bytes on disk for a message ({json} of them are the event itself) | {(after - before) / MESSAGES:,.0f} | |"
    )


def _bytes_in_use(tx: Transaction) -> int:
    pages: int = tx.value("SELECT page_count FROM pragma_page_count")
    free: int = tx.value("SELECT freelist_count FROM pragma_freelist_count")
    size: int = tx.value("SELECT page_size FROM pragma_page_size")
    return (pages - free) * size


def main() -> None:
    if len(sys.argv) > 1:
        uvloop.run(run(sys.argv[1], None))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.db"
        uvloop.run(run(f"sqlite:{file}", file))


if __name__ == "__main__":
    main()
