"""Messages to devices of other servers: through outages and crashes, each once and in order."""

from __future__ import annotations

import itertools
from typing import Any

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import eventually
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push
from weft.graph.build import Draft
from weft.testing import Client

_NUMBERS = itertools.count(1)
EVE = "@eve:stranger.test"


async def send(who: Client, to: str, device_id: str | None, content: dict[str, Any]) -> None:
    path = f"/_matrix/client/v3/sendToDevice/m.test/{next(_NUMBERS)}"
    (await who.put(path, {"messages": {to: {device_id or "*": content}}})).ok()


class Reader:
    """A device that comes for its messages."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.since: str | None = None
        self.texts: list[str] = []

    async def read(self) -> None:
        response = await self.client.sync(self.since)
        self.since = response["next_batch"]
        self.texts += [event["content"]["text"] for event in response.get("to_device", {}).get("events", [])]

    async def gets(self, *wanted: str, seconds: float = 15) -> None:
        async def has() -> bool:
            await self.read()
            return len(self.texts) >= len(wanted)

        await eventually(has, seconds)
        assert self.texts == list(wanted)


async def test_both_ways(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    phone = await two.login(str(bob.user_id))
    await send(alice, str(bob.user_id), bob.device_id, {"text": "to one"})
    await send(alice, str(bob.user_id), None, {"text": "to all"})
    await Reader(bob).gets("to one", "to all")
    await Reader(phone).gets("to all")
    await send(bob, str(alice.user_id), alice.device_id, {"text": "back"})
    await Reader(alice).gets("back")


async def test_an_outage(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    reader = Reader(bob)
    await send(alice, str(bob.user_id), None, {"text": "before"})
    await reader.gets("before")
    memory_servers.network.cut("one.test", "two.test")
    wanted = ["before"]
    for number in range(130):
        await send(alice, str(bob.user_id), None, {"text": f"during {number}"})
        wanted.append(f"during {number}")

    async def is_behind() -> bool:
        return bool(await one.server.engine.database.read(lambda tx: tx.all("SELECT * FROM behind_destinations")))

    await eventually(is_behind)
    await one.restart()
    memory_servers.network.mend("one.test", "two.test")
    memory_servers.clock.advance(3_600)
    await send(alice, str(bob.user_id), None, {"text": "after"})
    await reader.gets(*wanted, "after")


async def test_what_is_delivered_is_not_kept(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    await send(alice, str(bob.user_id), None, {"text": "hello"})
    await Reader(bob).gets("hello")

    async def is_pruned() -> bool:
        await alice.create_room()
        (prune,) = [task for module in one.server.modules if module.name == "to_device" for task in module.tasks]
        await prune.run()
        count = await one.server.engine.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM to_device_outbox"))
        return bool(count == 0)

    await eventually(is_pruned, 30)
    memory_servers.network.cut("one.test", "two.test")
    await send(alice, str(bob.user_id), None, {"text": "kept"})

    async def is_behind() -> bool:
        return bool(await one.server.engine.database.read(lambda tx: tx.all("SELECT * FROM behind_destinations")))

    await eventually(is_behind)
    for _ in range(3):
        assert await is_pruned() is False


async def test_large_requests_go_in_pieces(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice = await one.user("alice")
    people = [await two.user(f"user{number}") for number in range(8)]
    messages = {str(person.user_id): {"*": {"text": "x" * 20_000}} for person in people}
    (await alice.put("/_matrix/client/v3/sendToDevice/m.test/1", {"messages": messages})).ok()
    for person in people:
        await Reader(person).gets("x" * 20_000)
    pieces = await one.server.engine.database.read(lambda tx: tx.all("SELECT json FROM to_device_outbox"))
    assert len(pieces) == 4
    assert all(len(json) < 64_000 for (json,) in pieces)


async def test_the_same_message_twice(victim: Victim, stranger: Stranger) -> None:
    alice = await victim.server.user("alice")
    content = {
        "sender": f"@eve:{stranger.name}",
        "type": "m.test",
        "message_id": "same",
        "messages": {alice.user_id: {"*": {"text": "hello"}}},
    }
    for _ in range(2):
        (await push(stranger, edus=[{"edu_type": "m.direct_to_device", "content": content}])).ok()
    reader = Reader(alice)
    await reader.gets("hello")
    await reader.read()
    assert reader.texts == ["hello"]


async def test_what_strangers_may_not_send(victim: Victim, stranger: Stranger) -> None:
    alice = await victim.server.user("alice")
    good = {
        "sender": f"@eve:{stranger.name}",
        "type": "m.test",
        "message_id": "1",
        "messages": {alice.user_id: {"*": {"text": "hello"}}},
    }
    bad: list[Any] = [
        {**good, "sender": "@eve:elsewhere.test"},
        {**good, "sender": alice.user_id},
        {**good, "sender": "eve"},
        {**good, "message_id": ""},
        {**good, "message_id": "x" * 256},
        {**good, "type": ""},
        {**good, "messages": {alice.user_id: {"*": "text"}}},
        {**good, "messages": {alice.user_id: "text"}},
        {**good, "messages": {"@nobody:elsewhere.test": {"*": {}}, "nobody": {"*": {}}}},
        {},
    ]
    (await push(stranger, edus=[{"edu_type": "m.direct_to_device", "content": content} for content in bad])).ok()
    reader = Reader(alice)
    await reader.read()
    assert reader.texts == []


async def test_keys_come_before_the_events_that_need_them(victim: Victim, stranger: Stranger) -> None:
    """Of one transaction, the message to the device is there before the event."""
    alice = await victim.server.user("alice")
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    event = await stranger.make(room_id, Draft(type="m.room.encrypted", sender=EVE, content={"ciphertext": "x"}))
    content = {
        "sender": EVE,
        "type": "m.room_key",
        "message_id": "1",
        "messages": {alice.user_id: {"*": {"text": "k"}}},
    }
    edus = [{"edu_type": "m.direct_to_device", "content": content}]
    (await push(stranger, event.pdu, edus=edus)).ok()
    kinds = await victim.server.server.engine.database.read(
        lambda tx: [kind for (kind,) in tx.all("SELECT kind FROM log ORDER BY position")]
    )
    assert kinds.index("to_device") < len(kinds) - 1 - kinds[::-1].index("event")
