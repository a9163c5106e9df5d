"""Events that are sent later. https://github.com/matrix-org/matrix-spec-proposals/pull/4140"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
PATH = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events"
DELAY = "org.matrix.msc4140.delay"
CALL = "org.matrix.msc3401.call.member"


async def later(
    server: TestServer, who: Client, room_id: str, body: str = "later", *, delay: int = 10_000, txn: str = "t"
) -> Answer:
    """Has a message sent later; the answer is none of the specification's."""
    path = f"{V3}/rooms/{quote(room_id)}/send/m.room.message/{txn}"
    content = {"msgtype": "m.text", "body": body}
    return await Client(server.app, token=who.token).put(path, content, **{DELAY: delay})


async def state_later(
    server: TestServer, who: Client, room_id: str, content: dict[str, Any], *, delay: int = 10_000
) -> str:
    path = f"{V3}/rooms/{quote(room_id)}/state/{CALL}/{quote(who.user_id)}"
    delay_id: str = (await Client(server.app, token=who.token).put(path, content, **{DELAY: delay})).ok()["delay_id"]
    return delay_id


async def tick(server: TestServer, seconds: float = 0) -> None:
    """Time passes, and what is due is sent."""
    server.clock.advance(seconds)
    task = next(t for module in server.server.modules for t in module.tasks if t.name == "delayed events")
    await task.run()


async def newest(who: Client, room_id: str) -> str:
    page = (await who.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", limit=1)).ok()["chunk"]
    return str(page[0]["content"].get("body"))


async def state(who: Client, room_id: str, user_id: str) -> Any:
    return (await who.get(f"{V3}/rooms/{quote(room_id)}/state/{CALL}/{quote(user_id)}")).ok()


async def waiting(who: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await who.get(PATH)).ok()["delayed_events"]
    return found


async def test_a_message_is_sent_when_it_is_due(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    delay_id = (await later(server, alice, room_id)).ok()["delay_id"]
    [told] = await waiting(alice)
    assert (told["delay_id"], told["delay"], told["type"]) == (delay_id, 10_000, "m.room.message")
    await tick(server, 9)
    assert await newest(alice, room_id) != "later"
    await tick(server, 1)
    assert await newest(alice, room_id) == "later"
    assert await waiting(alice) == []


async def test_it_survives_a_restart_and_is_sent_once(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await later(server, alice, room_id)).ok()
    await server.restart()
    await tick(server, 60)
    await alice.send(room_id, "after it")
    await tick(server, 60)
    page = (await alice.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b")).ok()["chunk"]
    assert [event["content"]["body"] for event in page[:2]] == ["after it", "later"]
    assert "later" not in [event["content"].get("body") for event in page[2:]]


async def test_a_repeated_request_schedules_nothing_more(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    first = (await later(server, alice, room_id)).ok()
    assert (await later(server, alice, room_id)).ok() == first
    assert (await later(server, alice, room_id, txn="other")).ok() != first
    assert len(await waiting(alice)) == 2


@pytest.mark.parametrize("by_path", [False, True])
async def test_it_is_called_off_put_off_or_sent_at_once(server: TestServer, by_path: bool) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()

    async def act(delay_id: str, action: str) -> Answer:
        # Nobody has to be logged in for it: the id is the secret.
        if by_path:
            return await server.client().post(f"{PATH}/{delay_id}/{action}")
        return await server.client().post(f"{PATH}/{delay_id}", {"action": action})

    off = (await later(server, alice, room_id, "off", txn="1")).ok()["delay_id"]
    put_off = (await later(server, alice, room_id, "put off", txn="2")).ok()["delay_id"]
    (await act(off, "cancel")).ok()
    server.clock.advance(9)
    (await act(put_off, "restart")).ok()
    await tick(server, 9)
    assert await newest(alice, room_id) == "None"
    await tick(server, 1)
    assert await newest(alice, room_id) == "put off"
    now = (await later(server, alice, room_id, "now", txn="3")).ok()["delay_id"]
    (await act(now, "send")).ok()
    assert await newest(alice, room_id) == "now"
    for delay_id in (off, put_off, now, "unknown"):
        for action in ("cancel", "restart", "send"):
            (await act(delay_id, action)).refused(404, "M_NOT_FOUND")
    assert (await act(now, "explode")).status == 400


async def test_state_that_is_set_later(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await alice.set_state(room_id, CALL, {"here": True}, alice.user_id)
    await state_later(server, alice, room_id, {})
    # What one sets oneself meanwhile does not call it off.
    await alice.set_state(room_id, CALL, {"here": "still"}, alice.user_id)
    await tick(server, 10)
    assert await state(alice, room_id, alice.user_id) == {}


async def test_state_that_somebody_else_sets_meanwhile_stays(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    levels = {"users": {alice.user_id: 100, bob.user_id: 100}}
    room_id = await alice.create_room(preset="public_chat", room_version="11", power_level_content_override=levels)
    await bob.join(room_id)
    path = f"{V3}/rooms/{quote(room_id)}/state/org.example.state/key"
    (await Client(server.app, token=alice.token).put(path, {"by": "alice"}, **{DELAY: 10_000})).ok()
    await bob.set_state(room_id, "org.example.state", {"by": "bob"}, "key")
    await tick(server, 10)
    assert (await alice.get(path)).ok() == {"by": "bob"}
    assert await waiting(alice) == []


async def test_who_may_not_send_any_more_sends_nothing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    (await later(server, bob, room_id, "too late")).ok()
    await bob.leave(room_id)
    await tick(server, 10)
    assert await newest(alice, room_id) == "None"
    assert await waiting(bob) == []
    (await later(server, bob, room_id, txn="x")).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await later(server, bob, room_id, "gone", txn="y")).ok()
    await server.server.accounts.deactivate(bob.user_id, erase=False)
    await tick(server, 10)
    assert await newest(alice, room_id) != "gone"


async def test_limits(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    answer = await later(server, alice, room_id, delay=24 * 3600 * 1000 + 1)
    told = answer.refused(400, "M_UNKNOWN")
    assert told["org.matrix.msc4140.errcode"] == "M_MAX_DELAY_EXCEEDED"
    assert told["org.matrix.msc4140.max_delay"] == 24 * 3600 * 1000
    assert (await later(server, alice, room_id, delay=-1)).status == 400
    for number in range(100):
        (await later(server, alice, room_id, txn=f"t{number}")).ok()
    told = (await later(server, alice, room_id, txn="one more")).refused(400, "M_UNKNOWN")
    assert told["org.matrix.msc4140.errcode"] == "M_MAX_DELAYED_EVENTS_EXCEEDED"
    first = (await alice.get(PATH)).ok()
    second = (await alice.get(PATH, from_=first["next_batch"])).ok()
    assert len({e["delay_id"] for e in first["delayed_events"] + second["delayed_events"]}) == 100
    assert "next_batch" not in second


async def test_numbers_beyond_64_bits_in_an_old_room(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(room_version="1")
    path = f"{V3}/rooms/{quote(room_id)}/send/org.example/t"
    content = {"big": 2**70, "body": "big"}
    client = Client(server.app, token=alice.token)
    (await client.request("PUT", path, body=json.dumps(content).encode(), query={DELAY: 1000})).ok()
    assert json.loads((await alice.get(PATH)).body)["delayed_events"][0]["content"] == content
    await tick(server, 1)
    page = await alice.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", limit=1)
    assert json.loads(page.body)["chunk"][0]["content"] == content


async def test_others_see_nothing_of_it(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    (await later(server, alice, room_id)).ok()
    assert await waiting(bob) == []
