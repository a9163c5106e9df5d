"""Profiles of other servers' users, asked for there and kept for a short time.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from weft.federation.asking import Asking
from weft.modules.profile import fields
from weft.protocol.api.federation import queries as api
from weft.protocol.errors import MatrixError, NotFound
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.rooms.engine import Engine
from weft.storage.cache import Cache

#: How long an answer counts, and how long a refusal does.
_KEPT_MS: Final = 5 * 60_000
_REFUSED_MS: Final = 60_000
_OVERHEAD: Final = 500


class _Kept(NamedTuple):
    answer: bytes | MatrixError
    until_ms: int


class RemoteProfiles:
    def __init__(self, engine: Engine, asking: Asking) -> None:
        self._engine = engine
        self._asking = asking
        self._kept: Cache[str, _Kept] = engine.budget.cache("remote_profiles", 0.01, _size)
        self._under_way: dict[str, asyncio.Task[bytes]] = {}

    async def json(self, user_id: str) -> bytes:
        """The whole profile. Raises `NotFound` for a user who isn't, and what keeps their server from answering."""
        now_ms = self._engine.outside.now_ms()
        kept = self._kept.get(user_id)
        if kept is not None and kept.until_ms > now_ms:
            if isinstance(kept.answer, MatrixError):
                raise kept.answer.with_traceback(None)
            return kept.answer
        # Whoever asks while an answer is on its way gets that one.
        task = self._under_way.get(user_id)
        if task is None:
            task = self._under_way[user_id] = asyncio.create_task(self._ask(user_id))
            task.add_done_callback(partial(self._ended, user_id))
        return await asyncio.shield(task)

    def _ended(self, user_id: str, task: asyncio.Task[bytes]) -> None:
        self._under_way.pop(user_id, None)
        if not task.cancelled():
            task.exception()  # it is told to those who still wait

    async def _ask(self, user_id: str) -> bytes:
        missing = "There is no such user."
        try:
            if not is_valid_user_id(user_id):
                raise NotFound(missing)
            answer = await self._asking.ask(
                domain_of(user_id),
                api.QUERY_PROFILE,
                api.QueryProfileRequest(user_id=user_id),
                missing=missing,
                max_bytes=2 * fields.MAX_BYTES,
            )
        except MatrixError as refused:
            self._keep(user_id, refused, _REFUSED_MS)
            raise
        json = msgspec.json.encode({key: value for key, value in answer.items() if _is_sound(key, value)})
        self._keep(user_id, json, _KEPT_MS)
        return json

    def _keep(self, user_id: str, answer: bytes | MatrixError, for_ms: int) -> None:
        self._kept.put(user_id, _Kept(answer, self._engine.outside.now_ms() + for_ms))


def _is_sound(key: str, value: Any) -> bool:
    """Null is nothing; names and pictures are text, whatever another server says."""
    return value is not None and (key not in (*fields.IN_ROOMS, "m.tz") or isinstance(value, str))


def _size(kept: _Kept) -> int:
    return _OVERHEAD + (len(kept.answer) if isinstance(kept.answer, bytes) else 0)
