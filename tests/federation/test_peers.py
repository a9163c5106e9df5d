"""One server asks another: over both transports; what becomes of one that does not answer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.federation.kit import Kit, MemoryKit
from weft.federation.destinations import FIRST_PAUSE_MS, FORGOTTEN_AFTER_MS, LONGEST_PAUSE_MS
from weft.federation.transport import OutgoingRequest
from weft.http.client import Refused
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.federation import queries, version
from weft.protocol.errors import MatrixError, NotFound, NotNow, PeerError, Unreachable
from weft.testing import Answer, Faults, TestServer

VERSION: Any = version.GET_VERSION


async def ask(server: TestServer, destination: str, **options: Any) -> version.GetVersionResponse:
    answer: version.GetVersionResponse = await server.server.federation.peers.call(
        VERSION, Empty(), origin=server.name, destination=destination, **options
    )
    return answer


async def test_a_server_answers_another(servers: Kit) -> None:
    one, two = await servers(2)
    for asking, asked in [(one, two), (two, one)]:
        answer = await ask(asking, asked.name)
        assert answer.server is not None
        assert answer.server.name == "Weft"


async def test_the_first_that_answers(servers: Kit) -> None:
    one, _ = await servers(2)
    peers = one.server.federation.peers
    names = ["gone.test", "not a name", "one.test", "two.test"]
    found, _ = await peers.first_of(names, VERSION, Empty(), origin="one.test")
    assert found == "two.test"
    with pytest.raises(Unreachable):
        await peers.first_of(["one.test"], VERSION, Empty(), origin="one.test")
    with pytest.raises((Unreachable, NotNow)):
        await peers.first_of(["gone.test"], VERSION, Empty(), origin="one.test")


async def test_what_is_refused_is_told(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    answers = iter([NotFound("no such"), MatrixError("wait", errcode="M_LIMIT_EXCEEDED", status=429)])

    async def refuse(request: OutgoingRequest) -> Answer | None:
        error = next(answers, None)
        if error is None:
            return Answer(200, {}, b'{"room_id": 5}')
        return Answer(error.status, {}, b'{"errcode":"%s","error":"e"}' % error.errcode.encode())

    memory_servers.network.on_request.append(refuse)
    peers, request = one.server.federation.peers, queries.QueryRoomDirectoryRequest(room_alias="#a:two.test")

    async def query() -> object:
        return await peers.call(queries.QUERY_ROOM_DIRECTORY, request, origin="one.test", destination=two.name)

    with pytest.raises(Refused) as refused:
        await query()
    assert (refused.value.status, refused.value.errcode) == (404, "M_NOT_FOUND")
    with pytest.raises(NotNow):
        await query()
    with pytest.raises(PeerError, match="no answer"):
        await query()
    assert peers.is_available(two.name)


async def test_a_server_that_does_not_answer_is_left_alone_for_growing_whiles(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    peers = one.server.federation.peers
    pauses = []
    for _ in range(16):
        with pytest.raises(Unreachable):
            await ask(one, "two.test")
        with pytest.raises(NotNow):
            await ask(one, "two.test")
        with pytest.raises(Unreachable):
            await ask(one, "two.test", even_if_backed_off=True)
        pauses.append((peers.retry_at_ms("two.test") or 0) - one.clock())
        one.clock.advance(pauses[-1] / 1000 + 1)
        assert peers.is_available("two.test")
    assert FIRST_PAUSE_MS / 2 < pauses[0] < 2 * FIRST_PAUSE_MS
    assert all(later > earlier for earlier, later in pairwise(pauses[:11]))
    assert LONGEST_PAUSE_MS / 2 < pauses[-1] < 2 * LONGEST_PAUSE_MS


async def test_it_is_forgiven_as_soon_as_it_is_heard_from(memory_servers: MemoryKit) -> None:
    one, _ = await memory_servers(2)
    memory_servers.network.cut("one.test", "two.test")
    with pytest.raises(Unreachable):
        await ask(one, "two.test")
    assert not one.server.federation.peers.is_available("two.test")
    memory_servers.network.mend("one.test", "two.test")

    one.server.federation.heard_from("two.test")
    assert one.server.federation.peers.is_available("two.test")
    await ask(one, "two.test")


async def test_a_restart_remembers_who_does_not_answer(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    with pytest.raises(Unreachable):
        await ask(one, "two.test")
    since = one.server.federation.peers.failing_since_ms("two.test")
    await one.restart()
    with pytest.raises(NotNow):
        await ask(one, "two.test")
    assert one.server.federation.peers.failing_since_ms("two.test") == since
    one.clock.advance(FORGOTTEN_AFTER_MS / 1000 + 10)
    await one.server.federation.destinations.prune()
    assert one.server.federation.peers.failing_since_ms("two.test") is None
    await one.restart()
    assert one.server.federation.peers.failing_since_ms("two.test") is None


async def test_a_proxy_whose_server_is_down_is_no_answer(memory_servers: MemoryKit) -> None:
    one, _ = await memory_servers(2)

    async def proxy(request: OutgoingRequest) -> Answer:
        return Answer(502, {}, b"<html>bad gateway</html>")

    memory_servers.network.on_request.append(proxy)
    with pytest.raises(Refused):
        await ask(one, "two.test")
    assert not one.server.federation.peers.is_available("two.test")


async def test_what_is_no_answer(memory_servers: MemoryKit) -> None:
    one, _ = await memory_servers(2)
    bodies = iter([b"", b"[]", b"{", b'{"server":{"name":"\xff"}}', b"[" * 100_000, b'{"server":"x"}'])

    async def answer(request: OutgoingRequest) -> Answer:
        return Answer(200, {}, next(bodies))

    memory_servers.network.on_request.append(answer)
    for _ in range(6):
        with pytest.raises(PeerError):
            await ask(one, "two.test")
    memory_servers.network.on_request.clear()
    with pytest.raises(PeerError, match="more than 3 bytes"):
        await ask(one, "two.test", max_bytes=3)


async def test_a_server_does_not_ask_itself(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    with pytest.raises(Unreachable, match="itself"):
        await ask(one, "one.test")


async def test_without_federation_nobody_is_asked(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1, federation={"enabled": False})
    with pytest.raises(Unreachable, match="turned off"):
        await ask(one, "two.test")


async def test_the_network_can_be_bad(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    network = memory_servers.network
    handled: list[str] = []
    network.on_answer.append(lambda request, answer: handled.append(request.destination))
    for faults, arrivals, answered in [
        (Faults(loss=1.0), 0, False),
        (Faults(answer_loss=1.0), 1, False),
        (Faults(duplication=1.0), 2, True),
        (Faults(delay=(0.001, 0.002)), 1, True),
    ]:
        handled.clear()
        network.faults = faults
        if answered:
            await ask(one, two.name, even_if_backed_off=True)
        else:
            with pytest.raises(Unreachable):
                await ask(one, two.name, even_if_backed_off=True)
        await network.settle()
        assert len(handled) == arrivals
    network.faults = Faults(delay=(5.0, 5.0))
    with pytest.raises(Unreachable, match="did not answer"):
        await ask(one, two.name, timeout=0.01, even_if_backed_off=True)
    network.faults = Faults()
    network.part(["one.test"], ["two.test"])
    for asking, asked in [(one, two), (two, one)]:
        with pytest.raises(Unreachable):
            await ask(asking, asked.name, even_if_backed_off=True)
    network.mend_all()
    await ask(one, two.name, even_if_backed_off=True)
