"""Pushers, and what a push gateway over real HTTP is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.modules.bridge import V3
from tests.modules.conftest import Start
from tests.modules.test_receipts import pair, read
from tests.watching import asked
from weft.testing import Client, TestServer

PATH = "/_matrix/push/v1/notify"


class Gateway:
    """Notes what it is told; `status` and `rejected` are what it answers."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        self.refused = 0
        #: The text of messages that it answers with 400.
        self.disliked: str | None = None
        self.rejected: list[str] = []
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post(PATH, self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        return runner

    async def _answer(self, request: web.Request) -> web.Response:
        notification = (await request.json())["notification"]
        disliked = self.disliked is not None and notification.get("content", {}).get("body") == self.disliked
        if self.status != 200 or disliked:
            self.refused += 1
            return web.json_response({"errcode": "M_UNKNOWN"}, status=400 if disliked else self.status)
        self.told.append(notification)
        asked(request.method, request.raw_path)
        return web.json_response({"rejected": self.rejected})

    def events(self, pushkey: str) -> list[str]:
        """The ids of the events that one pusher was told of; there may have been counts between them."""
        told = [one for one in self.told if "event_id" in one]
        return [one["event_id"] for one in told if one["devices"][0]["pushkey"] == pushkey]

    async def until(self, condition: Callable[[], object]) -> None:
        try:
            async with asyncio.timeout(10):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"what was told: {self.told}") from None


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    runner = await gateway.start()
    yield gateway
    await runner.cleanup()


@pytest_asyncio.fixture
async def server(start_server: Start) -> TestServer:
    return await start_server({"push": {"allowed_addresses": ["127.0.0.0/8"]}})


def pusher(url: str, **changes: Any) -> dict[str, Any]:
    texts = {"app_display_name": "App", "device_display_name": "Phone", "profile_tag": "x", "lang": "en"}
    return {"kind": "http", "app_id": "org.app", "pushkey": "key", "data": {"url": url, "more": 1}, **texts, **changes}


async def pushers(who: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await who.get(f"{V3}/pushers")).ok()["pushers"]
    return found


async def test_pushers_are_set_replaced_and_deleted(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    body = pusher(f"https://push.example.org{PATH}")
    (await alice.post(f"{V3}/pushers/set", body)).ok()
    assert await pushers(alice) == [body]
    (await bob.post(f"{V3}/pushers/set", {**body, "append": True})).ok()
    assert len(await pushers(alice)) == len(await pushers(bob)) == 1
    (await bob.post(f"{V3}/pushers/set", {**body, "lang": "de"})).ok()
    assert await pushers(alice) == []
    assert [one["lang"] for one in await pushers(bob)] == ["de"]
    (await bob.post(f"{V3}/pushers/set", {"kind": None, "app_id": "org.app", "pushkey": "key"})).ok()
    assert await pushers(bob) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": "a" * 65},
        {"pushkey": "é" * 257},
        {"kind": "email"},
        {"data": {"url": "https://push.example.org/elsewhere"}},
        {"data": {"url": f"ftp://push.example.org{PATH}"}},
        {"data": {"url": f"https://push.example.org:x{PATH}"}},
        {"lang": "a" * 2_000},
    ],
)
async def test_what_can_be_no_pusher(server: TestServer, changes: dict[str, Any]) -> None:
    alice = await server.user("alice")
    answer = await alice.post(f"{V3}/pushers/set", pusher(f"https://push.example.org{PATH}", **changes))
    answer.refused(400, "M_INVALID_PARAM")


async def test_a_pusher_ends_with_its_device(server: TestServer) -> None:
    alice = await server.user("alice")
    again = await server.login("alice")
    (await alice.post(f"{V3}/pushers/set", pusher(f"https://push.example.org{PATH}"))).ok()
    assert len(await pushers(again)) == 1
    (await alice.post(f"{V3}/logout")).ok()
    assert await pushers(again) == []


async def test_a_message_reaches_the_gateway_and_reading_the_badge(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    event_id = await alice.send(room_id)
    await gateway.until(lambda: gateway.told)
    told = gateway.told[0]
    device = told["devices"][0]
    assert device.pop("pushkey_ts") > 0
    assert device["data"] == {"more": 1}
    assert (told["event_id"], told["room_id"], told["sender"]) == (event_id, room_id, alice.user_id)
    assert told["type"] == "m.room.message"
    assert told["counts"] == {"unread": 1}
    (await read(bob, room_id, event_id)).ok()
    await gateway.until(lambda: len(gateway.told) == 2)
    assert "event_id" not in gateway.told[1]
    assert gateway.told[1]["counts"] == {}


async def test_what_is_rejected_is_removed(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    gateway.rejected = ["key"]
    only_id = {"url": gateway.url, "format": "event_id_only"}
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url, data=only_id))).ok()
    event_id = await alice.send(room_id)
    await gateway.until(lambda: gateway.told)
    assert gateway.told[0].keys() == {"event_id", "room_id", "counts", "devices"}
    assert gateway.told[0]["event_id"] == event_id
    async with asyncio.timeout(10):
        while await pushers(bob):
            await asyncio.sleep(0.05)


