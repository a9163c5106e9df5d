"""The ASGI application: routes in, answers out. It can be served (`weft.http.serve`) or mounted in any other one.

Under a prefix (`Mount("/chat", app)`) the paths keep their meaning below it; mounted at `/` nothing changes.

    app = App(routes, authenticator=tokens, limiter=limiter)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from weft.http.access_log import faults
from weft.http.addresses import NOBODY, ProxyTrust
from weft.http.asgi import Receive, Scope, Send
from weft.http.auth import Authenticator, ServerAuthenticator
from weft.http.call import Requester, Route
from weft.http.dispatch import Dispatcher
from weft.http.limits import UNLIMITED, Limiter
from weft.http.metrics import Metrics

#: Entered when the application starts and left when it stops.
Lifespan = Callable[[], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


class App:
    """Serves `routes`; raises `ValueError` or `TypeError` at once if two of them collide or one is declared wrongly.

    * `limiter`: the table of rates that endpoints name; left out, nothing is limited.
    * `before_handler`: awaited before anything is read of what the server knows, tokens included; a process that
      shares its database catches up there.
    * `seen`: told of each request that was authenticated: who, from which address, with which user agent.
    * `proxies`: whose `X-Forwarded-For` is believed.
    * `metrics`: may be shared by several applications of one process.
    * `access_log`: one line for each request.
    * `clock`: seconds, for the limits only.
    * `lifespan`: for a host that speaks ASGI's lifespan; `weft.http.serve` leaves that to its caller.
    """

    def __init__(
        self,
        routes: Iterable[Route[Any, Any]],
        *,
        authenticator: Authenticator,
        server_authenticator: ServerAuthenticator | None = None,
        limiter: Limiter = UNLIMITED,
        before_handler: Callable[[], Awaitable[None]] | None = None,
        seen: Callable[[Requester, str, str], None] | None = None,
        proxies: ProxyTrust = NOBODY,
        metrics: Metrics | None = None,
        access_log: bool = False,
        clock: Callable[[], float] = time.monotonic,
        lifespan: Lifespan = _nothing,
    ) -> None:
        self._lifespan = lifespan
        self._dispatcher = Dispatcher(
            routes,
            authenticator=authenticator,
            server_authenticator=server_authenticator,
            limiter=limiter,
            before_handler=before_handler,
            seen=seen,
            proxies=proxies,
            metrics=metrics,
            access_log=access_log,
            clock=clock,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._dispatcher.handle(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def end_polls(self) -> None:
        """Ends the long polls under way (503, to be tried again), so that stopping need not wait for them."""
        self._dispatcher.polls.end()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        started = False
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                started = True
                await receive()
        except Exception as error:
            faults.error("stopping failed" if started else "starting failed", exc_info=error)
            outcome = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{outcome}.failed", "message": "see the log"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
