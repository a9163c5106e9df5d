"""Listeners over real sockets: plain and TLS, several at once, busy ports, slow clients, stopping."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as File
from typing import Any

import pytest
import uvloop

from tests.http.certificates import make_certificate
from tests.http.kit import Tokens, answers, endpoint
from weft.http import connection
from weft.http.addresses import ProxyTrust
from weft.http.app import App
from weft.http.call import Call, Stream
from weft.http.connection import MAX_HEAD
from weft.http.serve import HttpServer, Listener, ListenError, Tls
from weft.protocol.api.endpoint import Auth, Body, Empty, Raw, Struct

CLIENT = frozenset({"client"})


class Anything(Struct):
    content: Body[dict[str, Any]]


async def waiting(call: Call[Any]) -> Empty:
    await asyncio.sleep(60)
    return Empty()


async def slow(call: Call[Any]) -> Empty:
    await asyncio.sleep(0.3)
    return Empty()


async def numbers() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d" % number


def make_app(listener: Listener) -> App:
    resource = "+".join(sorted(listener.resources))
    routes = [
        answers(endpoint(path="/who", auth=Auth.TOKEN), lambda call: Raw(body=f"{call.user_id} {resource}".encode())),
        answers(endpoint(Anything, method="POST", path="/post"), lambda call: Raw(body=b"%d" % len(call.args.content))),
        answers(endpoint(path="/ip"), lambda call: Raw(body=call.client_ip.encode())),
        answers(endpoint(path="/wait", long_poll=True), waiting),
        answers(endpoint(path="/slow"), slow),
        answers(endpoint(path="/stream"), lambda call: Stream(chunks=numbers())),
    ]
    return App(routes, authenticator=Tokens(), proxies=ProxyTrust(listener.trusted_proxies))


@asynccontextmanager
async def serving(*listeners: Listener, **more: Any) -> AsyncIterator[tuple[HttpServer, list[int]]]:
    server = HttpServer(listeners or [Listener("127.0.0.1", 0, CLIENT)], make_app, **more)
    await server.start()
    try:
        yield server, [port for _, _, port in server.addresses()]
    finally:
        await server.stop()


async def exchange(port: int, data: bytes, *, tls: ssl.SSLContext | None = None) -> bytes:
    """Sends bytes and reads until the server closes."""
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode()


async def test_requests_over_a_socket() -> None:
    async with serving() as (_, (port,)):
        answer = await exchange(port, get("/who", "Authorization: Bearer alice"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n@alice:here.test client")
        assert b"access-control-allow-origin: *" in answer
        assert b"date: " in answer
        assert b"server: " not in answer
        assert (await exchange(port, get("/stream"))).endswith(b"0\r\n\r\n")
        chunked = "\r\n".join(
            [
                "POST /post HTTP/1.1",
                "Host: x",
                "Connection: close",
                "Transfer-Encoding: chunked",
                "",
                "2",
                "{}",
                "0",
                "",
                "",
            ]
        )
        assert (await exchange(port, chunked.encode())).endswith(b"\r\n\r\n0")
        assert (await exchange(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_one_connection_many_requests() -> None:
    async with serving() as (_, (port,)):
        one = b"GET /ip HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await exchange(port, one * 3 + get("/ip"))
        assert answer.count(b"HTTP/1.1 200 OK") == 4


async def test_requests_that_do_not_wait_for_answers_get_them_in_order() -> None:
    async with serving() as (_, (port,)):
        keep = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"
        head = "HEAD /ip HTTP/1.1\r\nHost: x\r\n\r\n"
        requests = keep.format("/slow") + head + keep.format("/nothing") + keep.format("/stream")
        answered = await exchange(port, requests.encode() + get("/ip"))
    assert re.findall(rb"HTTP/1.1 (\d+)", answered) == [b"200", b"200", b"404", b"200", b"200"]
    assert answered.count(b"connection: close") == 1
    # Of the two that ask for the address one gets no more than the head.
    assert answered.count(b"content-length: 9\r\n") == 2
    assert answered.count(b"\r\n\r\n127.0.0.1") == 1
    assert answered.endswith(b"127.0.0.1")


async def test_several_listeners_with_their_own_resources_and_proxies() -> None:
    listeners = (
        Listener("127.0.0.1", 0, CLIENT, trusted_proxies=("127.0.0.0/8",)),
        Listener("localhost", 0, frozenset({"federation", "metrics"})),
    )
    async with serving(*listeners) as (server, ports):
        assert {listener for listener, _, _ in server.addresses()} == set(listeners)
        bearer = "Authorization: Bearer alice"
        assert (await exchange(ports[0], get("/who", bearer))).endswith(b" client")
        second = next(port for _, address, port in server.addresses()[1:] if address == "127.0.0.1")
        assert (await exchange(second, get("/who", bearer))).endswith(b" federation+metrics")
        forwarded = "X-Forwarded-For: 6.6.6.6, 1.2.3.4"
        assert (await exchange(ports[0], get("/ip", forwarded))).endswith(b"\r\n\r\n1.2.3.4")
        assert (await exchange(second, get("/ip", forwarded))).endswith(b"\r\n\r\n127.0.0.1")


async def test_tls_and_new_certificates(tmp_path: File) -> None:
    first = make_certificate(tmp_path / "first", "localhost")
    tls = Tls(tmp_path / "tls.crt", tmp_path / "tls.key")
    copy(first, tls)
    async with serving(Listener("127.0.0.1", 0, CLIENT, tls=tls)) as (server, (port,)):
        assert b"200 OK" in await exchange(port, get("/ip"), tls=trusting(first))
        second = make_certificate(tmp_path / "second", "localhost")
        copy(second, tls)
        server.reload_certificates()
        assert b"200 OK" in await exchange(port, get("/ip"), tls=trusting(second))
        tls.certificate.write_text("nonsense")
        with pytest.raises(ListenError, match="port 0: its certificate"):
            server.reload_certificates()
        assert b"200 OK" in await exchange(port, get("/ip"), tls=trusting(second))


def copy(certificate: tuple[File, File], tls: Tls) -> None:
    tls.certificate.write_bytes(certificate[0].read_bytes())
    tls.key.write_bytes(certificate[1].read_bytes())


def trusting(certificate: tuple[File, File]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


async def test_a_busy_port_is_named_and_nothing_is_left_open() -> None:
    with socket.socket() as busy, socket.socket() as probe:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        free = free_port()
        server = HttpServer([Listener("127.0.0.1", free, CLIENT), Listener("127.0.0.1", port, CLIENT)], make_app)
        with pytest.raises(ListenError, match=f"can't listen on 127.0.0.1 port {port}: Address already in use"):
            await server.start()
        assert probe.connect_ex(("127.0.0.1", free)) != 0
        assert server.addresses() == []


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "tls"), [("192.0.2.77", None), ("127.0.0.1", Tls(File("absent.crt"), File("absent.key")))]
)
async def test_what_can_not_be_opened(address: str, tls: Tls | None) -> None:
    with pytest.raises(ListenError, match=f"{address} port 0"):
        await HttpServer([Listener(address, 0, CLIENT, tls=tls)], make_app).start()


async def under_way(port: int, path: str) -> asyncio.Task[bytes]:
    task = asyncio.create_task(exchange(port, get(path)))
    await asyncio.sleep(0.1)
    return task


async def test_stopping_lets_requests_finish() -> None:
    async with serving() as (server, (port,)):
        task = await under_way(port, "/slow")
        await server.stop()
        assert (await task).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionRefusedError):
            await exchange(port, get("/ip"))


async def test_stopping_ends_long_polls() -> None:
    app = make_app(Listener("127.0.0.1", 0, CLIENT))
    port, stopping = free_port(), asyncio.Event()
    server = HttpServer([Listener("127.0.0.1", port, CLIENT)], lambda listener: app, before_stop=app.end_polls)
    running = asyncio.create_task(server.run_until(stopping))
    await asyncio.sleep(0.2)
    task = await under_way(port, "/wait")
    stopping.set()
    await asyncio.wait_for(running, 5)
    assert (await task).startswith(b"HTTP/1.1 503")


def test_on_the_loop_that_servers_use() -> None:
    uvloop.run(test_requests_over_a_socket())
    uvloop.run(test_stopping_ends_long_polls())
    uvloop.run(test_gone_in_the_middle_of_a_long_poll())


async def cut_off(monkeypatch: pytest.MonkeyPatch, send: bytes) -> bytes:
    """What a client gets that sends this and then nothing."""
    monkeypatch.setattr("weft.http.serve.SWEEP", 0.02)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.1)
    async with serving() as (_, (port,)):
        try:
            return await exchange(port, send)
        except ConnectionResetError:
            return b"reset"


@pytest.mark.parametrize(
    "send",
    [b"", b"GET /ip HTTP/1.1\r\nHost:", b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"],
)
async def test_a_client_that_takes_too_long(monkeypatch: pytest.MonkeyPatch, send: bytes) -> None:
    assert await cut_off(monkeypatch, send) in (b"", b"reset")


async def test_a_client_that_waits_for_us_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await cut_off(monkeypatch, get("/slow"))).startswith(b"HTTP/1.1 200 OK")


async def test_a_connection_that_nobody_uses_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.http.serve.SWEEP", 0.02)
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.3)
    async with serving() as (_, (port,)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET /ip HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200 OK" in await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.15)
        await asyncio.wait_for(reader.read(), 5)
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n"])
async def test_a_head_without_end(start: bytes) -> None:
    filler = b"x: y\r\n" if start.endswith(b"\r\n") else b"x" * 6
    async with serving() as (_, (port,)):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        with pytest.raises(ConnectionError):
            await flood(writer, filler * (MAX_HEAD // 30))
        writer.close()


async def flood(writer: asyncio.StreamWriter, data: bytes) -> None:
    for _ in range(100):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_gone_in_the_middle_of_a_long_poll() -> None:
    ended = asyncio.Event()

    async def wait(call: Call[Any]) -> Empty:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Empty()

    app = App([answers(endpoint(path="/wait", long_poll=True), wait)], authenticator=Tokens())
    server = HttpServer([Listener("127.0.0.1", 0, CLIENT)], lambda listener: app)
    await server.start()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", server.addresses()[0][2])
        writer.write(get("/wait"))
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(ended.wait(), 5)
    finally:
        await server.stop()


async def test_who_is_refused_in_the_middle_hears_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal would be lost if the connection ended while the client still sends."""
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.5)
    size = 8 << 20
    head = f"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    async with serving() as (_, (port,)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        for _ in range(size >> 16):
            writer.write(b"x" * 65_536)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer
