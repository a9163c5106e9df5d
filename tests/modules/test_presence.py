"""Presence: said, synced, and what time makes of it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from tests.modules.conftest import Start
from tests.modules.test_receipts import pair
from weft.storage.database import Transaction
from weft.testing import Answer, Client, TestServer, Twins


def path(user_id: str) -> str:
    return f"/_matrix/client/v3/presence/{quote(user_id)}/status"


async def say(who: Client, presence: str, status: str | None = None) -> Answer:
    return await who.put(path(who.user_id), {"presence": presence, **({"status_msg": status} if status else {})})


def presences(response: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a sync response says, by user."""
    return {event["sender"]: event["content"] for event in response.get("presence", {}).get("events", [])}


async def quiet(who: Client, since: str | None = None, **query: Any) -> dict[str, Any]:
    """A sync that says nothing of its own user."""
    response: dict[str, Any] = await who.sync(since, set_presence="offline", **query)
    return response


async def until(who: Client, since: str, user_id: str, presence: str) -> dict[str, Any]:
    """Syncs until it is told that somebody is online, unavailable or offline."""
    async with asyncio.timeout(20):
        while True:
            response = await quiet(who, since, timeout=5_000)
            since = response["next_batch"]
            told = presences(response).get(user_id, {})
            if told.get("presence") == presence:
                return told


async def test_what_is_said_is_told(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    since = (await quiet(alice))["next_batch"]
    (await say(bob, "unavailable", "at lunch\0")).ok()
    told = presences(await quiet(alice, since))[bob.user_id]
    assert (told["presence"], told["status_msg"]) == ("unavailable", "at lunch\0")
    got = (await alice.get(path(bob.user_id))).ok()
    assert (got["presence"], got["status_msg"]) == ("unavailable", "at lunch\0")
    assert 0 <= got["last_active_ago"] < 1000
    (await say(bob, "online")).ok()
    got = (await alice.get(path(bob.user_id))).ok()
    assert got["presence"] == "online"
    assert got["currently_active"] is True
    assert "status_msg" not in got


async def test_syncing_makes_online(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    since = (await quiet(alice))["next_batch"]
    assert (await alice.get(path(bob.user_id))).ok()["presence"] == "offline"
    await quiet(bob)
    assert (await alice.get(path(bob.user_id))).ok()["presence"] == "offline"
    await bob.sync()
    assert presences(await quiet(alice, since))[bob.user_id]["presence"] == "online"


async def test_a_client_may_say_that_its_user_is_idle(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    await bob.sync(set_presence="unavailable")
    assert (await alice.get(path(bob.user_id))).ok()["presence"] == "unavailable"


async def test_syncing_again_tells_nobody(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    mine = (await bob.sync())["next_batch"]
    since = (await quiet(alice))["next_batch"]
    for _ in range(3):
        await bob.sync(mine)
    assert presences(await quiet(alice, since)) == {}


async def test_only_who_shares_a_room_sees_it(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    carol = await server.user("carol")
    since = (await quiet(carol))["next_batch"]
    (await say(bob, "online")).ok()
    assert presences(await quiet(carol, since)) == {}
    assert presences(await quiet(carol)) == {}
    (await carol.get(path(bob.user_id))).refused(403, "M_FORBIDDEN")
    (await carol.get(path("@absent:weft.test"))).refused(403, "M_FORBIDDEN")
    assert (await carol.get(path(carol.user_id))).ok()["presence"] == "offline"
    (await alice.put(path(bob.user_id), {"presence": "offline"})).refused(403, "M_FORBIDDEN")


async def test_leaving_ends_it(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    (await say(bob, "online")).ok()
    since = (await quiet(alice))["next_batch"]
    await alice.leave(room_id)
    (await say(bob, "unavailable")).ok()
    assert presences(await quiet(alice, since)) == {}
    (await alice.get(path(bob.user_id))).refused(403, "M_FORBIDDEN")


async def test_entering_a_room_shows_both(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    for who in (alice, bob):
        (await say(who, "online")).ok()
    hers, his = (await quiet(alice))["next_batch"], (await quiet(bob))["next_batch"]
    await bob.join(room_id)
    assert presences(await quiet(bob, his))[alice.user_id]["presence"] == "online"
    await until(alice, hers, bob.user_id, "online")


async def test_time_makes_idle_and_then_offline(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    mine = (await bob.sync())["next_batch"]
    since = (await quiet(alice))["next_batch"]
    for _ in range(11):
        server.clock.advance(30)
        mine = (await bob.sync(mine))["next_batch"]
    told = await until(alice, since, bob.user_id, "unavailable")
    assert told["last_active_ago"] > 300_000
    await bob.send(room_id)
    told = await until(alice, since, bob.user_id, "online")
    assert told["currently_active"] is True
    server.clock.advance(120)
    await until(alice, since, bob.user_id, "offline")


async def test_it_survives_a_restart(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    since = (await quiet(alice))["next_batch"]
    (await say(bob, "online", "here")).ok()
    await server.restart()
    assert presences(await quiet(alice, since))[bob.user_id]["status_msg"] == "here"
    assert presences(await quiet(alice))[bob.user_id]["presence"] == "online"


async def test_a_change_wakes_who_waits(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    since = (await quiet(alice))["next_batch"]
    waiting = asyncio.create_task(quiet(alice, since, timeout=20_000))
    await asyncio.sleep(0.05)
    (await say(bob, "online")).ok()
    async with asyncio.timeout(10):
        assert bob.user_id in presences(await waiting)


async def test_filters_hold(server: TestServer) -> None:
    alice, bob, _ = await pair(server)
    for who in (alice, bob):
        (await say(who, "online")).ok()
    assert presences(await quiet(alice)).keys() == {alice.user_id, bob.user_id}
    assert presences(await quiet(alice, filter={"presence": {"types": []}})) == {}
    assert presences(await quiet(alice, filter={"presence": {"senders": [bob.user_id]}})).keys() == {bob.user_id}


async def test_switched_off(start_server: Start) -> None:
    server = await start_server({"presence": {"enabled": False}})
    alice, bob, _ = await pair(server)
    (await say(bob, "online")).ok()
    await bob.sync()
    assert (await alice.get(path(bob.user_id))).ok() == {"presence": "offline"}
    assert presences(await quiet(alice)) == {}


def _flushes(tx: Transaction) -> int:
    count: int = tx.value("SELECT COUNT(*) FROM log WHERE kind = 'presence_flush'")
    return count


async def test_many_in_one_room_are_woken_together(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(preset="public_chat")
    crowd = [await server.user(f"user{n}") for n in range(55)]
    for who in crowd:
        await who.join(room_id)
    # They have just been told of something, so that the next such time is far.
    (await say(alice, "unavailable")).ok()
    async with asyncio.timeout(20):
        while not await server.server.engine.database.read(_flushes):
            await asyncio.sleep(0.05)
    tokens = [(await quiet(who))["next_batch"] for who in crowd]
    waiting = [asyncio.create_task(quiet(who, token, timeout=30_000)) for who, token in zip(crowd, tokens, strict=True)]
    while not isinstance(server, Twins) and len(server.server.engine.log.waiting) < len(crowd):
        await asyncio.sleep(0.01)
    (await say(alice, "online")).ok()
    await asyncio.sleep(0.1)
    # Of two processes, neither has so many who wait.
    assert isinstance(server, Twins) or not any(task.done() for task in waiting)
    server.clock.advance(11)
    async with asyncio.timeout(20):
        for response in await asyncio.gather(*waiting):
            assert presences(response)[alice.user_id]["presence"] == "online"
