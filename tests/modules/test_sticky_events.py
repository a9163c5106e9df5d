"""Events that everybody in a room is sure to get. https://github.com/matrix-org/matrix-spec-proposals/pull/4354"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.modules.conftest import Start
from tests.modules.sliding import Sliding, a_list
from tests.modules.test_delayed_events import DELAY, tick
from tests.modules.test_receipts import pair
from weft.storage import sticky
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
FIELD = "msc4354_sticky"
TTL = "msc4354_sticky_duration_ttl_ms"
DURATION = "org.matrix.msc4354.sticky_duration_ms"
EXTENSION = "org.matrix.msc4354.sticky_events"
MEMBER = "org.matrix.msc4143.rtc.member"
_NUMBERS = iter(range(1, 1_000_000))


async def put_sticky(who: Client, room_id: str, duration_ms: Any = 600_000, **query: Any) -> Answer:
    path = f"{V3}/rooms/{quote(room_id)}/send/{MEMBER}/s{next(_NUMBERS)}"
    return await who.put(path, {"msc4354_sticky_key": "laptop"}, **{DURATION: duration_ms, **query})


async def stick(who: Client, room_id: str, duration_ms: int = 600_000) -> str:
    event_id: str = (await put_sticky(who, room_id, duration_ms)).ok()["event_id"]
    return event_id


async def chatter(who: Client, room_id: str, count: int = 12) -> None:
    for number in range(count):
        await who.send(room_id, f"so much to say {number}")


def told(answer: dict[str, Any], room_id: str) -> list[str]:
    """The ids of the sticky events in a room's section."""
    section = answer.get("rooms", {}).get("join", {}).get(room_id, {})
    return [event["event_id"] for event in section.get(FIELD, {"events": []})["events"]]


def timeline(answer: dict[str, Any], room_id: str) -> dict[str, dict[str, Any]]:
    return {event["event_id"]: event for event in answer["rooms"]["join"][room_id]["timeline"]["events"]}


async def test_one_that_is_in_the_timeline_is_told_there_only(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await bob.sync())["next_batch"]
    event_id = await stick(alice, room_id, 300_000)
    server.clock.advance(10)
    answer = await bob.sync(since)
    event = timeline(answer, room_id)[event_id]
    assert event[FIELD] == {"duration_ms": 300_000}
    assert 289_000 < event["unsigned"][TTL] <= 290_000
    assert told(answer, room_id) == []
    assert "rooms" not in await bob.sync(answer["next_batch"])


