"""What was acknowledged is on disk: the process is killed in the middle of its writes, again and again.

After each kill the database is opened again. Every acknowledged event is there, nothing is half written, no writer's
numbers have a gap, and followers go on. `WEFT_CRASHES` sets how often.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rooms.crash_writer import engine_on, follower
from tests.rooms.engines import check_database

CRASHES = int(os.environ.get("WEFT_CRASHES", "5"))
WRITER = Path(__file__).with_name("crash_writer.py")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'crash.db'}"
    database: str = request.getfixturevalue("postgres_database")
    return database


def killed_in_the_middle(url: str, seed: int) -> list[str]:
    """Runs the writer, kills it at a random moment, and returns the ids that it said were on disk."""
    chosen = random.Random(seed)
    with subprocess.Popen([sys.executable, WRITER, url, str(seed)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip()]
        for _ in range(chosen.randrange(1, 400)):
            said.append(writer.stdout.readline().strip())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    # The last line may be cut in the middle: what it says was acknowledged all the same, but can't be read.
    said += [line for line in rest.split("\n")[:-1] if line]
    return [event_id for event_id in said if event_id]


async def test_what_was_acknowledged_survives_the_kill(url: str) -> None:
    acknowledged: list[str] = []
    for crash in range(CRASHES):
        acknowledged += await asyncio.to_thread(killed_in_the_middle, url, crash)
        engine = await engine_on(url, f"reader-{crash}", (follower(),))
        try:
            await engine.database.read(check_database)
            there = await engine.rooms.events(acknowledged)
            assert not set(acknowledged) - there.keys(), "an acknowledged event is lost"
            if crash == CRASHES - 1 or not engine.database.shared:
                # On a shared database the dead process's lease has to run out first.
                async with asyncio.timeout(60):
                    await engine.followed("crash")
        finally:
            await engine.stop()
    assert len(acknowledged) > 100
