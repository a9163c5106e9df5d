"""Answers one request: match → authenticate → limit → decode → handler → encode. One order, in this one place.

Everything that can be known before the first request is in a `_Plan`, made once for each endpoint; a request walks
its headers once and makes few objects. Every answer, errors too, carries the headers for clients in browsers, and is
counted and logged here and nowhere else.

A handler that is `long_poll` is cancelled when its client goes away; others finish what they began.

https://spec.matrix.org/v1.19/client-server-api/#api-standards
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import count
from typing import Any, Final
from urllib.parse import quote

from weft.http.access_log import REQUEST_ID, log_fault, log_request
from weft.http.addresses import NOBODY, ProxyTrust
from weft.http.asgi import PREFLIGHT, Answer, HeaderList, Receive, Scope, Send
from weft.http.auth import Authenticator, ServerAuthenticator, authenticate, rule_for
from weft.http.body import body_chunks, check_declared, read_body
from weft.http.call import Call, Headers, Requester, Route, Stream
from weft.http.decode import decoder_of
from weft.http.disconnect import Polls
from weft.http.errors import ClientGone, internal_error, render
from weft.http.limits import UNLIMITED, Limiter
from weft.http.metrics import Metrics, Observed
from weft.http.respond import StreamBroken, encode, send_answer, send_stream
from weft.http.router import Router
from weft.protocol.api.endpoint import Auth
from weft.protocol.errors import LimitExceeded

#: What is counted for a request whose client went away.
CLIENT_GONE: Final = 499

_WANTED: Final = frozenset({b"authorization", b"content-length", b"user-agent", b"x-forwarded-for"})


class Dispatcher:
    """What an application needs to answer requests; see `weft.http.app.App` for what the arguments mean."""

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
    ) -> None:
        self._authenticator = authenticator
        self._server_authenticator = server_authenticator
        self._limiter = limiter
        self._before_handler = before_handler
        self._seen = seen
        self._proxies = proxies
        self._metrics = metrics or Metrics()
        self._access_log = access_log
        self._clock = clock
        self.polls = Polls()
        self._router: Router[tuple[_Plan, tuple[str, ...]]] = Router()
        self._unmatched = self._metrics.operation("unmatched")
        self._request_ids = map(f"{secrets.token_hex(3)}-{{:x}}".format, count(1))
        for route in routes:
            self._add(route)

    def _add(self, route: Route[Any, Any]) -> None:
        endpoint = route.endpoint
        if endpoint.auth is Auth.SERVER and (self._server_authenticator is None or endpoint.stream_body):
            raise ValueError(f"{endpoint.operation_id}: nobody can check the servers' signatures")
        if self._limiter.enabled and endpoint.rate_limit and self._limiter.missing([endpoint.rate_limit]):
            raise ValueError(f"{endpoint.operation_id}: there is no rate limit named {endpoint.rate_limit}")
        plan = _Plan(route, self._metrics)
        for path in endpoint.paths:
            self._router.add(endpoint.method, path, (plan, plan.decoder.path_names(path)))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request of ASGI type `http`. Raises nothing but cancellation."""
        started = time.perf_counter()
        request = _Request(scope, next(self._request_ids), self._unmatched)
        REQUEST_ID.set(request.id)
        self._metrics.in_flight += 1
        status = CLIENT_GONE
        try:
            answer = await self._answer(request, receive)
            if isinstance(answer, Stream):
                await send_stream(answer, request.method, receive, send)
            else:
                await send_answer(answer, scope, send)
            status = answer.status
        except (ClientGone, OSError):
            pass  # nobody is there; some servers say so by an OSError from `send`
        except StreamBroken as broken:
            status = 500
            self._fault(request, broken)
        finally:
            self._observe(request, status, time.perf_counter() - started)

    async def _answer(self, request: _Request, receive: Receive) -> Answer | Stream:
        """The answer to anything: errors become theirs."""
        if request.method == "OPTIONS":
            return PREFLIGHT
        try:
            return await self._handled(request, receive)
        except ClientGone:
            raise
        except Exception as error:
            return render(error) or self._fault(request, error)

    async def _handled(self, request: _Request, receive: Receive) -> Answer | Stream:
        """The order of things."""
        (plan, names), values = self._router.find(request.method, request.path)
        request.observed = plan.observed
        if self._before_handler is not None:
            await self._before_handler()
        request.ip = self._client_ip(request)
        if plan.is_signed:
            await self._check_signature(plan, request, receive)
        elif plan.rule.reads_token:
            authorization = request.seen.get(b"authorization")
            request.requester = await authenticate(plan.rule, self._authenticator, authorization, request.query)
            if self._seen is not None and request.requester is not None:
                self._seen(request.requester, request.ip, _user_agent(request))
        if plan.rate_limit is not None:
            self._limit(plan.rate_limit, request)
        if plan.has_body and not plan.is_signed:
            await self._read_body(plan, request, receive)
        # `zip` takes longer to make than most paths' one or two parameters to pair; many have none.
        found = {name: values[place] for place, name in enumerate(names)} if names else {}
        args = plan.decoder.decode(found, request.query, request.headers, request.body)
        work = plan.handler(_call(plan, args, request, receive))
        if plan.is_long_poll:
            return encode(await self.polls.run(work, receive))
        return encode(await work)

    async def _check_signature(self, plan: _Plan, request: _Request, receive: Receive) -> None:
        """Which server signed the request; its body is part of what is signed."""
        if self._server_authenticator is None:
            raise RuntimeError("no server authenticator, although there was one when the endpoint was added")
        if plan.has_body:
            await self._read_body(plan, request, receive)
        path, query = request.wire_path.decode("latin-1"), request.query.decode("latin-1")
        signatures = Headers(request.headers).all("authorization")
        request.origin = await self._server_authenticator.origin(
            request.method, f"{path}?{query}" if query else path, signatures, request.body
        )

    async def _read_body(self, plan: _Plan, request: _Request, receive: Receive) -> None:
        declared = request.seen.get(b"content-length")
        if declared == b"0":
            return
        limit = plan.endpoint.max_body
        check_declared(declared, limit)
        request.body = await read_body(receive, limit)

    def _limit(self, name: str, request: _Request) -> None:
        requester = request.requester
        if requester is not None and requester.unlimited:
            return
        key = requester.user_id if requester else request.origin or request.ip
        wait = self._limiter.allow(name, key, self._clock())
        if wait is not None:
            raise LimitExceeded(wait)

    def _client_ip(self, request: _Request) -> str:
        if self._proxies.any and b"x-forwarded-for" in request.seen:
            return self._proxies.client_ip(request.peer, Headers(request.headers).all("x-forwarded-for"))
        return request.peer

    def _fault(self, request: _Request, error: Exception) -> Answer:
        operation = request.observed.operation_id
        log_fault(error, request_id=request.id, method=request.method, operation=operation)
        return internal_error(request.id)

    def _observe(self, request: _Request, status: int, seconds: float) -> None:
        self._metrics.in_flight -= 1
        request.observed.add(status, seconds)
        if self._access_log:
            log_request(
                request_id=request.id,
                method=request.method,
                operation=request.observed.operation_id,
                path=request.path,
                query=request.query,
                status=status,
                seconds=seconds,
                user=request.requester.user_id if request.requester else "",
            )