async def test_one_behind_the_timelines_limit_is_told_once(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    since = (await bob.sync())["next_batch"]
    first, second = await stick(alice, room_id), await stick(alice, room_id)
    await chatter(alice, room_id)
    answer = await bob.sync(since)
    assert answer["rooms"]["join"][room_id]["timeline"]["limited"]
    assert told(answer, room_id) == [first, second]
    events = answer["rooms"]["join"][room_id][FIELD]["events"]
    assert all(event[FIELD] == {"duration_ms": 600_000} and 0 < event["unsigned"][TTL] <= 600_000 for event in events)
    assert all("room_id" not in event and event["content"]["msc4354_sticky_key"] == "laptop" for event in events)
    await alice.send(room_id, "more")
    answer = await bob.sync(answer["next_batch"])
    assert told(answer, room_id) == []
    # From the beginning, everything that is sticky is told anew.
    assert told(await bob.sync(), room_id) == [first, second]


async def test_the_filter_of_timelines_does_not_keep_it_back(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    nothing = '{"room":{"timeline":{"not_types":["*"]}}}'
    since = (await bob.sync(filter=nothing))["next_batch"]
    event_id = await stick(alice, room_id)
    answer = await bob.sync(since, filter=nothing)
    assert told(answer, room_id) == [event_id]


async def test_it_wakes_those_who_wait_for_nothing_else(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    nothing = '{"room":{"timeline":{"not_types":["*"]}}}'
    since = (await bob.sync(filter=nothing))["next_batch"]
    event_id = await stick(alice, room_id)
    answer = await bob.sync(since, filter=nothing, timeout=20_000)
    assert told(answer, room_id) == [event_id]


async def test_it_is_over_after_its_time(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    short, long = await stick(alice, room_id, 60_000), await stick(alice, room_id, 3_600_000)
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == [short, long]
    server.clock.advance(61)
    assert told(await bob.sync(), room_id) == [long]
    one = (await bob.get(f"{V3}/rooms/{quote(room_id)}/event/{quote(short)}")).ok()
    assert one[FIELD] == {"duration_ms": 60_000}
    assert TTL not in one["unsigned"]
    task = next(t for m in server.server.modules for t in m.tasks if t.name == "sticky events that are over")
    await task.run()
    rows = await server.server.engine.database.read(lambda tx: tx.all("SELECT event_id FROM sticky_events"))
    assert rows == [(long,)]
    server.clock.advance(3_600)
    assert told(await bob.sync(), room_id) == []


async def test_who_comes_later_is_told_whatever_the_history_shows(server: TestServer) -> None:
    alice = await server.user("alice")
    carol = await server.user("carol")
    state = [{"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}}]
    room_id = await alice.create_room(preset="public_chat", initial_state=state)
    event_id = await stick(alice, room_id)
    since = (await carol.sync())["next_batch"]
    assert told(await carol.sync(), room_id) == []
    await carol.join(room_id)
    answer = await carol.sync(since)
    assert told(answer, room_id) == [event_id]
    assert event_id not in timeline(answer, room_id)
    (await carol.get(f"{V3}/rooms/{quote(room_id)}/event/{quote(event_id)}")).refused(404, "M_NOT_FOUND")
    await carol.leave(room_id)
    await stick(alice, room_id)
    left = (await carol.sync(answer["next_batch"]))["rooms"]
    assert "join" not in left
    assert FIELD not in left["leave"][room_id]


async def test_of_somebody_who_is_ignored_nothing_is_told(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    await stick(alice, room_id)
    await chatter(alice, room_id)
    ignored = {"ignored_users": {alice.user_id: {}}}
    (await bob.put(f"{V3}/user/{quote(bob.user_id)}/account_data/m.ignored_user_list", ignored)).ok()
    assert told(await bob.sync(), room_id) == []


async def test_what_the_room_does_not_keep_so_long_is_told_no_more(start_server: Start) -> None:
    server = await start_server({"retention": {"enabled": True}})
    alice, bob, room_id = await pair(server)
    await alice.set_state(room_id, "m.room.retention", {"max_lifetime": 120_000})
    event_id = await stick(alice, room_id)
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == [event_id]
    server.clock.advance(121)
    assert told(await bob.sync(), room_id) == []


async def test_what_is_redacted_is_sticky_no_more(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id, other = await stick(alice, room_id), await stick(alice, room_id)
    since = (await bob.sync())["next_batch"]
    (await alice.put(f"{V3}/rooms/{quote(room_id)}/redact/{quote(event_id)}/r", {})).ok()
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == [other]
    one = (await bob.get(f"{V3}/rooms/{quote(room_id)}/event/{quote(event_id)}")).ok()
    assert FIELD not in one
    assert TTL not in one["unsigned"]
    assert told(await bob.sync(since), room_id) == []


async def test_state_may_be_sticky_and_is_so_anew_each_time(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    path = f"{V3}/rooms/{quote(room_id)}/state/m.room.topic/"
    first = (await alice.put(path, {"topic": "calls"}, **{DURATION: 1_000})).ok()["event_id"]
    second = (await alice.put(path, {"topic": "calls"}, **{DURATION: 1_000})).ok()["event_id"]
    assert first != second
    assert (await alice.put(path, {"topic": "calls"})).ok()["event_id"] == second
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == [first, second]


async def test_durations_that_are_none(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    for duration in (-1, 3_600_001, "long", "1.5", ""):
        refused = (await put_sticky(alice, room_id, duration)).refused(400, "M_INVALID_PARAM")
        assert DURATION in refused["error"]
    await stick(alice, room_id, 0)
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == []


async def test_one_that_is_sent_later_is_sticky_from_then_on(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    answer = await put_sticky(Client(server.app, token=alice.token), room_id, 60_000, **{DELAY: 30_000})
    assert "delay_id" in answer.ok()
    path = f"{V3}/rooms/{quote(room_id)}/state/m.room.topic/"
    query = {DURATION: 60_000, DELAY: 30_000}
    (await Client(server.app, token=alice.token).put(path, {"topic": "later"}, **query)).ok()
    await tick(server, 31)
    await chatter(alice, room_id)
    answered = await bob.sync()
    events = answered["rooms"]["join"][room_id][FIELD]["events"]
    assert {event["type"] for event in events} == {MEMBER, "m.room.topic"}
    assert all(59_000 < event["unsigned"][TTL] <= 60_000 for event in events)


async def test_nobody_floods_everybody(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    ids = [await stick(alice, room_id) for _ in range(sticky.MOST_OF_SENDER + 3)]
    other = await stick(bob, room_id)
    await chatter(alice, room_id)
    assert told(await bob.sync(), room_id) == [*ids[3:], other]


async def test_it_is_named_among_the_features(server: TestServer) -> None:
    versions = (await server.client().get("/_matrix/client/versions")).ok()
    assert versions["unstable_features"]["org.matrix.msc4354"] is True


# -- sliding sync


def extension(answer: dict[str, Any]) -> dict[str, list[str]]:
    rooms = answer["extensions"][EXTENSION].get("rooms", {})
    return {room_id: [event["event_id"] for event in section["events"]] for room_id, section in rooms.items()}


async def test_sliding_sync_tells_them_page_by_page(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    ids = [await stick(alice, room_id) for _ in range(5)]
    await chatter(alice, room_id)
    sliding = Sliding(bob, lists={"all": a_list(limit=1)}, extensions={EXTENSION: {"enabled": True, "limit": 2}})
    found: list[str] = []
    since = None
    for wanted in (2, 2, 1):
        asked = {"enabled": True, "limit": 2} | ({"since": since} if since is not None else {})
        answer = await sliding.sync(extensions={EXTENSION: asked})
        page = extension(answer)[room_id]
        assert len(page) == wanted
        found += page
        since = answer["extensions"][EXTENSION]["next_batch"]
    # Of several processes each has an order of its own.
    assert sorted(found) == sorted(ids)
    answer = await sliding.sync(extensions={EXTENSION: {"enabled": True, "since": since}})
    assert extension(answer) == {}
    # Of what is in the timeline anyway nothing is said twice.
    for behind in (0, 1):
        new = await stick(alice, room_id)
        await chatter(alice, room_id, behind)
        since = answer["extensions"][EXTENSION]["next_batch"]
        answer = await sliding.sync(extensions={EXTENSION: {"enabled": True, "since": since}})
        shown = {event["event_id"] for event in answer["rooms"][room_id]["timeline"]}
        assert (new in shown, extension(answer)) == ((False, {room_id: [new]}) if behind else (True, {}))


async def test_sliding_sync_tells_them_of_a_room_that_comes_into_sight(server: TestServer) -> None:
    alice, bob, room_id = await pair(server)
    event_id = await stick(alice, room_id)
    await chatter(alice, room_id)
    other = await bob.create_room()
    sliding = Sliding(bob, room_subscriptions={other: {"timeline_limit": 1, "required_state": []}})
    answer = await sliding.sync(extensions={EXTENSION: {"enabled": True}})
    assert extension(answer) == {}
    since = answer["extensions"][EXTENSION]["next_batch"]
    both = {each: {"timeline_limit": 1, "required_state": []} for each in (other, room_id)}
    answer = await sliding.sync(room_subscriptions=both, extensions={EXTENSION: {"enabled": True, "since": since}})
    assert extension(answer) == {room_id: [event_id]}
    assert EXTENSION not in (await sliding.sync(extensions={}))["extensions"]
