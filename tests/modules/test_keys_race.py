"""Many who claim at the same time, through two processes on one database: no key is given twice, and none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
    finally:
        await twins.stop()


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
