"""What is counted and what is logged of each request, and that no secret is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from tests.http.kit import Tokens, answers, ask, endpoint
from weft.http.access_log import REQUEST_ID, redacted
from weft.http.app import App
from weft.http.call import Call
from weft.http.metrics import BOUNDS, Metrics
from weft.protocol.api.endpoint import Auth, Empty, Raw
from weft.protocol.errors import Forbidden


def app(metrics: Metrics | None = None) -> App:
    async def work(call: Call[Any]) -> object:
        if call.query.get("refuse"):
            raise Forbidden("No.")
        return Raw(body=f"{call.request_id} {REQUEST_ID.get()}".encode())

    of = endpoint(auth=Auth.TOKEN, operation_id="getTest")
    return App([answers(of, work)], authenticator=Tokens(), metrics=metrics, access_log=True)


async def test_one_line_for_each_request() -> None:
    with capture_logs() as logs:
        answer = await ask(app(), "GET", "/test?a=1&access_token=sesame", token="alice")
    (line,) = logs
    assert line.pop("ms") >= 0
    assert f"{line['request_id']} {line['request_id']}".encode() == answer.body
    assert line == {
        "event": "request",
        "log_level": "info",
        "request_id": line["request_id"],
        "method": "GET",
        "operation": "getTest",
        "path": "/test",
        "query": "a=1&access_token=<redacted>",
        "status": 200,
        "user": "@alice:here.test",
    }


async def test_refused_requests_are_logged_too() -> None:
    one = app()
    with capture_logs() as logs:
        for method, target, token in (
            ("GET", "/nowhere", "alice"),
            ("GET", "/test", "wrong"),
            ("OPTIONS", "/test", ""),
        ):
            await ask(one, method, target, token=token)
    assert [(line["operation"], line["status"], line["user"]) for line in logs] == [
        ("unmatched", 404, ""),
        ("getTest", 401, ""),
        ("unmatched", 204, ""),
    ]
    assert len({line["request_id"] for line in logs}) == 3
    assert "wrong" not in str(logs)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"access_token=abc", "access_token=<redacted>"),
        (b"a=1&ACCESS_TOKEN=abc&b=2", "a=1&ACCESS_TOKEN=<redacted>&b=2"),
        (
            b"loginToken=abc;client_secret=d&password=",
            "loginToken=<redacted>;client_secret=<redacted>&password=<redacted>",
        ),
        (b"since=s1&filter=0", "since=s1&filter=0"),
        (b"\xff=1", "ÿ=1"),
    ],
)
def test_redaction(query: bytes, shown: str) -> None:
    assert redacted(query) == shown


async def test_counters() -> None:
    metrics = Metrics()
    one = app(metrics)
    for target in ("/test", "/test", "/test?refuse=1", "/nowhere"):
        await ask(one, "GET", target, token="alice")
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    assert 'weft_http_requests_total{operation="getTest",status="200"} 2.0' in text
    assert 'weft_http_requests_total{operation="getTest",status="403"} 1.0' in text
    assert 'weft_http_requests_total{operation="unmatched",status="404"} 1.0' in text
    assert 'weft_http_request_seconds_count{operation="getTest"} 3.0' in text
    assert "weft_http_requests_in_flight 0.0" in text


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, 12), (61.0, 13)])
def test_buckets(seconds: float, bucket: int) -> None:
    observed = Metrics().operation("x")
    observed.add(200, seconds)
    assert observed.buckets == [int(number == bucket) for number in range(len(BOUNDS) + 1)]


async def test_in_flight() -> None:
    metrics, going_on = Metrics(), asyncio.Event()

    async def wait(call: Call[Any]) -> Empty:
        await going_on.wait()
        return Empty()

    one = App([answers(endpoint(), wait)], authenticator=Tokens(), metrics=metrics)
    tasks = [asyncio.create_task(ask(one, "GET", "/test")) for _ in range(3)]
    await asyncio.sleep(0)
    assert metrics.in_flight == 3
    going_on.set()
    await asyncio.gather(*tasks)
    assert metrics.in_flight == 0
