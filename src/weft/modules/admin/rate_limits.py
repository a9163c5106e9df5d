"""Users who have a rate of their own: each request that is limited by user goes by it, whatever it is for.

They are few, so all are in memory, in the limiter itself; the log keeps it true in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from weft.http.limits import Limiter, Rate
from weft.modules.accounts import AccountsService
from weft.storage.database import Database, Transaction, WriteTransaction
from weft.storage.positions import Entry

#: The kind of log entry: `user_id` is whose rate is another one now; `key` is `per_second burst`, or None: the usual.
KIND: Final = "rate_limit"


class Override(NamedTuple):
    """`per_second` 0: no limit."""

    per_second: int
    burst: int

    @property
    def rate(self) -> Rate | None:
        return Rate(self.per_second, max(1, self.burst)) if self.per_second else None


class RateLimits:
    def __init__(self, database: Database, limiter: Limiter, accounts: AccountsService) -> None:
        self._database = database
        self._limiter = limiter
        accounts.hooks.deactivated.append(lambda tx, ended: _clear(tx, ended.user_id))

    async def start(self) -> None:
        """Reads all; the log keeps them true from then on."""
        for user_id, override in (await self._database.read(_all)).items():
            self._limiter.overrides[user_id] = override.rate

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what the log says."""
        for entry in entries:
            if entry.kind != KIND or entry.user_id is None:
                continue
            if entry.key is None:
                self._limiter.overrides.pop(entry.user_id, None)
            else:
                per_second, burst = map(int, entry.key.split(" "))
                self._limiter.overrides[entry.user_id] = Override(per_second, burst).rate

    async def get(self, user_id: str) -> Override | None:
        """None where the user's rates are the usual ones."""
        return await self._database.get(_one, user_id)

    async def set(self, user_id: str, override: Override) -> None:
        await self._database.write(_put, user_id, override)

    async def clear(self, user_id: str) -> None:
        """Has the usual rates hold for a user again."""
        await self._database.write(_clear, user_id)


def _all(tx: Transaction) -> dict[str, Override]:
    rows = tx.all("SELECT user_id, per_second, burst FROM rate_limit_overrides")
    return {user_id: Override(per_second, burst) for user_id, per_second, burst in rows}


def _one(tx: Transaction, user_id: str) -> Override | None:
    row = tx.one("SELECT per_second, burst FROM rate_limit_overrides WHERE user_id = :user_id", user_id=user_id)
    return Override(*row) if row else None


def _put(tx: WriteTransaction, user_id: str, override: Override) -> None:
    tx.run(
        """INSERT INTO rate_limit_overrides (user_id, per_second, burst) VALUES (:user_id, :per_second, :burst)
           ON CONFLICT (user_id) DO UPDATE SET per_second = excluded.per_second, burst = excluded.burst""",
        user_id=user_id,
        **override._asdict(),
    )
    tx.append(KIND, user_id=user_id, key=f"{override.per_second} {override.burst}")


def _clear(tx: WriteTransaction, user_id: str) -> None:
    if tx.run("DELETE FROM rate_limit_overrides WHERE user_id = :user_id", user_id=user_id):
        tx.append(KIND, user_id=user_id)
