"""Unread counts in sync, and the list of notifications."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.test_receipts import pair, read, threaded
from weft.modules.unread import Unread, store
from weft.protocol.push_rules import Actions, FlattenedEvent, Ruleset, evaluate
from weft.testing import Client, TestServer

THREADS = {"room": {"timeline": {"unread_thread_notifications": True}}}


async def unread(who: Client, room_id: str) -> tuple[int, int]:
    """(notifications, highlights) of a room, synced from the beginning."""
    counts = (await who.sync())["rooms"]["join"][room_id]["unread_notifications"]
    return counts["notification_count"], counts["highlight_count"]


async def by_thread(who: Client, room_id: str) -> tuple[int, dict[str, int]]:
    """Notifications of the main timeline, and of each thread."""
    section = (await who.sync(filter=THREADS))["rooms"]["join"][room_id]
    threads = section.get("unread_thread_notifications", {})
    counts = {root: told["notification_count"] for root, told in threads.items()}
    return section["unread_notifications"]["notification_count"], counts


async def mention(who: Client, room_id: str, user_id: str) -> str:
    return await who.send(room_id, msgtype="m.text", body="you", **{"m.mentions": {"user_ids": [user_id]}})


async def test_counts_grow_with_messages_and_go_with_receipts(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    assert await unread(bob, room_id) == (0, 0)
    first = await alice.send(room_id)
    await mention(alice, room_id, bob.user_id)
    last = await alice.send(room_id)
    assert await unread(bob, room_id) == (3, 1)
    assert await unread(alice, room_id) == (0, 0)
    (await read(bob, room_id, first)).ok()
    assert await unread(bob, room_id) == (2, 1)
    (await read(bob, room_id, last, "m.read.private")).ok()
    assert await unread(bob, room_id) == (0, 0)
    await alice.send(room_id)
    assert await unread(bob, room_id) == (1, 0)


async def test_the_count_comes_with_the_event(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await bob.sync())["next_batch"]
    for expected in (1, 2, 3):
        await alice.send(room_id)
        response = await bob.sync(since)
        since = response["next_batch"]
        section = response["rooms"]["join"][room_id]
        assert section["unread_notifications"] == {"notification_count": expected, "highlight_count": 0}


async def test_reading_is_told_to_the_other_device(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    without = {"room": {"ephemeral": {"types": []}}}
    since = (await bob.sync())["next_batch"]
    (await read(bob, room_id, event_id)).ok()
    section = (await bob.sync(since, filter=without))["rooms"]["join"][room_id]
    assert section["unread_notifications"]["notification_count"] == 0
    assert "ephemeral" not in section


async def test_what_was_before_joining_is_not_unread(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(preset="public_chat")
    for _ in range(3):
        await alice.send(room_id)
    bob = await server.user("bob")
    await bob.join(room_id)
    assert await unread(bob, room_id) == (0, 0)
    await alice.send(room_id)
    assert await unread(bob, room_id) == (1, 0)


async def test_who_writes_has_read(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    await alice.send(room_id)
    assert await unread(bob, room_id) == (1, 0)
    await bob.send(room_id)
    assert await unread(bob, room_id) == (0, 0)
    await alice.send(room_id)
    assert await unread(bob, room_id) == (1, 0)


async def test_many_unread_events(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    for _ in range(40):
        await alice.send(room_id)
    assert await unread(bob, room_id) == (40, 0)
    events = [await alice.send(room_id) for _ in range(120)]
    assert await unread(bob, room_id) == (160, 0)
    (await read(bob, room_id, events[9])).ok()
    assert await unread(bob, room_id) == (110, 0)
    await server.restart()
    assert await unread(bob, room_id) == (110, 0)


async def test_threads_are_counted_apart(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    replies = [await threaded(alice, room_id, root, f"{n}") for n in range(3)]
    await alice.send(room_id, "plain")
    assert await unread(bob, room_id) == (5, 0)
    assert await by_thread(bob, room_id) == (2, {root: 3})
    (await read(bob, room_id, replies[1], thread=root)).ok()
    assert await by_thread(bob, room_id) == (2, {root: 1})
    (await read(bob, room_id, root, thread="main")).ok()
    assert await by_thread(bob, room_id) == (1, {root: 1})
    await threaded(bob, room_id, root, "mine")
    assert await by_thread(bob, room_id) == (1, {})
    (await read(bob, room_id, await alice.send(room_id))).ok()
    assert await by_thread(bob, room_id) == (0, {})


async def test_a_room_receipt_reads_threads_too(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    await threaded(alice, room_id, root, "reply")
    (await read(bob, room_id, await alice.send(room_id))).ok()
    assert await by_thread(bob, room_id) == (0, {})


async def test_rules_decide(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    await alice.send(room_id, "one cup of tea")
    await alice.send(room_id, "one of coffee")
    assert await unread(bob, room_id) == (2, 0)
    rule = {"actions": ["notify", {"set_tweak": "highlight"}], "pattern": "tea"}
    (await bob.put("/_matrix/client/v3/pushrules/global/content/tea", rule)).ok()
    assert await unread(bob, room_id) == (2, 1)
    (await bob.put(f"/_matrix/client/v3/pushrules/global/room/{quote(room_id)}", {"actions": []})).ok()
    assert await unread(bob, room_id) == (1, 1)
    (await bob.put("/_matrix/client/v3/pushrules/global/override/.m.rule.master/enabled", {"enabled": True})).ok()
    assert await unread(bob, room_id) == (0, 0)


async def test_redacted_messages_and_reactions_do_not_count(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await alice.send(room_id)
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": "👍"}
    await alice.send(room_id, event_type="m.reaction", **{"m.relates_to": relation})
    assert await unread(bob, room_id) == (1, 0)
    (await alice.put(f"/_matrix/client/v3/rooms/{quote(room_id)}/redact/{quote(event_id)}/r1", {})).ok()
    assert await unread(bob, room_id) == (0, 0)


async def test_ignored_users_do_not_count(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    await alice.send(room_id)
    path = f"/_matrix/client/v3/user/{quote(bob.user_id)}/account_data/m.ignored_user_list"
    (await bob.put(path, {"ignored_users": {alice.user_id: {}}})).ok()
    await alice.send(room_id)
    assert await unread(bob, room_id) == (0, 0)
    (await bob.put(path, {"ignored_users": {}})).ok()
    assert await unread(bob, room_id) == (2, 0)


async def test_leaving_and_coming_back(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    await alice.send(room_id)
    await bob.leave(room_id)
    await alice.send(room_id)
    await bob.join(room_id)
    assert await unread(bob, room_id) == (0, 0)


async def notifications(who: Client, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await who.get("/_matrix/client/v3/notifications", **query)).ok()
    return answer


async def test_notifications_are_listed(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    other = await alice.create_room(preset="public_chat")
    await bob.join(other)
    sent = [await alice.send(room_id if n % 2 else other, f"{n}") for n in range(5)]
    sent.append(await mention(alice, other, bob.user_id))
    (await read(bob, other, sent[2])).ok()
    first = await notifications(bob, limit=4)
    second = await notifications(bob, limit=4, from_=first["next_token"])
    listed = [*first["notifications"], *second["notifications"]]
    assert [told["event"]["event_id"] for told in listed] == sent[::-1]
    assert [told["read"] for told in listed] == [False, False, False, True, False, True]
    assert {told["room_id"] for told in listed} == {room_id, other}
    assert "next_token" not in second
    highlights = await notifications(bob, only="highlight")
    assert [told["event"]["event_id"] for told in highlights["notifications"]] == [sent[-1]]
    (await bob.get("/_matrix/client/v3/notifications", from_="nonsense")).refused(400, "M_INVALID_PARAM")


async def test_what_was_counted_is_not_counted_again_after_a_start(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, room_id = await pair(server)
    other = await alice.create_room(preset="public_chat")
    await bob.join(other)
    for room in (room_id, other):
        for _ in range(30):
            await alice.send(room)
        assert await unread(bob, room) == (30, 0)
    looked_at: list[str] = []

    def counting(ruleset: Ruleset, event: FlattenedEvent, user_id: str, *about_them: Any) -> Actions | None:
        looked_at.append(user_id)
        return evaluate(ruleset, event, user_id, *about_them)

    monkeypatch.setattr("weft.modules.unread.tally.evaluate", counting)
    await server.restart()
    await mention(alice, other, bob.user_id)
    assert await unread(bob, other) == (31, 1)
    assert await unread(bob, room_id) == (30, 0)
    # Of two servers each looks for itself.
    assert 1 <= len(looked_at) <= 2
    (await read(bob, room_id, await alice.send(room_id))).ok()
    await server.restart()
    assert await unread(bob, room_id) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
async def test_counts_moved_on_are_counts_made_anew(
    server: TestServer, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.modules.unread.service._WORTH_KEEPING", 1)
    chance = random.Random(seed)
    alice, bob, room_id = await pair(server)
    sent: list[tuple[str, str]] = [(await alice.send(room_id, "root"), "main")]
    roots = [sent[0][0]]
    services = [m.appliers[0] for m in server.server.modules if m.name == "unread"]
    service = getattr(services[0], "__self__", None)
    assert isinstance(service, Unread)

    async def step() -> None:
        who = chance.choice([alice, alice, bob])
        match chance.choice(["send", "send", "thread", "thread", "mention", "read", "read thread", "redact", "name"]):
            case "send":
                sent.append((await who.send(room_id), "main"))
                roots.append(sent[-1][0])
            case "thread":
                root = chance.choice(roots[-3:])
                sent.append((await threaded(who, room_id, root, "reply"), root))
            case "mention":
                sent.append((await mention(who, room_id, bob.user_id), "main"))
            case "read":
                (await read(bob, room_id, chance.choice(sent)[0], chance.choice(["m.read", "m.read.private"]))).ok()
            case "read thread":
                event_id, thread = chance.choice(sent)
                (await read(bob, room_id, event_id, thread=thread)).ok()
            case "redact":
                plain = [event_id for event_id, thread in sent if thread == "main" and event_id not in roots]
                if plain:
                    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/redact/{quote(chance.choice(plain))}/{len(sent)}"
                    await alice.put(path, {})
            case "name":
                await who.set_state(
                    room_id, "m.room.member", {"membership": "join", "displayname": f"{len(sent)}"}, who.user_id
                )

    for _ in range(40):
        await step()
        engine = server.server.engine
        await engine.log.catch_up()
        room = await engine.rooms.get(room_id)
        moved_on = await service.counts(bob.user_id, room)
        if chance.random() < 0.5:
            service.forget()
            assert await service.counts(bob.user_id, room) == moved_on, "taken up from the tables"
        if chance.random() < 0.5:
            await engine.database.write(store.forget_rooms, [room.number])
            service.forget()
            assert await service.counts(bob.user_id, room) == moved_on, "made anew"
