"""Two processes on one database send to other servers: one at a time to each, and the other takes over."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from pathlib import Path

import orjson

from tests.federation.kit import MemoryKit
from tests.federation.people import create, join, say, told
from weft.federation.transport import OutgoingRequest
from weft.testing import Twins


async def test_the_other_takes_over_when_the_sender_dies(weft_database: str, tmp_path: Path) -> None:
    """Messages flow all the while: none is lost or shown twice, and no two transactions are under way at once."""
    kit = MemoryKit(tmp_path, weft_database)
    one, two = await kit(2)
    assert isinstance(one, Twins)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    sent: Counter[str] = Counter()
    most = under_way = 0

    async def watch(request: OutgoingRequest) -> None:
        nonlocal most, under_way
        if request.destination == "two.test" and "/send/" in request.uri:
            under_way += 1
            most = max(most, under_way)
            bodies = [pdu["content"].get("body") for pdu in orjson.loads(request.body or b"{}")["pdus"]]
            sent.update(body for body in bodies if body is not None)

    def ended(request: OutgoingRequest, answer: object) -> None:
        nonlocal under_way
        if request.destination == "two.test" and "/send/" in request.uri:
            under_way -= 1

    kit.network.on_request.append(watch)
    kit.network.on_answer.append(ended)
    said = [f"message {number}" for number in range(12)]
    for text in said[:6]:
        await say(alice, room_id, text)
    await lose_sender(one, "two.test")
    for text in said[6:]:
        await say(alice, room_id, text)
    # A lease that its holder does not renew ends.
    one.clock.advance(11)
    await told(bob, room_id, *said)
    assert most == 1
    assert set(said) <= sent.keys()
    assert max(sent.values()) <= 2
    await asyncio.sleep(0)
    await kit.close()


async def lose_sender(twins: Twins, destination: str) -> None:
    """The process that sends to a server ends without letting go of anything."""
    share = f"sender/{zlib.crc32(destination.encode()) % 4}"
    for process in twins.both:
        followings = process.engine._followings
        if followings[share].is_following:
            for following in followings.values():
                following.release = _nothing  # type: ignore[method-assign]
            await twins.lose(process)
            return
    raise AssertionError("nobody sends")


async def _nothing() -> None:
    pass
