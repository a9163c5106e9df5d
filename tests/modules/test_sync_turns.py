"""One answer in each pass of the event loop."""

from __future__ import annotations

import asyncio

from weft.modules.sync.turns import Turns


async def test_others_run_between_two_turns() -> None:
    turns, order = Turns(), list[str]()

    async def answer(name: str) -> None:
        await turns.take()
        order.append(name)

    async def something_else() -> None:
        for _ in range(8):
            order.append("-")
            await asyncio.sleep(0)

    await asyncio.gather(answer("a"), answer("b"), answer("c"), something_else())
    text = "".join(order)
    assert text.replace("-", "") == "abc"
    assert "ab" not in text
    assert "bc" not in text


async def test_who_hangs_up_holds_nobody_up() -> None:
    turns = Turns()
    await turns.take()
    gone = asyncio.create_task(turns.take())
    patient = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(patient, 1)
    await asyncio.wait_for(turns.take(), 1)


async def test_a_turn_alone_waits_for_nothing() -> None:
    turns = Turns()
    for _ in range(3):
        task = asyncio.create_task(turns.take())
        await asyncio.sleep(0)
        assert task.done()
        await asyncio.sleep(0)
