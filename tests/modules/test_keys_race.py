"""Many who claim at the same time, through two processes on one database: no key is given twice, and none is lost.

Two servers in one process take turns as a test's random numbers have it; two processes of the operating system as the
machine has it.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from tests.clients.running import RunningWeft
from tests.interop.people import Person, Society
from tests.modules.encryption import V3, Keys, claim
from tests.watching import validated
from weft.testing import Client, Twins

_KEYS, _ASKERS = 120, 12


async def test_two_processes_give_each_key_once(weft_database: str, tmp_path: Path) -> None:
    twins = Twins(tmp_path, settings={"database": {"url": weft_database}}, seed=3, watch=validated)
    await twins.start()
    try:
        alice = await twins.user("alice")
        keys = Keys(alice)
        await keys.upload(_KEYS, fallback_keys=keys.fallback())
        askers = [await twins.user() for _ in range(_ASKERS)]

        await all_ask(alice, askers)
    finally:
        await twins.stop()


async def test_two_processes_of_the_operating_system_give_each_key_once(weft_database: str, tmp_path: Path) -> None:
    settings = {"database.url": weft_database}
    first, second = RunningWeft(tmp_path / "first", settings), RunningWeft(tmp_path / "second", settings)
    # They speak for the same domain.
    shutil.copytree(first.folder, second.folder, dirs_exist_ok=True)
    try:
        for process in (first, second):
            await asyncio.to_thread(process.start)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as web:
            trust = ssl.create_default_context()
            person = Society(web, trust)
            alice = await person("alice", first)
            keys = Keys(alice)
            await keys.upload(_KEYS, fallback_keys=keys.fallback())
            askers: list[Client] = []
            for number in range(_ASKERS):
                asker = await person("asker", first)
                who = {"token": asker.token, "user_id": asker.user_id, "device_id": asker.device_id}
                askers.append(Person((first, second)[number % 2], web, trust, **who))
            await all_ask(alice, askers)
    finally:
        for process in (first, second):
            await asyncio.to_thread(process.stop)


async def all_ask(alice: Client, askers: Sequence[Client]) -> None:
    """Everybody claims Alice's keys until there are none left but the fallback key; each is given to one of them."""

    async def ask(asker: Client) -> list[str]:
        given: list[str] = []
        while True:
            ((name, _),) = (await claim(asker, alice))[alice.device_id].items()
            if name == "signed_curve25519:F1":
                return given
            given.append(name)

    given = [name for names in await asyncio.gather(*map(ask, askers)) for name in names]
    # Who found every key in somebody else's hands was given the fallback key.
    left = _KEYS - len(given)
    assert len(given) == len(set(given))
    since = (await alice.sync())["next_batch"]
    answer = await alice.sync(since)
    assert answer["device_one_time_keys_count"] == {"signed_curve25519": left}
    assert answer["device_unused_fallback_key_types"] == []


async def test_both_processes_take_the_same_upload(weft_database: str, tmp_path: Path) -> None:
    twins = Twins(tmp_path, settings={"database": {"url": weft_database}}, seed=5, watch=validated)
    await twins.start()
    try:
        alice = await twins.user("alice")
        keys = Keys(alice)
        body = {"device_keys": keys.device(), "one_time_keys": keys.one_time(40)}
        answers = await asyncio.gather(*(alice.post(f"{V3}/keys/upload", body) for _ in range(8)))
        assert [answer.ok()["one_time_key_counts"] for answer in answers] == [{"signed_curve25519": 40}] * 8
    finally:
        await twins.stop()
