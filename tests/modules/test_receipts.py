"""Receipts, public, private and threaded, and fully-read markers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from weft.testing import Answer, Client, TestServer

ROOMS = "/_matrix/client/v3/rooms"


async def read(who: Client, room_id: str, event_id: str, kind: str = "m.read", thread: str | None = None) -> Answer:
    body = {} if thread is None else {"thread_id": thread}
    return await who.post(f"{ROOMS}/{quote(room_id)}/receipt/{kind}/{quote(event_id)}", body)


async def mark(who: Client, room_id: str, **markers: str) -> Answer:
    named = {f"m.{name}".replace("_private", ".private"): event_id for name, event_id in markers.items()}
    return await who.post(f"{ROOMS}/{quote(room_id)}/read_markers", named)


def receipts(response: dict[str, Any], room_id: str) -> set[tuple[str, str, str, str | None]]:
    """What a sync response says: (user, type, event, thread)."""
    section = response.get("rooms", {}).get("join", {}).get(room_id, {})
    return {
        (user_id, kind, event_id, told.get("thread_id"))
        for event in section.get("ephemeral", {}).get("events", [])
        if event["type"] == "m.receipt"
        for event_id, kinds in event["content"].items()
        for kind, users in kinds.items()
        for user_id, told in users.items()
    }


def fully_read(response: dict[str, Any], room_id: str) -> str | None:
    section = response.get("rooms", {}).get("join", {}).get(room_id, {})
    for event in section.get("account_data", {}).get("events", []):
        if event["type"] == "m.fully_read":
            found: str = event["content"]["event_id"]
            return found
    return None


async def threaded(who: Client, room_id: str, root: str, body: str) -> str:
    return await who.send(
        room_id, msgtype="m.text", body=body, **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    )


async def pair(server: TestServer) -> tuple[Client, Client, str]:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return alice, bob, room_id


async def test_a_receipt_reaches_the_others(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    first = await alice.sync()
    (await read(bob, room_id, event_id)).ok()
    second = await alice.sync(first["next_batch"])
    assert receipts(second, room_id) == {(bob.user_id, "m.read", event_id, None)}
    assert receipts(await alice.sync(second["next_batch"]), room_id) == set()
    assert receipts(await alice.sync(), room_id) == {(bob.user_id, "m.read", event_id, None)}


async def test_receipts_only_move_forward(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    earlier, later = await alice.send(room_id), await alice.send(room_id)
    (await read(bob, room_id, later)).ok()
    since = (await alice.sync())["next_batch"]
    (await read(bob, room_id, earlier)).ok()
    (await read(bob, room_id, later)).ok()
    assert receipts(await alice.sync(since), room_id) == set()
    assert receipts(await alice.sync(), room_id) == {(bob.user_id, "m.read", later, None)}


async def test_private_receipts_are_told_to_nobody_else(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    hers, his = (await alice.sync())["next_batch"], (await bob.sync())["next_batch"]
    (await read(bob, room_id, event_id, "m.read.private")).ok()
    for token in (hers, None):
        assert receipts(await alice.sync(token), room_id) == set()
    for token in (his, None):
        assert receipts(await bob.sync(token), room_id) == {(bob.user_id, "m.read.private", event_id, None)}


async def test_both_kinds_and_threads_are_kept_apart(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    reply = await threaded(alice, room_id, root, "reply")
    plain = await alice.send(room_id, "plain")
    (await read(bob, room_id, root)).ok()
    (await read(bob, room_id, reply, thread=root)).ok()
    (await read(bob, room_id, plain, thread="main")).ok()
    (await read(bob, room_id, plain, "m.read.private", thread="main")).ok()
    public = {
        (bob.user_id, "m.read", root, None),
        (bob.user_id, "m.read", reply, root),
        (bob.user_id, "m.read", plain, "main"),
    }
    assert receipts(await alice.sync(), room_id) == public
    assert receipts(await bob.sync(), room_id) == public | {(bob.user_id, "m.read.private", plain, "main")}


async def test_threads_that_an_event_is_not_in(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    reply = await threaded(alice, room_id, root, "reply")
    other = await alice.send(room_id, "other")
    (await read(bob, room_id, reply, thread="main")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, other, thread=root)).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, other, thread="")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, other, thread="$\0")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, other, thread="nonsense")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, other, "m.fully_read", thread="main")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, root, thread=root)).ok()
    (await read(bob, room_id, root, thread="main")).ok()


async def test_what_relates_to_a_reply_is_in_its_thread(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    reply = await threaded(alice, room_id, root, "reply")
    relation = {"rel_type": "m.annotation", "event_id": reply, "key": "👍"}
    reaction = await alice.send(room_id, event_type="m.reaction", **{"m.relates_to": relation})
    (await read(bob, room_id, reaction, thread="main")).refused(400, "M_INVALID_PARAM")
    (await read(bob, room_id, reaction, thread=root)).ok()


@pytest.mark.parametrize("kind", ["m.read", "m.read.private", "m.fully_read"])
async def test_who_may_not(server: TestServer, kind: str) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id, elsewhere = await alice.create_room(), await alice.create_room()
    event_id = await alice.send(room_id)
    (await read(bob, room_id, event_id, kind)).refused(403, "M_FORBIDDEN")
    (await read(alice, "!absent:weft.test", event_id, kind)).refused(403, "M_FORBIDDEN")
    (await read(alice, elsewhere, event_id, kind)).refused(404, "M_NOT_FOUND")
    (await read(alice, room_id, "$absent", kind)).refused(404, "M_NOT_FOUND")
    (await read(alice, room_id, event_id, "m.nonsense")).refused(400, "M_INVALID_PARAM")


async def test_fully_read_markers(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    first, second, third = [await alice.send(room_id) for _ in range(3)]
    since = (await bob.sync())["next_batch"]
    (await mark(bob, room_id, fully_read=first, read=second, read_private=third)).ok()
    response = await bob.sync(since)
    assert fully_read(response, room_id) == first
    assert receipts(response, room_id) == {
        (bob.user_id, "m.read", second, None),
        (bob.user_id, "m.read.private", third, None),
    }
    (await read(bob, room_id, third, "m.fully_read")).ok()
    (await mark(bob, room_id, fully_read=second)).ok()
    assert fully_read(await bob.sync(), room_id) == third
    assert fully_read(await alice.sync(), room_id) is None
    path = f"/_matrix/client/v3/user/{quote(bob.user_id)}/rooms/{quote(room_id)}/account_data/m.fully_read"
    assert (await bob.get(path)).ok() == {"event_id": third}


async def test_all_receipts_come_with_joining(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    (await read(bob, room_id, event_id)).ok()
    carol = await server.user("carol")
    since = (await carol.sync())["next_batch"]
    await carol.join(room_id)
    assert receipts(await carol.sync(since), room_id) == {(bob.user_id, "m.read", event_id, None)}


async def test_a_token_from_before_a_restart_misses_nothing(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    since = (await alice.sync())["next_batch"]
    (await read(bob, room_id, event_id)).ok()
    (await read(bob, room_id, event_id, "m.read.private")).ok()
    await server.restart()
    assert receipts(await alice.sync(since), room_id) == {(bob.user_id, "m.read", event_id, None)}


async def test_a_receipt_wakes_who_waits(server: TestServer) -> None:
    import asyncio

    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    since = (await alice.sync())["next_batch"]
    waiting = asyncio.create_task(alice.sync(since, timeout=20_000))
    await asyncio.sleep(0.05)
    (await read(bob, room_id, event_id)).ok()
    async with asyncio.timeout(10):
        answer = await waiting
        # Somebody's presence may have come first.
        while room_id not in answer.get("rooms", {}).get("join", {}):
            answer = await alice.sync(answer["next_batch"], timeout=5_000)
    assert receipts(answer, room_id) == {(bob.user_id, "m.read", event_id, None)}


async def test_filters_hold_for_receipts(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    (await read(bob, room_id, event_id)).ok()
    without = {"room": {"ephemeral": {"not_types": ["m.receipt"]}}}
    assert receipts(await alice.sync(filter=without), room_id) == set()
