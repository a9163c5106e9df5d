"""Two processes on one database: what one learns of another server, the other knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from weft.protocol.api.endpoint import Empty
from weft.protocol.api.federation.version import GET_VERSION
from weft.protocol.errors import NotNow, Unreachable
from weft.server.assembly import Server
from weft.testing import Network, TestServer, Twins


async def ask(server: Server) -> None:
    await server.federation.peers.call(GET_VERSION, Empty(), origin="weft.test", destination="two.test")


async def test_both_know_who_does_not_answer_and_who_is_back(weft_database: str, tmp_path: Path) -> None:
    network = Network()
    (tmp_path / "twins").mkdir()
    twins = Twins(tmp_path / "twins", settings={"database": {"url": weft_database}}, network=network)
    await twins.start()
    one, other = twins.both
    with pytest.raises(Unreachable):
        await ask(one)
    await one.engine.database.write(lambda tx: None)
    await other.engine.log.catch_up()
    with pytest.raises(NotNow):
        await ask(other)

    (tmp_path / "two").mkdir()
    two = TestServer(tmp_path / "two", settings={"server": {"names": ["two.test"]}}, network=network)
    await two.start()
    other.federation.heard_from("two.test")
    await other.engine.database.write(lambda tx: None)
    await one.engine.log.catch_up()
    await ask(one)
    await two.stop()
    await twins.stop()


async def test_both_use_the_keys_that_one_has_fetched(weft_database: str, tmp_path: Path) -> None:
    network = Network()
    asked: list[str] = []
    network.on_answer.append(lambda request, answer: asked.append(request.uri))
    (tmp_path / "twins").mkdir()
    twins = Twins(tmp_path / "twins", settings={"database": {"url": weft_database}}, network=network)
    (tmp_path / "two").mkdir()
    two = TestServer(tmp_path / "two", settings={"server": {"names": ["two.test"]}}, network=network)
    await twins.start()
    await two.start()
    for process in twins.both:
        keys = await process.federation.keyring.lookup([("two.test", "ed25519:test")], at_ms=twins.clock())
        assert keys("two.test", "ed25519:test") is not None
    assert asked == ["/_matrix/key/v2/server"]
    await two.stop()
    await twins.stop()
