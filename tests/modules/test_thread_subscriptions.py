"""Threads that users follow: subscribing, what they are notified of, and what sliding sync tells of it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from tests.modules.conftest import Start
from tests.modules.sliding import Sliding
from tests.modules.test_receipts import pair, threaded
from tests.modules.test_unread import by_thread, unread
from weft.modules.thread_subscriptions import store
from weft.testing import Answer, Client, TestServer

ENABLED = {"thread_subscriptions": {"enabled": True}}
EXTENSION = "io.element.msc4308.thread_subscriptions"
PAGES = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions"
RULES = "/_matrix/client/v3/pushrules/global"


def path(room_id: str, root: str) -> str:
    base = "/_matrix/client/unstable/io.element.msc4306"
    return f"{base}/rooms/{quote(room_id)}/thread/{quote(root, safe='')}/subscription"


async def subscribe(who: Client, room_id: str, root: str, cause: str | None = None) -> Answer:
    return await who.put(path(room_id, root), {"automatic": cause} if cause is not None else {})


async def is_automatic(who: Client, room_id: str, root: str) -> bool | None:
    answer = await who.get(path(room_id, root))
    if answer.status == 404:
        answer.refused(404, "M_NOT_FOUND")
        return None
    told: bool = answer.ok()["automatic"]
    return told


async def mention(who: Client, room_id: str, root: str, user_id: str | None) -> str:
    relation = {"rel_type": "m.thread", "event_id": root}
    content = {"m.relates_to": relation, "m.mentions": {"user_ids": [user_id]}}
    return await who.send(room_id, msgtype="m.text", **content)


async def test_subscribing_and_giving_up(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    assert await is_automatic(bob, room_id, root) is None
    (await bob.delete(path(room_id, root))).ok()
    assert (await subscribe(bob, room_id, root)).ok() == {}
    assert await is_automatic(bob, room_id, root) is False
    assert await is_automatic(alice, room_id, root) is None
    # It is what the user wanted: a client changes nothing of that by itself.
    reply = await threaded(alice, room_id, root, "reply")
    (await subscribe(bob, room_id, root, reply)).ok()
    assert await is_automatic(bob, room_id, root) is False
    for _ in range(2):
        assert (await bob.delete(path(room_id, root))).ok() == {}
        assert await is_automatic(bob, room_id, root) is None


async def test_a_client_does_not_undo_what_the_user_gave_up(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    first = await mention(alice, room_id, root, bob.user_id)
    (await subscribe(bob, room_id, root, first)).ok()
    assert await is_automatic(bob, room_id, root) is True
    (await bob.delete(path(room_id, root))).ok()
    conflict = await subscribe(bob, room_id, root, first)
    conflict.refused(409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION")
    assert await is_automatic(bob, room_id, root) is None
    again = await mention(alice, room_id, root, bob.user_id)
    (await subscribe(bob, room_id, root, again)).ok()
    assert await is_automatic(bob, room_id, root) is True
    (await subscribe(bob, room_id, root)).ok()
    assert await is_automatic(bob, room_id, root) is False
    (await bob.delete(path(room_id, root))).ok()
    # The user may, whenever they like.
    (await subscribe(bob, room_id, root)).ok()
    assert await is_automatic(bob, room_id, root) is False


async def test_what_is_no_thread_or_none_of_ones_own(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    eve = await server.user("eve")
    root = await alice.send(room_id, "root")
    other = await alice.send(room_id, "another")
    elsewhere = await alice.send(await alice.create_room(), "elsewhere")
    in_other = await threaded(alice, room_id, other, "reply")
    reaction = await alice.send(
        room_id, event_type="m.reaction", **{"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "!"}}
    )
    for who, where in ((eve, root), (bob, "$nowhere"), (bob, elsewhere)):
        (await subscribe(who, room_id, where)).refused(404, "M_NOT_FOUND")
        (await who.get(path(room_id, where))).refused(404, "M_NOT_FOUND")
        (await who.delete(path(room_id, where))).refused(404, "M_NOT_FOUND")
    for cause in (root, in_other, reaction):
        (await subscribe(bob, room_id, root, cause)).refused(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
    for cause in ("$nowhere", elsewhere):
        (await subscribe(bob, room_id, root, cause)).refused(404, "M_NOT_FOUND")
    assert (await bob.put(path(room_id, root), {"automatic": 1})).status == 400
    assert await is_automatic(bob, room_id, root) is None


async def test_subscribing_decides_what_notifies(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    assert await unread(bob, room_id) == (1, 0)
    reply = await threaded(alice, room_id, root, "reply")
    edit = {"rel_type": "m.reference", "event_id": reply}
    assert await by_thread(bob, room_id) == (1, {})
    mentioned = await mention(alice, room_id, root, bob.user_id)
    assert await by_thread(bob, room_id) == (1, {root: 1})
    since = (await bob.sync())["next_batch"]
    (await subscribe(bob, room_id, root)).ok()
    # How much is unread is told at once.
    section = (await bob.sync(since))["rooms"]["join"][room_id]
    assert section["unread_notifications"]["notification_count"] == 3
    assert await by_thread(bob, room_id) == (1, {root: 2})
    # What refers to an event of the thread is in it.
    await alice.send(room_id, "on that", **{"m.relates_to": edit})
    assert await by_thread(bob, room_id) == (1, {root: 3})
    # The room being silent does not silence what one subscribed to.
    (await bob.put(f"{RULES}/room/{quote(room_id)}", {"actions": []})).ok()
    await threaded(alice, room_id, root, "reply 2")
    assert await by_thread(bob, room_id) == (0, {root: 4})
    (await bob.delete(path(room_id, root))).ok()
    assert await by_thread(bob, room_id) == (0, {root: 1})
    listed = (await bob.get("/_matrix/client/v3/notifications")).ok()["notifications"]
    assert [one["event"]["event_id"] for one in listed] == [mentioned]


async def test_the_rules_are_shown_and_can_be_turned_off(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    shown = (await bob.get(f"{RULES}/")).ok()
    assert list(shown) == ["override", "content", "postcontent", "room", "sender", "underride"]
    names = [rule["rule_id"] for rule in shown["postcontent"]]
    assert names == [f".io.element.msc4306.rule.{which}_thread" for which in ("unsubscribed", "subscribed")]
    (await bob.put(f"{RULES}/postcontent/{names[0]}/enabled", {"enabled": False})).ok()
    root = await alice.send(room_id, "root")
    await threaded(alice, room_id, root, "reply")
    assert await unread(bob, room_id) == (2, 0)
    refused = await bob.put(f"{RULES}/postcontent/mine", {"actions": [], "conditions": []})
    refused.refused(400, "M_INVALID_PARAM")


async def test_without_the_setting_there_is_nothing_of_it(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    await threaded(alice, room_id, root, "reply")
    assert await unread(bob, room_id) == (2, 0)
    (await subscribe(bob, room_id, root)).refused(404, "M_UNRECOGNIZED")
    (await bob.get(PAGES, dir="b")).refused(404, "M_UNRECOGNIZED")
    assert "postcontent" not in (await bob.get(f"{RULES}/")).ok()
    rule = f"{RULES}/postcontent/.io.element.msc4306.rule.subscribed_thread"
    (await bob.get(rule)).refused(400, "M_INVALID_PARAM")
    (await bob.put(f"{rule}/enabled", {"enabled": False})).refused(400, "M_INVALID_PARAM")
    features = (await bob.get("/_matrix/client/versions")).ok()["unstable_features"]
    assert not {"org.matrix.msc4306", "io.element.msc4306", "io.element.msc4308"} & features.keys()
    told = await Sliding(bob, extensions={EXTENSION: {"enabled": True}}).sync()
    assert EXTENSION not in told["extensions"]


async def test_versions_say_so(start_server: Start) -> None:
    server = await start_server(ENABLED)
    features = (await (await server.user("alice")).get("/_matrix/client/versions")).ok()["unstable_features"]
    assert features["org.matrix.msc4306"] is True


# -- sliding sync


async def roots_of(alice: Client, room_id: str, count: int) -> list[str]:
    return [await alice.send(room_id, f"root {number}") for number in range(count)]


async def test_sliding_sync_tells_what_changed(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    one, two = await roots_of(alice, room_id, 2)
    (await subscribe(bob, room_id, one)).ok()
    sliding = Sliding(bob, extensions={EXTENSION: {"enabled": True}})
    first = (await sliding.sync())["extensions"][EXTENSION]
    assert first == {"subscribed": {room_id: {one: {"automatic": False, "bump_stamp": 1}}}}
    assert EXTENSION not in (await sliding.sync())["extensions"]
    waiting = asyncio.create_task(sliding.sync(timeout=10_000))
    await asyncio.sleep(0.05)
    cause = await threaded(alice, room_id, two, "reply")
    (await waiting)["pos"]
    waiting = asyncio.create_task(sliding.sync(timeout=10_000))
    await asyncio.sleep(0.05)
    (await subscribe(bob, room_id, two, cause)).ok()
    assert (await waiting)["extensions"][EXTENSION]["subscribed"] == {
        room_id: {two: {"automatic": True, "bump_stamp": 1}}
    }
    # What came to the same in the end is told as it is.
    (await subscribe(bob, room_id, two)).ok()
    (await bob.delete(path(room_id, one))).ok()
    told = (await sliding.sync())["extensions"][EXTENSION]
    assert told == {
        "subscribed": {room_id: {two: {"automatic": False, "bump_stamp": 2}}},
        "unsubscribed": {room_id: {one: {"bump_stamp": 2}}},
    }
    # Nothing of it is anybody else's.
    others = await Sliding(alice, extensions={EXTENSION: {"enabled": True}}).sync()
    assert EXTENSION not in others["extensions"]


async def test_the_count_comes_with_sliding_sync(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    sliding = Sliding(bob)
    await sliding.sync()
    await threaded(alice, room_id, root, "reply")
    await sliding.sync()
    assert sliding.rooms[room_id]["notification_count"] == 1
    (await subscribe(bob, room_id, root)).ok()
    await sliding.sync()
    assert sliding.rooms[room_id]["notification_count"] == 2


async def test_what_is_left_out_is_paged(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    roots = await roots_of(alice, room_id, 12)
    sliding = Sliding(bob, extensions={EXTENSION: {"enabled": True, "limit": 3}})
    (await subscribe(bob, room_id, roots[0])).ok()
    await sliding.sync()
    had = sliding.pos
    for root in roots[1:]:
        server.clock.advance(1)
        (await subscribe(bob, room_id, root)).ok()
    told = (await sliding.sync())["extensions"][EXTENSION]
    assert set(told["subscribed"][room_id]) == set(roots[-3:])
    pages: list[list[str]] = []
    start = told["prev_batch"]
    while start is not None:
        page = (await bob.get(PAGES, dir="b", **{"from": start}, to=had, limit=4)).ok()
        pages.append(list(page["subscribed"][room_id]))
        start = page.get("end")
    assert [len(page) for page in pages] == [4, 4]
    assert {root for page in pages for root in page} == set(roots[1:9])
    whole = (await bob.get(PAGES, dir="b")).ok()
    assert set(whole["subscribed"][room_id]) == set(roots)
    assert "end" not in whole


async def test_what_is_no_page(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice = await server.user("alice")
    assert (await alice.get(PAGES, dir="b")).ok() == {}
    wrong: list[dict[str, Any]] = [{}, {"dir": "f"}, {"dir": "b", "limit": 0}, {"dir": "b", "limit": -1}]
    wrong += [{"dir": "b", "from": token} for token in ("x", "t1", "t1_", "t1_x", f"t{'9' * 30}_1", "")]
    wrong += [{"dir": "b", "to": token} for token in ("x", "s!", "1.x")]
    for query in wrong:
        answer = await alice.get(PAGES, **query)
        assert (answer.status, answer.json["errcode"][:2]) == (400, "M_"), query


async def test_clients_at_once(start_server: Start) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    cause = await threaded(alice, room_id, root, "reply")
    answers = await asyncio.gather(
        *(subscribe(bob, room_id, root, cause) for _ in range(8)), *(subscribe(bob, room_id, root) for _ in range(8))
    )
    assert {answer.status for answer in answers} == {200}
    assert await is_automatic(bob, room_id, root) is False
    page = (await bob.get(PAGES, dir="b")).ok()
    assert page["subscribed"][room_id][root]["bump_stamp"] in (1, 2)


async def test_subscriptions_end_with_the_account_and_the_room(start_server: Start, monkeypatch: Any) -> None:
    server = await start_server(ENABLED)
    alice, bob, room_id = await pair(server)
    root = await alice.send(room_id, "root")
    (await subscribe(bob, room_id, root)).ok()
    (await subscribe(alice, room_id, root)).ok()
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}, "password": "correct horse"}
    (await bob.post("/_matrix/client/v3/account/deactivate", {"auth": auth})).ok()
    count = "SELECT user_id FROM thread_subscriptions"
    rows = await server.server.engine.database.read(lambda tx: tx.all(count))
    assert rows == [(alice.user_id,)]
    monkeypatch.setattr(store, "MAX_SUBSCRIPTIONS", 1)
    other = await alice.send(room_id, "other")
    (await subscribe(alice, room_id, other)).refused(413, "M_TOO_LARGE")
    assert await is_automatic(alice, room_id, other) is None
    assert await is_automatic(alice, room_id, root) is False
