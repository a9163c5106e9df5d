"""`weft keys forget-one-time`, on a server as people run it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from tests.cli.commands import refused, run
from tests.clients.running import RunningWeft
from tests.interop.people import Person, Society
from tests.modules.encryption import Keys

T = TypeVar("T")


def test_no_key_that_was_left_is_given_away_any_more(tmp_path: Path) -> None:
    """And devices see that they have to leave new ones."""
    server = RunningWeft(tmp_path / "data")
    server.start()
    try:
        alice = talk(lambda web: _with_keys(web, server, 7))
        assert "stop it first" in refused("keys", "forget-one-time", "--data", server.folder).lower()
    finally:
        server.stop()
    done = run("keys", "forget-one-time", "--data", server.folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("7 one-time keys are given to nobody any more.")
    assert run("keys", "forget-one-time", "--data", server.folder).stdout.startswith("0 one-time keys ")
    server.start()
    try:
        assert talk(lambda web: _count(web, server, alice)) == {"signed_curve25519": 0}
    finally:
        server.stop()


def talk(what: Callable[[aiohttp.ClientSession], Awaitable[T]]) -> T:
    async def talking() -> T:
        async with aiohttp.ClientSession() as web:
            return await what(web)

    return asyncio.run(talking())


async def _with_keys(web: aiohttp.ClientSession, server: RunningWeft, number: int) -> Person:
    alice = await Society(web, ssl.create_default_context())("alice", server)
    await Keys(alice).upload(number)
    return alice


async def _count(web: aiohttp.ClientSession, server: RunningWeft, of: Person) -> dict[str, int]:
    trust = ssl.create_default_context()
    again = Person(server, web, trust, token=of.token, user_id=of.user_id, device_id=of.device_id)
    counts: dict[str, int] = (await again.sync())["device_one_time_keys_count"]
    return counts
