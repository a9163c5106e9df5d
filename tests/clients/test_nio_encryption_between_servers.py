"""Encrypted conversations of matrix-nio between two Wefts: the link is cut and mended, servers start again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.clients.nio_encryption import Device, People, comes_and_goes, encrypted_room
from tests.federation.kit import MemoryKit
from weft.http.serve import HttpServer, Listener
from weft.testing import TestServer
from weft.testing.client import Asgi


class Two:
    """Two servers in this process, with a listener for clients each."""

    def __init__(self, folder: Path) -> None:
        self.kit = MemoryKit(folder)
        self.people = People(folder / "stores")
        self.one: TestServer
        self.two: TestServer
        self._listeners: list[HttpServer] = []
        self._urls: list[str] = []

    async def start(self) -> None:
        self.one, self.two = await self.kit(2)
        for server in (self.one, self.two):
            resources = frozenset({"client"})
            listener = HttpServer([Listener("127.0.0.1", 0, resources)], lambda _, of=server: _app_of(of), grace=1)
            await listener.start()
            self._listeners.append(listener)
            ((_, _, port),) = listener.addresses()
            self._urls.append(f"http://127.0.0.1:{port}")

    async def stop(self) -> None:
        await self.people.close()
        for listener in self._listeners:
            await listener.stop()
        await self.kit.close()

    async def alice_and_bob(self) -> tuple[Device, Device]:
        """One on each server."""
        alice = await self.people.register(self._urls[0], "alice")
        return alice, await self.people.register(self._urls[1], "bob")

    async def register_at_two(self, localpart: str) -> Device:
        return await self.people.register(self._urls[1], localpart)

    def cut(self) -> None:
        for pair in (("one.test", "two.test"), ("two.test", "one.test")):
            self.kit.network.cut(*pair)

    def mend(self) -> None:
        for pair in (("one.test", "two.test"), ("two.test", "one.test")):
            self.kit.network.mend(*pair)
        self.kit.clock.advance(3_600)


def _app_of(server: TestServer) -> Asgi:
    """What answers for a server, also after it was started again."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await server.app()(scope, receive, send)

    return app


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Two]:
    two = Two(tmp_path)
    await two.start()
    yield two
    await two.stop()


async def test_a_conversation(servers: Two) -> None:
    alice, bob = await servers.alice_and_bob()
    phone = await servers.people.login(bob)
    room_id = await encrypted_room(alice, bob, also=(phone,))
    sent = await alice.say(room_id, "to both of your devices")
    for device in (bob, phone):
        await device.hears(sent, "to both of your devices")
    answer = await phone.say(room_id, "from my phone")
    for device in (alice, bob):
        await device.hears(answer, "from my phone")
    tablet = await servers.people.login(bob)
    await alice.until(lambda: tablet.client.device_id in alice.client.device_store[bob.user_id])
    after = await alice.say(room_id, "to the tablet as well")
    for device in (bob, phone, tablet):
        await device.hears(after, "to the tablet as well")


async def test_who_comes_and_who_goes(servers: Two) -> None:
    alice, bob = await servers.alice_and_bob()
    carol = await servers.register_at_two("carol")
    await comes_and_goes(alice, bob, carol)


async def test_the_link_is_cut_and_mended(servers: Two) -> None:
    alice, bob = await servers.alice_and_bob()
    room_id = await encrypted_room(alice, bob)
    await bob.hears(await alice.say(room_id, "before"), "before")
    servers.cut()
    hers = {await alice.say(room_id, f"hers {number}"): f"hers {number}" for number in range(4)}
    phone = await servers.people.login(bob)
    his = {await bob.say(room_id, f"his {number}"): f"his {number}" for number in range(4)}
    servers.mend()
    for event_id, text in hers.items():
        await bob.hears(event_id, text)
    for event_id, text in his.items():
        await alice.hears(event_id, text)
    await alice.until(lambda: phone.client.device_id in alice.client.device_store[bob.user_id])
    after = await alice.say(room_id, "after")
    for device in (bob, phone):
        await device.hears(after, "after")


async def test_the_receiving_server_and_its_user_are_away(servers: Two) -> None:
    alice, bob = await servers.alice_and_bob()
    room_id = await encrypted_room(alice, bob)
    await bob.hears(await alice.say(room_id, "before"), "before")
    await servers.two.stop()
    sent = {await alice.say(room_id, f"message {number}"): f"message {number}" for number in range(4)}
    await servers.one.restart()
    await servers.two.start()
    servers.kit.clock.advance(3_600)
    again = servers.people.again(bob)
    for event_id, text in sent.items():
        await again.hears(event_id, text)
