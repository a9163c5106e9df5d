"""A process that writes to rooms as fast as it can and says which events were acknowledged, until it is killed.

`python crash_writer.py URL SEED`: each line of its output is the id of an event that is on disk.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence

from weft.graph.build import Draft, Identity
from weft.protocol.room_versions import room_version
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine, Outside
from weft.storage.cache import Budget
from weft.storage.followers import Follower
from weft.storage.open import open_database
from weft.storage.positions import Entry

DOMAIN = "crash.test"
CREATOR = f"@creator:{DOMAIN}"
ROOMS = 3
WRITERS = 12


async def engine_on(url: str, name: str, followers: tuple[Follower, ...] = ()) -> Engine:
    """An engine for one domain, started."""
    engine = Engine(
        await open_database(url, []),
        identities={DOMAIN: Identity(DOMAIN, SigningKey("ed25519:crash", bytes(32)), lambda: os.urandom(9).hex())},
        outside=Outside(now_ms=lambda: time.time_ns() // 1_000_000, random_bytes=os.urandom),
        budget=Budget(64 << 20),
        name=name,
    )
    await engine.start(followers)
    return engine


def follower() -> Follower:
    """Follows the log for its cursor's sake."""

    async def handle(_: Sequence[Entry]) -> None:
        await asyncio.sleep(0)

    return Follower("crash", {"event"}, handle)


async def write(url: str, seed: int) -> None:
    chosen = random.Random(seed)
    engine = await engine_on(url, f"writer-{seed}", (follower(),))
    room_ids: list[str] = []
    for _ in range(ROOMS):
        room = await engine.append.create(
            room_version("12"),
            None,
            [
                Draft(type="m.room.create", sender=CREATOR, content={"room_version": "12"}, state_key=""),
                Draft(type="m.room.member", sender=CREATOR, content={"membership": "join"}, state_key=CREATOR),
                Draft(type="m.room.join_rules", sender=CREATOR, content={"join_rule": "public"}, state_key=""),
            ],
        )
        room_ids.append(room.id)
    said = 0

    async def say(number: int) -> None:
        nonlocal said
        while True:
            said += 1
            room_id = chosen.choice(room_ids)
            draft = Draft(type="m.room.message", sender=CREATOR, content={"body": str(said), "msgtype": "m.text"})
            if said % 3 == 0:
                who = f"@user{number}-{said % 7}:{DOMAIN}"
                content = {"membership": "join", "displayname": str(said)}
                draft = Draft(type="m.room.member", sender=who, content=content, state_key=who)
            elif said % 11 == 0:
                draft = Draft(type="m.room.name", sender=CREATOR, content={"name": str(said)}, state_key="")
            stored = await engine.append.append(room_id, draft)
            sys.stdout.write(stored.event.event_id + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(say(number) for number in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
