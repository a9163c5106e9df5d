"""Who accounts are elsewhere, as administrators see and set it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from weft.modules.single_sign_on import store
from weft.protocol.errors import MatrixError
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction


class ExternalId(NamedTuple):
    """Somebody at a provider: by the provider's id in the settings, and by their `sub` there."""

    provider: str
    subject: str


class ExternalIds:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, user_id: str) -> list[ExternalId]:
        """With whose accounts elsewhere a user can sign in."""
        rows = await self._engine.database.read(store.of_user, user_id)
        return [ExternalId(*row) for row in rows]

    async def find(self, one: ExternalId) -> str | None:
        """Whose account goes with somebody elsewhere."""
        return await self._engine.database.read(store.linked, one.provider, one.subject)

    async def check_free(self, user_id: str, wanted: Iterable[ExternalId]) -> None:
        """Raises `M_UNKNOWN` where one of them is another user's."""
        await self._engine.database.read(_check_free, user_id, list(wanted))

    async def set_for(self, user_id: str, wanted: Iterable[ExternalId]) -> None:
        """Gives a user these and no others. Raises as `check_free` does."""
        await self._engine.database.write(_replace, user_id, list(wanted), self._engine.outside.now_ms())


def _check_free(tx: Transaction, user_id: str, wanted: list[ExternalId]) -> None:
    for one in wanted:
        if store.linked(tx, one.provider, one.subject) not in (None, user_id):
            raise MatrixError("External id is already in use.", status=409)


def _replace(tx: WriteTransaction, user_id: str, wanted: list[ExternalId], now_ms: int) -> None:
    _check_free(tx, user_id, wanted)
    before = {ExternalId(*row) for row in store.of_user(tx, user_id)}
    for gone in before - set(wanted):
        store.unlink(tx, gone.provider, gone.subject)
    for one in dict.fromkeys(wanted):
        if one not in before:
            store.link(tx, one.provider, one.subject, user_id, now_ms)
