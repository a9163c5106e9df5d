"""Sends what is queued: each gateway has a worker of its own, so that one that is down keeps nobody else waiting.

What is queued is forgotten once the gateway has taken it, or after a day. A gateway that answers with an error of ours
is asked again some minutes long, while the notifications of other pushers go on; then it has what comes next instead.

https://spec.matrix.org/v1.19/push-gateway-api/#homeserver-behaviour
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
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
from weft.rooms.missing import FAILURES

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 30.0
_MOST: Final = 64
_AT_ONCE: Final = 8
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 1_800.0
_GIVEN_UP_MS: Final = 24 * 60 * 60 * 1_000
#: How often one notification is refused before it is given up: after four minutes.
_TRIES: Final = 8


class Gateways:
    def __init__(self, engine: Engine, http: HttpClient, contents: Contents) -> None:
        self._engine = engine
        self._http = http
        self._contents = contents
        self._encoder = RequestEncoder(NOTIFY)
        self._workers: dict[str, asyncio.Task[None]] = {}
        #: Set where something came since the gateway's worker last looked.
        self._news: dict[str, asyncio.Event] = {}

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
            self._news.clear()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def wake(self, url: str) -> None:
        """Something waits for a gateway."""
        self._news.setdefault(url, asyncio.Event()).set()
        if url not in self._workers:
            self._workers[url] = asyncio.create_task(self._work(url))

    async def _work(self, url: str) -> None:
        news = self._news[url]
        pause = _FIRST_PAUSE
        while True:
            news.clear()
            try:
                if await self._send_some(url):
                    pause = _FIRST_PAUSE
                    continue
                next_ms = await self._engine.database.read(store.next_ms, url)
            except Exception as error:
                asked = error.retry_after_ms / 1000 if isinstance(error, NotNow) else 0.0
                seconds = max(pause, asked)
                # With a trace where it is a fault of ours.
                told = log.warning if isinstance(error, FAILURES) else log.exception
                told("a push gateway is tried again later", url=url, error=str(error), again_in_seconds=seconds)
                await asyncio.sleep(seconds)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if next_ms is None and not news.is_set():
                del self._workers[url], self._news[url]
                return
            seconds = ((next_ms or 0) - self._engine.outside.now_ms()) / 1000
            with suppress(TimeoutError):
                async with asyncio.timeout(max(_FIRST_PAUSE, seconds)):
                    await news.wait()

    async def _send_some(self, url: str) -> bool:
        """False where nothing waits that may be sent. Raises what the gateway is: unreachable, or at fault."""
        now_ms = self._engine.outside.now_ms()
        rows = await self._engine.database.read(store.waiting, url, now_ms, _MOST)
        if rows and rows[0].queued_ms < now_ms - _GIVEN_UP_MS:
            await self._engine.database.write(store.drop_old, now_ms - _GIVEN_UP_MS)
            rows = await self._engine.database.read(store.waiting, url, now_ms, _MOST)
        by_pusher: dict[tuple[str, ...], list[Queued]] = defaultdict(list)
        for row in rows:
            by_pusher[row.user_id, row.app_id, row.pushkey].append(row)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(of_pusher: Sequence[Queued]) -> None:
            async with at_once:
                for row in of_pusher:
                    if not await self._send(row):
                        return

        results = await asyncio.gather(*map(in_turn, by_pusher.values()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return bool(rows)

    async def _send(self, row: Queued) -> bool:
        """Whether what comes next for the pusher may follow."""
        pusher = await self._engine.database.get(store.one, row.user_id, row.app_id, row.pushkey)
        made = await self._contents.of(pusher, row) if pusher is not None else None
        if pusher is None or made is None:
            await self._engine.database.write(store.done, row, None)
            return True
        notification, unread = made
        try:
            rejected = await self._notify(pusher, notification)
        except Refused as error:
            if error.status >= 500:
                raise
            return await self._refused(row, error)
        if pusher.pushkey in rejected:
            log.info("a push gateway rejected a pusher; it is removed", user_id=pusher.user_id, app_id=pusher.app_id)
            await self._engine.database.write(store.remove, *pusher[:3])
        else:
            await self._engine.database.write(store.done, row, unread)
        return True

    async def _refused(self, row: Queued, error: Refused) -> bool:
        """One notification may be what the gateway does not like: the pusher rests, and the others do not."""
        log.warning("a push gateway refused a notification", url=row.url, error=str(error), tries=row.tries + 1)
        if row.tries + 1 >= _TRIES:
            await self._engine.database.write(store.done, row, None)
            return True
        rest_ms = int(_FIRST_PAUSE * 1000) << row.tries
        await self._engine.database.write(store.refused, row, self._engine.outside.now_ms() + rest_ms)
        return False

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
