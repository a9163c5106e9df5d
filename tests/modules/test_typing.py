"""Typing notifications."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from tests.modules.test_receipts import pair
from weft.testing import Answer, Client, TestServer


async def types(
    who: Client, room_id: str, typing: bool = True, timeout: int | None = None, *, user: str = ""
) -> Answer:
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/typing/{quote(user or who.user_id)}"
    body: dict[str, Any] = {"typing": typing}
    if timeout is not None:
        body["timeout"] = timeout
    return await who.put(path, body)


def typing_in(response: dict[str, Any], room_id: str) -> list[str] | None:
    """Who is typing, as far as a sync response says anything about it."""
    section = response.get("rooms", {}).get("join", {}).get(room_id, {})
    for event in section.get("ephemeral", {}).get("events", []):
        if event["type"] == "m.typing":
            found: list[str] = event["content"]["user_ids"]
            return found
    return None


async def until_told(who: Client, since: str, room_id: str) -> tuple[list[str], str]:
    """Syncs until typing is told of."""
    async with asyncio.timeout(15):
        while True:
            response = await who.sync(since, timeout=10_000)
            since = response["next_batch"]
            found = typing_in(response, room_id)
            if found is not None:
                return found, since


async def test_typing_and_stopping(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await alice.sync())["next_batch"]
    (await types(bob, room_id, timeout=30_000)).ok()
    response = await alice.sync(since)
    assert typing_in(response, room_id) == [bob.user_id]
    assert typing_in(await alice.sync(), room_id) == [bob.user_id]
    assert typing_in(await alice.sync(response["next_batch"]), room_id) is None
    (await types(bob, room_id, typing=False)).ok()
    assert typing_in(await alice.sync(response["next_batch"]), room_id) == []
    assert typing_in(await alice.sync(), room_id) is None


async def test_it_ends_by_itself_and_wakes_who_waits(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await alice.sync())["next_batch"]
    (await types(bob, room_id, timeout=5_000)).ok()
    told, since = await until_told(alice, since, room_id)
    assert told == [bob.user_id]
    server.clock.advance(6)
    told, _ = await until_told(alice, since, room_id)
    assert told == []


async def test_saying_it_again_tells_nobody_and_gives_more_time(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    (await types(bob, room_id, timeout=5_000)).ok()
    since = (await alice.sync())["next_batch"]
    (await types(bob, room_id, timeout=60_000)).ok()
    server.clock.advance(20)
    await asyncio.sleep(1.5)
    assert typing_in(await alice.sync(since), room_id) is None
    assert typing_in(await alice.sync(), room_id) == [bob.user_id]


async def test_nobody_types_for_ever(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    (await types(bob, room_id, timeout=10**12)).ok()
    since = (await alice.sync())["next_batch"]
    server.clock.advance(121)
    told, _ = await until_told(alice, since, room_id)
    assert told == []


async def test_who_may_not(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    carol = await server.user("carol")
    (await types(carol, room_id)).refused(403, "M_FORBIDDEN")
    (await types(alice, "!absent:weft.test")).refused(403, "M_FORBIDDEN")
    (await types(alice, room_id, user=bob.user_id)).refused(403, "M_FORBIDDEN")
    answer = await alice.put(f"/_matrix/client/v3/rooms/{quote(room_id)}/typing/{quote(alice.user_id)}", {})
    answer.refused(400, "M_MISSING_PARAM")


async def test_who_has_left_is_not_typing(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    (await types(bob, room_id)).ok()
    await bob.leave(room_id)
    assert typing_in(await alice.sync(), room_id) in (None, [])


async def test_it_survives_a_restart(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await alice.sync())["next_batch"]
    (await types(bob, room_id)).ok()
    await server.restart()
    assert typing_in(await alice.sync(since), room_id) == [bob.user_id]
    assert typing_in(await alice.sync(), room_id) == [bob.user_id]


async def test_filters_hold(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    (await types(bob, room_id)).ok()
    assert typing_in(await alice.sync(filter={"room": {"ephemeral": {"not_types": ["m.typing"]}}}), room_id) is None