async def test_a_gateway_that_is_down_is_told_once_it_is_back(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    gateway.status = 503
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    event_id = await alice.send(room_id)
    await gateway.until(lambda: gateway.refused)
    gateway.status = 200
    await gateway.until(lambda: gateway.told)
    await asyncio.sleep(0.3)
    assert [told["event_id"] for told in gateway.told] == [event_id]


async def test_an_invite_is_told_and_what_was_read_or_is_ones_own_is_not(server: TestServer, gateway: Gateway) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    room_id = await alice.create_room(preset="private_chat", name="Garden", invite=[bob.user_id])
    await gateway.until(lambda: gateway.told)
    told = gateway.told[0]
    assert (told["type"], told["user_is_target"], told["room_name"]) == ("m.room.member", True, "Garden")
    assert told["prio"] == "high"
    await bob.join(room_id)
    await bob.send(room_id)
    last = await alice.send(room_id)
    await gateway.until(lambda: "event_id" in gateway.told[-1] and len(gateway.told) > 1)
    # The count may have been told by itself before.
    assert [told["event_id"] for told in gateway.told[1:] if "event_id" in told] == [last]


async def test_an_invite_that_is_not_shown_is_not_told(server: TestServer, gateway: Gateway) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    data = f"{V3}/user/{bob.user_id}/account_data/org.matrix.msc4155.invite_permission_config"
    (await bob.put(data, {"ignored_users": [alice.user_id]})).ok()
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    await alice.create_room(invite=[bob.user_id])
    shown = await carol.create_room(invite=[bob.user_id])
    await gateway.until(lambda: gateway.told)
    assert [told["room_id"] for told in gateway.told] == [shown]


async def test_nobody_waits_for_anothers_gateway(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    carol = await server.user("carol")
    await carol.join(room_id)
    nowhere = gateway.url.replace("127.0.0.1", "127.0.0.2")
    (await carol.post(f"{V3}/pushers/set", pusher(nowhere, pushkey="other"))).ok()
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    sent = [await alice.send(room_id) for _ in range(3)]
    await gateway.until(lambda: len(gateway.told) == 3)
    assert [told["event_id"] for told in gateway.told] == sent


async def test_private_addresses_are_not_told(start_server: Start, gateway: Gateway) -> None:
    server = await start_server()
    alice, bob, room_id = await pair(server)
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    await alice.send(room_id)
    await asyncio.sleep(0.5)
    assert gateway.told == []


async def test_what_a_gateway_refuses_is_tried_again_and_holds_up_nobody_else(
    server: TestServer, gateway: Gateway
) -> None:
    alice, bob, room_id = await pair(server)
    carol = await server.user("carol")
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    gateway.status = 400
    first = await alice.send(room_id)
    await gateway.until(lambda: gateway.refused == 1)
    gateway.status = 200
    (await carol.post(f"{V3}/pushers/set", pusher(gateway.url, pushkey="other"))).ok()
    await carol.join(room_id)
    second = await alice.send(room_id)
    await gateway.until(lambda: gateway.events("other"))
    assert (gateway.events("key"), gateway.events("other")) == ([], [second])
    server.clock.advance(2)
    third = await alice.send(room_id)
    await gateway.until(lambda: len(gateway.events("key")) == 3)
    assert gateway.events("key") == [first, second, third]


async def test_what_is_refused_again_and_again_is_given_up(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    gateway.disliked = "the one"
    await alice.send(room_id, "the one")
    later = []
    async with asyncio.timeout(20):
        while gateway.refused < 8:
            server.clock.advance(300)
            later.append(await alice.send(room_id))
            await asyncio.sleep(0.05)
    # Each leap of the clock ends the lease of who tells: of two processes, both may have told an event then.
    await gateway.until(lambda: len(set(gateway.events("key"))) == len(later))
    assert list(dict.fromkeys(gateway.events("key"))) == later
    refused = gateway.refused
    await alice.send(room_id)
    await gateway.until(lambda: len(set(gateway.events("key"))) > len(later))
    assert gateway.refused == refused


async def test_what_waits_is_told_after_a_restart(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    gateway.status = 503
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    sent = [await alice.send(room_id) for _ in range(3)]
    await gateway.until(lambda: gateway.refused)
    await server.restart()
    gateway.status = 200
    await gateway.until(lambda: len(gateway.told) == 3)
    assert [told["event_id"] for told in gateway.told] == sent


async def test_what_is_a_day_old_is_given_up(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    gateway.status = 503
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    await alice.send(room_id)
    await gateway.until(lambda: gateway.refused)
    server.clock.advance(25 * 3600)
    gateway.status = 200
    last = await alice.send(room_id)
    await gateway.until(lambda: gateway.told)
    await asyncio.sleep(0.3)
    assert [told["event_id"] for told in gateway.told] == [last]


async def test_pushers_end_with_the_sessions_and_the_account(server: TestServer, gateway: Gateway) -> None:
    alice, bob, room_id = await pair(server)
    again = await server.login("bob")
    (await again.post(f"{V3}/pushers/set", pusher(gateway.url))).ok()
    (await bob.post(f"{V3}/pushers/set", pusher(gateway.url, pushkey="mine"))).ok()
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}, "password": "correct horse"}
    (await bob.post(f"{V3}/account/password", {"new_password": "battery staple", "auth": auth})).ok()
    assert [one["pushkey"] for one in await pushers(bob)] == ["mine"]
    (await bob.post(f"{V3}/account/deactivate", {"auth": {**auth, "password": "battery staple"}})).ok()
    await alice.send(room_id)
    await asyncio.sleep(0.5)
    assert gateway.told == []
