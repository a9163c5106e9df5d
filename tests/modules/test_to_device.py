"""Messages to devices: each is told until its device shows that it has it, once, and in order."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

PORTION = 100


async def send(who: Client, messages: dict[str, Any], txn_id: str, event_type: str = "m.test") -> Answer:
    path = f"/_matrix/client/v3/sendToDevice/{quote(event_type)}/{txn_id}"
    return await who.put(path, {"messages": messages})


async def send_text(who: Client, to: Client, text: str) -> None:
    (await send(who, {to.user_id: {to.device_id: {"text": text}}}, f"txn-{text}")).ok()


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"in": [found]}
    return found


def texts(response: dict[str, Any]) -> list[str]:
    return [event["content"]["text"] for event in response.get("to_device", {}).get("events", [])]


async def told(who: Client, since: str | None) -> tuple[list[str], str]:
    """All that waits for a device, portion by portion."""
    found: list[str] = []
    while True:
        response = await who.sync(since)
        since = response["next_batch"]
        some = texts(response)
        if not some:
            return found, str(since)
        found += some


async def test_a_message_is_told_until_its_device_has_it(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    since = (await bob.sync())["next_batch"]
    (await send(alice, {bob.user_id: {bob.device_id: {"text": "hello"}}}, "1", "m.room_key")).ok()
    for _ in range(2):
        response = await bob.sync(since)
        assert response["to_device"]["events"] == [
            {"type": "m.room_key", "sender": alice.user_id, "content": {"text": "hello"}}
        ]
    since = response["next_batch"]
    assert texts(await bob.sync(since)) == []
    assert texts(await bob.sync()) == [], "it is gone, also for who begins anew"
    assert texts(await alice.sync()) == []


async def test_to_all_of_a_users_devices(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    phone = await server.login(bob.user_id)
    (await send(alice, {bob.user_id: {"*": {"text": "all"}, phone.device_id: {"text": "phone"}}}, "1")).ok()
    (
        await send(alice, {bob.user_id: {"NOSUCH": {"text": "lost"}}, "@nobody:weft.test": {"*": {"text": "x"}}}, "2")
    ).ok()
    assert texts(await bob.sync()) == ["all"]
    assert texts(await phone.sync()) == ["phone"]
    # One's own other devices, too.
    (await send(bob, {bob.user_id: {phone.device_id: {"text": "self"}}}, "1")).ok()
    assert (await told(phone, None))[0] == ["phone", "self"]


async def test_the_same_transaction_again_does_nothing(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    message = {bob.user_id: {bob.device_id: {"text": "once"}}}
    for answer in await asyncio.gather(*(send(alice, message, "same") for _ in range(5))):
        answer.ok()
    (await send(alice, message, "same")).ok()
    assert texts(await bob.sync()) == ["once"]
    (await send(alice, message, "same", "m.other")).ok()
    assert texts(await bob.sync()) == ["once", "once"]


async def test_who_waits_is_woken(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    since = (await bob.sync())["next_batch"]
    waiting = asyncio.create_task(bob.sync(since, timeout=20_000))
    await asyncio.sleep(0.05)
    await send_text(alice, bob, "wake up")
    async with asyncio.timeout(10):
        assert texts(await waiting) == ["wake up"]


async def test_many_come_in_portions(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    since = (await bob.sync())["next_batch"]
    wanted = [str(number) for number in range(2 * PORTION + 7)]
    for text in wanted:
        await send_text(alice, bob, text)
    first = await bob.sync(since)
    assert texts(first) == wanted[:PORTION]
    # What follows is told at once, even if nothing happens meanwhile; and what was not acknowledged, again.
    assert texts(await bob.sync(since)) == wanted[:PORTION]
    second = await bob.sync(first["next_batch"], timeout=30_000)
    assert texts(second) == wanted[PORTION : 2 * PORTION]
    third = await bob.sync(second["next_batch"], timeout=30_000)
    assert texts(third) == wanted[2 * PORTION :]
    assert texts(await bob.sync(third["next_batch"])) == []


async def test_other_news_come_with_a_portion(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await bob.create_room()
    since = (await bob.sync())["next_batch"]
    for number in range(PORTION + 1):
        await send_text(alice, bob, str(number))
    await bob.send(room_id, "in between")
    first = await bob.sync(since)
    assert room_id in first["rooms"]["join"]
    second = await bob.sync(first["next_batch"])
    assert texts(second) == [str(PORTION)]
    assert "rooms" not in second
    # Such a token also names a place in rooms.
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages?dir=b&from={quote(first['next_batch'])}&limit=1"
    assert (await bob.get(path)).ok()["chunk"][0]["content"]["body"] == "in between"


async def test_large_ones_fill_a_portion(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    for number in range(5):
        (await send(alice, {bob.user_id: {bob.device_id: {"text": "x" * 400_000}}}, str(number))).ok()
    first = await bob.sync()
    assert len(texts(first)) == 2
    assert len((await told(bob, first["next_batch"]))[0]) == 3


async def test_what_ignored_people_send_is_dropped(server: TestServer) -> None:
    alice, bob, eve = await server.user("alice"), await server.user("bob"), await server.user("eve")
    path = f"/_matrix/client/v3/user/{bob.user_id}/account_data/m.ignored_user_list"
    (await bob.put(path, {"ignored_users": {eve.user_id: {}}})).ok()
    since = (await bob.sync())["next_batch"]
    for number in range(PORTION + 5):
        await send_text(eve, bob, f"spam {number}")
    await send_text(alice, bob, "hello")
    found: list[str] = []
    for _ in range(3):
        response = await bob.sync(since)
        found += texts(response)
        since = response["next_batch"]
    assert found == ["hello"]
    assert (await told(bob, None))[0] == []


async def test_what_waits_goes_with_the_device(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    phone = await server.login(bob.user_id, device_id="PHONE")
    await send_text(alice, phone, "for the old one")
    (await phone.post("/_matrix/client/v3/logout")).ok()
    again = await server.login(bob.user_id, device_id="PHONE")
    assert texts(await again.sync()) == []


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"messages": []}, "M_BAD_JSON"),
        ({"messages": {"@bob:weft.test": {"X": "text"}}}, "M_BAD_JSON"),
        ({"messages": {"bob": {"X": {}}}}, "M_INVALID_PARAM"),
        ({"messages": {"@bob:weft.test": {"X": nested(110)}}}, "M_BAD_JSON"),
        ({"messages": {"@bob:elsewhere.test": {"X": nested(110)}}}, "M_BAD_JSON"),
    ],
)
async def test_what_is_no_message(server: TestServer, body: dict[str, Any], errcode: str) -> None:
    alice = await server.user("alice")
    (await alice.put("/_matrix/client/v3/sendToDevice/m.test/1", body)).refused(400, errcode)


async def test_numbers_of_any_size_arrive_as_they_were_sent(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    body = b'{"messages":{"%s":{"*":{"text":"n","big":123456789012345678901234567890,"half":0.5}}}}'
    path = "/_matrix/client/v3/sendToDevice/m.test/1"
    (await alice.request("PUT", path, body=body % str(bob.user_id).encode())).ok()
    content = (await bob.get("/_matrix/client/v3/sync")).body
    assert b"123456789012345678901234567890" in content
    assert b"0.5" in content


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\x01"', b'"\xff"', b"01", b"[1,]"])
async def test_what_is_no_json(server: TestServer, text: bytes) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    body = b'{"messages":{"%s":{"*":{"a":%s}}}}' % (str(bob.user_id).encode(), text)
    path = "/_matrix/client/v3/sendToDevice/m.test/1"
    (await alice.request("PUT", path, body=body)).refused(400, "M_NOT_JSON")


async def test_any_course_of_sending_and_acknowledging(start_server: Start) -> None:
    """Whatever is lost on the way and however often somebody begins again: each exactly once, and in order."""
    rng = random.Random(7)
    server = await start_server()
    alice, carol = await server.user("alice"), await server.user("carol")
    bob = await server.user("bob")
    devices = [bob, await server.login(str(bob.user_id))]
    tokens: list[str | None] = [None, None]
    got: list[list[str]] = [[], []]
    sent: list[list[str]] = [[], []]
    for step in range(120):
        action = rng.random()
        index = rng.randrange(2)
        device = devices[index]
        if action < 0.5:
            for number in range(rng.choice((1, 1, 1, 60))):
                text = f"{step}-{number}"
                await send_text(rng.choice((alice, carol)), device, text)
                sent[index].append(text)
        elif action < 0.9:
            response = await device.sync(tokens[index])
            if rng.random() < 0.7:  # otherwise the answer is lost
                tokens[index] = response["next_batch"]
                got[index] += texts(response)
        elif action < 0.95:
            await server.restart()
        else:
            await device.create_room()
    for index, device in enumerate(devices):
        got[index] += (await told(device, tokens[index]))[0]
        assert got[index] == sent[index]
    for table in ("to_device_waiting", "to_device_messages"):
        count = await server.server.engine.database.read(lambda tx, sql=f"SELECT COUNT(*) FROM {table}": tx.value(sql))
        assert count == 0, table
