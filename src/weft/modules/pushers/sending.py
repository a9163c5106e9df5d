"""Sends what is queued: each gateway has a worker of its own, so that one that is down keeps nobody else waiting.

What is queued is forgotten once the gateway has taken it, or after a day.

https://spec.matrix.org/v1.19/push-gateway-api/#homeserver-behaviour
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog

from weft.http.client import HttpClient, Refused
from weft.http.encode import RequestEncoder
from weft.modules.pushers import store
from weft.modules.pushers.contents import Contents
from weft.modules.pushers.store import Pusher, Queued
from weft.protocol.api.push_gateway.notify import NOTIFY, Notification, NotifyRequest
from weft.protocol.errors import NotNow, PeerError
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 30.0
_MOST: Final = 64
_AT_ONCE: Final = 8
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 1_800.0
_GIVEN_UP_MS: Final = 24 * 60 * 60 * 1_000


class Gateways:
    def __init__(self, engine: Engine, http: HttpClient, contents: Contents) -> None:
        self._engine = engine
        self._http = http
        self._contents = contents
        self._encoder = RequestEncoder(NOTIFY)
        self._workers: dict[str, asyncio.Task[None]] = {}
        #: Those for which something came since their worker last looked.
        self._news: set[str] = set()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Sends, until it is left."""
        try:
            for url in await self._engine.database.read(store.gateways):
                self.wake(url)
            yield
        finally:
            workers = list(self._workers.values())
            self._workers.clear()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def wake(self, url: str) -> None:
        """Something waits for a gateway."""
        self._news.add(url)
        if url not in self._workers:
            self._workers[url] = asyncio.create_task(self._work(url))

    async def _work(self, url: str) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._news.discard(url)
            try:
                if await self._send_some(url):
                    pause = _FIRST_PAUSE
                elif url not in self._news:
                    del self._workers[url]
                    return
            except Exception as error:
                asked = error.retry_after_ms / 1000 if isinstance(error, NotNow) else 0.0
                seconds = max(pause, asked)
                log.warning("a push gateway is tried again later", url=url, error=str(error), again_in_seconds=seconds)
                await asyncio.sleep(seconds)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _send_some(self, url: str) -> bool:
        """False where nothing waits. Raises what the gateway was found to be: unreachable, or at fault."""
        rows = await self._engine.database.read(store.waiting, url, _MOST)
        too_old = self._engine.outside.now_ms() - _GIVEN_UP_MS
        if rows and rows[0].queued_ms < too_old:
            await self._engine.database.write(store.drop_old, too_old)
            rows = await self._engine.database.read(store.waiting, url, _MOST)
        by_pusher: dict[tuple[str, ...], list[Queued]] = defaultdict(list)
        for row in rows:
            by_pusher[row.user_id, row.app_id, row.pushkey].append(row)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(of_pusher: Sequence[Queued]) -> None:
            async with at_once:
                for row in of_pusher:
                    await self._send(row)

        results = await asyncio.gather(*map(in_turn, by_pusher.values()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return bool(rows)

    async def _send(self, row: Queued) -> None:
        pusher = await self._engine.database.get(store.one, row.user_id, row.app_id, row.pushkey)
        made = await self._contents.of(pusher, row) if pusher is not None else None
        if pusher is None or made is None:
            await self._engine.database.write(store.done, row, None)
            return
        notification, unread = made
        try:
            rejected = await self._notify(pusher, notification)
        except Refused as error:
            if error.status >= 500:
                raise
            # It will not like it better the next time, and others wait.
            log.warning("a push gateway refused a notification", url=pusher.url, error=str(error))
            await self._engine.database.write(store.done, row, None)
            return
        if pusher.pushkey in rejected:
            log.info("a push gateway rejected a pusher; it is removed", user_id=pusher.user_id, app_id=pusher.app_id)
            await self._engine.database.write(store.remove, *pusher[:3])
        else:
            await self._engine.database.write(store.done, row, unread)

    async def _notify(self, pusher: Pusher, notification: Notification) -> list[str]:
        """The pushkeys that the gateway rejects."""
        encoded = self._encoder.encode(NotifyRequest(notification=notification))
        reply = await self._http.request(
            NOTIFY.method,
            pusher.url,
            headers={"Content-Type": "application/json"},
            body=encoded.body,
            timeout=_TIMEOUT,
            max_bytes=NOTIFY.max_answer,
        )
        body = reply.check().body
        try:
            return msgspec.json.decode(body, type=NOTIFY.response).rejected
        except (msgspec.DecodeError, RecursionError) as error:
            raise PeerError("the gateway did not answer as expected") from error