class _Plan:
    """What is known of an endpoint before the first request."""

    __slots__ = (
        "decoder",
        "endpoint",
        "handler",
        "has_body",
        "is_long_poll",
        "is_signed",
        "observed",
        "rate_limit",
        "rule",
    )

    def __init__(self, route: Route[Any, Any], metrics: Metrics) -> None:
        self.endpoint = route.endpoint
        self.handler = route.handler
        self.decoder = decoder_of(self.endpoint)
        self.rule = rule_for(self.endpoint.auth, self.endpoint.method)
        self.is_signed = self.endpoint.auth is Auth.SERVER
        self.is_long_poll = self.endpoint.long_poll
        self.rate_limit = self.endpoint.rate_limit
        self.has_body = self.decoder.reads_body or (self.endpoint.method != "GET" and not self.endpoint.stream_body)
        self.observed = metrics.operation(self.endpoint.name)


class _Request:
    """What a scope says, read once, and what is found out about it on the way to the handler."""

    __slots__ = (
        "body",
        "headers",
        "id",
        "ip",
        "method",
        "observed",
        "origin",
        "path",
        "peer",
        "query",
        "requester",
        "seen",
        "wire_path",
    )

    def __init__(self, scope: Scope, request_id: str, observed: Observed) -> None:
        self.id = request_id
        self.observed = observed
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        self.headers: HeaderList = scope["headers"]
        self.seen: dict[bytes, bytes] = {name: value for name, value in self.headers if name in _WANTED}
        client = scope.get("client")
        self.peer: str = client[0] if client else ""
        #: The path as it came; `path` is without what the application is mounted under.
        self.wire_path: bytes = scope.get("raw_path") or quote(scope["path"], safe="/:@!$&'()*+,;=~").encode()
        root: str = scope.get("root_path", "")
        self.path = self.wire_path.removeprefix(quote(root).encode()) if root else self.wire_path
        self.ip = ""
        self.requester: Requester | None = None
        self.origin: str | None = None
        self.body = b""


def _user_agent(request: _Request) -> str:
    return request.seen.get(b"user-agent", b"").decode("latin-1")


def _call(plan: _Plan, args: Any, request: _Request, receive: Receive) -> Call[Any]:
    return Call(
        plan.endpoint,
        args,
        requester=request.requester,
        origin=request.origin,
        client_ip=request.ip,
        user_agent=_user_agent(request),
        body_bytes=request.body,
        query_string=request.query,
        raw_path=request.path,
        header_pairs=request.headers,
        request_id=request.id,
        chunks=_chunks(plan, request, receive) if plan.endpoint.stream_body else None,
    )


def _chunks(plan: _Plan, request: _Request, receive: Receive) -> AsyncIterator[bytes]:
    limit = plan.endpoint.max_body
    check_declared(request.seen.get(b"content-length"), limit)
    return body_chunks(receive, limit)
