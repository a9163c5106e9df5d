"""OpenID tokens: good for one thing only, asking this server whose they are.

https://spec.matrix.org/v1.19/server-server-api/#openid
"""

from __future__ import annotations

from typing import Final

from weft.modules.accounts import AccountsService
from weft.modules.module import Task
from weft.modules.openid import store
from weft.rooms.engine import Engine

LIFETIME_MS: Final = 60 * 60 * 1000


class OpenIdService:
    """A deactivated user's tokens end with the account."""

    def __init__(self, engine: Engine, accounts: AccountsService) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self.tasks = [Task(name="expired OpenID tokens", every_seconds=600, run=self.prune)]
        accounts.hooks.deactivated.append(lambda tx, ended: store.drop_of_user(tx, ended.user_id))

    async def new_token(self, user_id: str) -> str:
        """A token that is good for `LIFETIME_MS`."""
        token = f"wefo_{self._outside.token(40)}"
        await self._database.write(store.insert, token, user_id, self._outside.now_ms() + LIFETIME_MS)
        return token

    async def user_of(self, token: str) -> str | None:
        """Whose a token is; None if it is not known, or has expired."""
        return await self._database.get(store.user_of, token, self._outside.now_ms())

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune, self._outside.now_ms())
