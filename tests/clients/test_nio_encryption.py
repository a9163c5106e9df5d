"""Encrypted conversations of matrix-nio: every message is read on every device that should, on none that should not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.clients.nio_encryption import People, comes_and_goes, encrypted_room
from tests.clients.running import RunningWeft


@pytest_asyncio.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    made = People(tmp_path)
    yield made
    await made.close()


async def test_a_conversation_on_several_devices(weft: RunningWeft, people: People) -> None:
    alice, bob = await people.register(weft.url, "alice"), await people.register(weft.url, "bob")
    phone = await people.login(bob)
    room_id = await encrypted_room(alice, bob, also=(phone,))
    first = await alice.say(room_id, "to both of your devices")
    for device in (bob, phone):
        await device.hears(first, "to both of your devices")
    answer = await phone.say(room_id, "from my phone")
    for device in (alice, bob):
        await device.hears(answer, "from my phone")


async def test_a_new_device_reads_what_comes_and_not_what_was(weft: RunningWeft, people: People) -> None:
    alice, bob = await people.register(weft.url, "alice"), await people.register(weft.url, "bob")
    room_id = await encrypted_room(alice, bob)
    before = await alice.say(room_id, "before")
    await bob.hears(before, "before")
    late = await people.login(bob)
    await late.hears(before, None)
    after = await alice.say(room_id, "after")
    for device in (bob, late):
        await device.hears(after, "after")


async def test_who_comes_and_who_goes(weft: RunningWeft, people: People) -> None:
    alice, bob = await people.register(weft.url, "alice"), await people.register(weft.url, "bob")
    carol = await people.register(weft.url, "carol")
    await comes_and_goes(alice, bob, carol)


async def test_nobody_is_there_while_it_is_sent(weft_alone: RunningWeft, people: People) -> None:
    """The receiver is away, the server is started again, the receiver's program as well."""
    alice, bob = await people.register(weft_alone.url, "alice"), await people.register(weft_alone.url, "bob")
    room_id = await encrypted_room(alice, bob)
    sent = {await alice.say(room_id, f"message {number}"): f"message {number}" for number in range(5)}
    weft_alone.stop()
    weft_alone.start()
    later = await alice.say(room_id, "after the restart")
    again = people.again(bob)
    for event_id, text in {**sent, later: "after the restart"}.items():
        await again.hears(event_id, text)


async def test_keys_are_not_used_twice(weft: RunningWeft, people: People) -> None:
    """More people write to one device than it has keys left without uploading more."""
    bob = await people.register(weft.url, "bob")
    for number in range(4):
        writer = await people.register(weft.url, f"writer{number}")
        room_id = await encrypted_room(writer, bob)
        await bob.hears(await writer.say(room_id, "hello"), "hello")
        await writer.hears(await bob.say(room_id, "hello yourself"), "hello yourself")
