"""The parts of accounts that need no server: what is known of tokens, passwords off the loop, sealed sessions."""

from __future__ import annotations

import asyncio
import os

import pytest

from weft.http.call import Requester
from weft.modules.accounts.passwords import Passwords
from weft.modules.accounts.token_cache import Known, TokenCache
from weft.modules.ui_auth.sealing import Kept, name_of, seal, unseal
from weft.protocol.errors import LimitExceeded, MatrixError
from weft.protocol.ui_auth import Operation, Session
from weft.settings import ByteSize
from weft.settings import Passwords as PasswordSettings
from weft.storage.cache import Budget


def known(user_id: str) -> Known:
    return Known(Requester(user_id=user_id, device_id="PHONE"), None)


def test_all_tokens_of_a_user_are_forgotten_at_once() -> None:
    cache = TokenCache(Budget(10 << 20))
    for number, user_id in enumerate(["@alice:here.test", "@alice:here.test", "@bob:here.test"]):
        cache.put(bytes([number]), known(user_id))
    generation = cache.generation
    cache.forget_user("@alice:here.test")
    cache.forget_user("@nobody:here.test")
    assert [cache.get(bytes([number])) is not None for number in range(3)] == [False, False, True]
    assert cache.generation == generation + 2


def test_what_is_known_is_bounded() -> None:
    cache = TokenCache(Budget(1 << 20))
    for number in range(10_000):
        cache.put(number.to_bytes(4, "big"), known(f"@user{number}:here.test"))
    assert cache.get((0).to_bytes(4, "big")) is None
    assert cache.get((9_999).to_bytes(4, "big")) is not None
    assert len(cache._by_hash) < 100
    assert len(cache._by_user) < 2_000


def passwords(concurrency: int = 1) -> Passwords:
    settings = PasswordSettings(memory_cost=ByteSize.parse("64K"), time_cost=1, concurrency=concurrency)
    return Passwords(settings, os.urandom)


async def test_passwords() -> None:
    judge = passwords()
    hash_ = await judge.hash("correct horse")
    assert await judge.verify(hash_, "correct horse")
    assert not await judge.verify(hash_, "Correct horse")
    assert not await judge.verify(None, "")
    assert not await judge.verify("not a hash", "correct horse")
    assert hash_ != await judge.hash("correct horse")
    assert not judge.is_outdated(hash_)
    assert judge.is_outdated(hash_.replace("t=1", "t=2"))
    judge.judge("12345678")
    with pytest.raises(MatrixError, match="at least 8"):
        judge.judge("1234567")


async def test_few_passwords_are_checked_at_a_time_and_not_many_wait() -> None:
    judge = passwords(concurrency=2)
    outcomes = await asyncio.gather(*(judge.hash("correct horse") for _ in range(150)), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, LimitExceeded)]
    assert len(refused) == 150 - 2 * 51
    assert all(isinstance(each, str) for each in outcomes if each not in refused)
    assert await judge.hash("correct horse")


def test_a_session_opens_with_its_id_only() -> None:
    value = Kept(Session("secret", Operation("POST", "/register"), {"password": "p"}), [["m.login.dummy"]], {}, True)
    sealed = seal(value, os.urandom(24))
    assert unseal(sealed, "secret") == value
    assert unseal(sealed, "Secret") is None
    assert unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "secret") is None
    assert unseal(b"", "secret") is None
    assert name_of("secret") != name_of("Secret")
