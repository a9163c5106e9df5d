"""Encrypted conversations of matrix-nio across servers: read on every device that should, on none that should not."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from nio import JoinResponse, LogoutResponse, SyncResponse

from tests.clients.nio_encryption import Device, People, encrypted_room
from tests.clients.nio_people import expect
from tests.interop.conftest import Pair
from tests.interop.homeservers import Homeserver


class Talk:
    """A conversation: where its room begins, where others come from, and who is made for it."""

    def __init__(self, host: Homeserver, guest: Homeserver, people: People, trust: ssl.SSLContext) -> None:
        self.host, self.guest = host, guest
        self.people = people
        self._trust = trust

    async def here(self, name: str) -> Device:
        return await self.people.register(self.host.url, name, ssl=self._trust)

    async def there(self, name: str) -> Device:
        return await self.people.register(self.guest.url, name, ssl=self._trust)

    async def further(self, of: Device) -> Device:
        return await self.people.login(of, ssl=self._trust)

    async def again(self, device: Device) -> Device:
        """The device after its program was ended; it asks for the rooms, which nio does not keep on the disk."""
        renewed = self.people.again(device, ssl=self._trust)
        expect(SyncResponse, await renewed.client.sync(full_state=True))
        return renewed


Conversation = Callable[[Talk], Awaitable[None]]


async def several_devices(talk: Talk) -> None:
    alice, bob = await talk.here("alice"), await talk.there("bob")
    tablet, phone = await talk.further(alice), await talk.further(bob)
    room_id = await encrypted_room(alice, bob, also=(tablet, phone))
    for speaker in (alice, phone, tablet, bob):
        event_id = await speaker.say(room_id, f"from {speaker.client.device_id}")
        for listener in (alice, tablet, bob, phone):
            if listener is not speaker:
                await listener.hears(event_id, f"from {speaker.client.device_id}")


async def a_new_device(talk: Talk) -> None:
    """It reads what comes and not what was, and is heard, on whichever server it is."""
    alice, bob = await talk.here("alice"), await talk.there("bob")
    room_id = await encrypted_room(alice, bob)
    for one, other in ((alice, bob), (bob, alice)):
        before = await one.say(room_id, "before")
        await other.hears(before, "before")
        late = await talk.further(other)
        await one.until(lambda one=one, late=late: late.client.device_id in _devices(one, late.user_id))
        await late.hears(before, None)
        after = await one.say(room_id, "after")
        for device in (other, late):
            await device.hears(after, "after")
        answer = await late.say(room_id, "from the new one")
        for device in (one, other):
            await device.hears(answer, "from the new one")


async def who_comes_and_who_goes(talk: Talk) -> None:
    alice, bob, carol = await talk.here("alice"), await talk.there("bob"), await talk.there("carol")
    room_id = await encrypted_room(alice, bob)
    first = await alice.say(room_id, "two of us")
    await bob.hears(first, "two of us")
    await alice.client.room_invite(room_id, carol.user_id)
    await carol.until(lambda: room_id in carol.client.invited_rooms)
    expect(JoinResponse, await carol.client.join(room_id))
    for one in (alice, bob):
        await one.until(lambda one=one: carol.user_id in one.client.rooms[room_id].users)
    for speaker, listeners in ((alice, (bob, carol)), (carol, (alice, bob))):
        three = await speaker.say(room_id, "three of us")
        for listener in listeners:
            await listener.hears(three, "three of us")
    assert carol.heard.get(first) is None
    await carol.client.room_leave(room_id)
    for one in (alice, bob):
        await one.until(lambda one=one: carol.user_id not in one.client.rooms[room_id].users)
    secret = await alice.say(room_id, "two again")
    await bob.hears(secret, "two again")
    assert all(user_id != carol.user_id for user_id, _ in _given_to(alice, room_id))
    await carol.turn()
    assert secret not in carol.heard


async def a_device_logs_out(talk: Talk) -> None:
    alice, bob = await talk.here("alice"), await talk.there("bob")
    phone = await talk.further(bob)
    room_id = await encrypted_room(alice, bob, also=(phone,))
    first = await alice.say(room_id, "to both")
    for device in (bob, phone):
        await device.hears(first, "to both")
    gone = phone.client.device_id
    assert (bob.user_id, gone) in _given_to(alice, room_id)
    expect(LogoutResponse, await phone.client.logout())
    await alice.until(lambda: gone not in _devices(alice, bob.user_id))
    second = await alice.say(room_id, "to the one that is left")
    await bob.hears(second, "to the one that is left")
    assert (bob.user_id, gone) not in _given_to(alice, room_id)


async def the_guests_server_is_away(talk: Talk) -> None:
    """Messages with keys of their own each wait for it; so does word of a device that is new meanwhile."""
    alice, bob = await talk.here("alice"), await talk.there("bob")
    room_id = await encrypted_room(alice, bob)
    await bob.hears(await alice.say(room_id, "before"), "before")
    await alice.hears(await bob.say(room_id, "yes"), "yes")
    talk.guest.stop()
    try:
        sent = {}
        for number in range(4):
            alice.client.invalidate_outbound_session(room_id)
            sent[await alice.say(room_id, f"message {number}")] = f"message {number}"
        late = await talk.further(alice)
        sent[await alice.say(room_id, "there are two of me")] = "there are two of me"
    finally:
        await talk.guest.start()
    again = await talk.again(bob)
    for event_id, text in sent.items():
        await again.hears(event_id, text)
    await again.until(lambda: late.client.device_id in _devices(again, alice.user_id))
    answer = await again.say(room_id, "back again")
    for device in (alice, late):
        await device.hears(answer, "back again")


async def the_receiver_does_not_sync(talk: Talk) -> None:
    """Their program is ended, both servers are started again, and all they have is what is on their disk."""
    alice, bob = await talk.here("alice"), await talk.there("bob")
    room_id = await encrypted_room(alice, bob)
    sent = {}
    for number in range(4):
        alice.client.invalidate_outbound_session(room_id)
        sent[await alice.say(room_id, f"message {number}")] = f"message {number}"
    for server in (talk.guest, talk.host):
        server.stop()
        await server.start()
    sent[await alice.say(room_id, "after the restarts")] = "after the restarts"
    again = await talk.again(bob)
    for event_id, text in sent.items():
        await again.hears(event_id, text)
    await alice.hears(await again.say(room_id, "all read"), "all read")


CONVERSATIONS = (
    several_devices,
    a_new_device,
    who_comes_and_who_goes,
    a_device_logs_out,
    the_guests_server_is_away,
    the_receiver_does_not_sync,
)


@pytest_asyncio.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    made = People(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.__name__)
async def test_with_synapse(pair: Pair, people: People, trust: ssl.SSLContext, conversation: Conversation) -> None:
    await conversation(Talk(pair.host, pair.guest, people, trust))


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.__name__)
async def test_between_two_wefts(
    weft: Homeserver, second_weft: Homeserver, people: People, trust: ssl.SSLContext, conversation: Conversation
) -> None:
    await conversation(Talk(weft, second_weft, people, trust))


def _devices(device: Device, user_id: str) -> set[str]:
    """The devices of somebody, by id, that this one knows and would send keys to."""
    return {one.id for one in device.client.device_store.active_user_devices(user_id)}


def _given_to(device: Device, room_id: str) -> set[tuple[str, str]]:
    """Who has got the key that this device encrypts with now: users and their devices."""
    given: set[tuple[str, str]] = device.client.olm.outbound_group_sessions[room_id].users_shared_with
    return given
