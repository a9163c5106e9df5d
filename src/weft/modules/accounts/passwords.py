"""Passwords: argon2id, off the event loop, few at a time.

https://www.rfc-editor.org/rfc/rfc9106
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from weft.protocol.errors import LimitExceeded, MatrixError
from weft.settings import Passwords as PasswordSettings

T = TypeVar("T")

_SALT: Final = 16
#: How many may wait for each that is at work; who comes after that is sent away.
_MAX_WAITING: Final = 50


class Passwords:
    def __init__(self, settings: PasswordSettings, random_bytes: Callable[[int], bytes]) -> None:
        #: Characters that a new password has at least.
        self.minimum = settings.minimum_length
        self._random_bytes = random_bytes
        self._hasher = PasswordHasher(
            time_cost=settings.time_cost,
            memory_cost=max(8, settings.memory_cost // 1024),
            parallelism=1,
            salt_len=_SALT,
            type=Type.ID,
        )
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._most = settings.concurrency * (_MAX_WAITING + 1)
        self._here = 0
        self._nobodys: str | None = None

    def judge(self, password: str) -> None:
        """Raises `M_WEAK_PASSWORD`."""
        if len(password) < self.minimum:
            raise MatrixError(f"A password needs at least {self.minimum} characters.", errcode="M_WEAK_PASSWORD")

    async def hash(self, password: str) -> str:
        salt = self._random_bytes(_SALT)
        return await self._off_loop(lambda: self._hasher.hash(password, salt=salt))

    async def verify(self, hash_: str | None, password: str) -> bool:
        """Takes as long where there is no hash, so that nobody learns which accounts there are."""
        if hash_ is None:
            if self._nobodys is None:
                self._nobodys = await self.hash("")
            await self._off_loop(lambda: self._matches(self._nobodys or "", password))
            return False
        return await self._off_loop(lambda: self._matches(hash_, password))

    def is_outdated(self, hash_: str) -> bool:
        """Whether a hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(hash_)

    def _matches(self, hash_: str, password: str) -> bool:
        try:
            return self._hasher.verify(hash_, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self._here >= self._most:
            raise LimitExceeded(2_000, "Too many people are logging in just now.")
        self._here += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._here -= 1
