"""The application as other ASGI programs see it: mounted, started and stopped, asked for what it does not speak."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from tests.http.kit import Tokens, answers, ask, endpoint
from weft.http.app import App, Lifespan
from weft.http.asgi import Message, Receive, Scope, Send
from weft.http.metrics import Metrics
from weft.protocol.api.endpoint import Empty, Raw


def app(lifespan: Lifespan | None = None) -> App:
    route = answers(endpoint(), lambda call: Raw(body=call.raw_path))
    return App([route], authenticator=Tokens(), lifespan=lifespan) if lifespan else App([route], authenticator=Tokens())


async def test_mounted_in_another_application() -> None:
    inner = app()

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        """What Starlette's `Mount` does: the prefix joins `root_path`, the path stays whole."""
        await inner({**scope, "root_path": scope["root_path"] + "/chat"}, receive, send)

    assert (await ask(host, "GET", "/chat/test")).body == b"/test"
    assert (await ask(host, "GET", "/proxy/chat/test", root_path="/proxy")).body == b"/test"
    assert (await ask(inner, "GET", "/test")).body == b"/test"


async def speak(one: App, kind: str, *said: str) -> list[str]:
    """Says something to the application and returns the types (and messages) of what it says."""
    waiting = list(said)
    heard: list[str] = []

    async def receive() -> Message:
        return {"type": waiting.pop(0)}

    async def send(message: Message) -> None:
        heard.append(message["type"])

    await one({"type": kind}, receive, send)
    return heard


async def test_websockets_are_refused() -> None:
    assert await speak(app(), "websocket", "websocket.connect") == ["websocket.close"]


LIFE = ("lifespan.startup", "lifespan.shutdown")
COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_lifespan() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        seen.append("started")
        yield
        seen.append("stopped")

    assert await speak(app(life), "lifespan", *LIFE) == COMPLETE
    assert seen == ["started", "stopped"]
    assert await speak(app(), "lifespan", *LIFE) == COMPLETE


@pytest.mark.parametrize(
    ("starts", "heard"),
    [(False, ["lifespan.startup.failed"]), (True, ["lifespan.startup.complete", "lifespan.shutdown.failed"])],
)
async def test_a_lifespan_that_fails(starts: bool, heard: list[str]) -> None:
    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        if starts:
            yield
        raise RuntimeError("secret")

    with capture_logs() as logs:
        assert await speak(app(life), "lifespan", *LIFE) == heard
    assert len(logs) == 1


async def test_metrics_are_shared_by_applications() -> None:
    metrics = Metrics()
    for _ in range(2):
        one = App([answers(endpoint(), lambda call: Empty())], authenticator=Tokens(), metrics=metrics)
        await ask(one, "GET", "/test")
    assert metrics.operation("test").statuses == {200: 2}
