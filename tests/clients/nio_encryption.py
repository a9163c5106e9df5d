"""People who use matrix-nio with encryption: real Olm and Megolm, a store of keys on disk, several devices each."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from nio import (
    AsyncClient,
    AsyncClientConfig,
    EnableEncryptionBuilder,
    EncryptionError,
    Event,
    JoinResponse,
    LoginResponse,
    MegolmEvent,
    RegisterResponse,
    RoomCreateResponse,
    RoomMessageText,
    RoomSendResponse,
)

from tests.clients.nio_people import expect, sync

PASSWORD = "correct horse battery"
#: Milliseconds that a sync waits for something to happen.
_WAIT_MS = 2_000
_TURNS = 30


class Device:
    """One device of somebody: what it has read, and what it could not read."""

    def __init__(self, url: str, user: str, store: Path, *, ssl: object = None) -> None:
        store.mkdir(parents=True, exist_ok=True)
        config = AsyncClientConfig(
            encryption_enabled=True, store_sync_tokens=True, max_timeouts=3, max_limit_exceeded=0
        )
        self.client = AsyncClient(url, user, store_path=str(store), config=config, ssl=ssl)
        self.client.add_event_callback(self._hear, (RoomMessageText, MegolmEvent))
        #: Event ids with the text, None where the device has no key.
        self.heard: dict[str, str | None] = {}
        self._unread: dict[str, MegolmEvent] = {}

    @property
    def user_id(self) -> str:
        user_id: str = self.client.user_id
        return user_id

    def _hear(self, room: object, event: Event) -> None:
        self.heard[event.event_id] = event.body if isinstance(event, RoomMessageText) else None
        if isinstance(event, MegolmEvent):
            self._unread[event.event_id] = event

    def _read_again(self) -> None:
        """Tries what could not be read: its key may have come after it, as clients are used to."""
        for event_id, event in list(self._unread.items()):
            try:
                read = self.client.decrypt_event(event)
            except EncryptionError:
                continue
            del self._unread[event_id]
            self.heard[event_id] = read.body

    async def register(self, localpart: str) -> None:
        expect(RegisterResponse, await self.client.register(localpart, PASSWORD, "first"))
        await self.turn()

    async def login(self) -> None:
        expect(LoginResponse, await self.client.login(PASSWORD, f"device {secrets.token_hex(2)}"))
        await self.turn()

    async def turn(self, wait_ms: int = 0) -> None:
        """One sync, and whatever a client does about its keys after it."""
        client = self.client
        await sync(client, wait_ms)
        self._read_again()
        await client.send_to_device_messages()
        if client.should_upload_keys:
            await client.keys_upload()
        if client.should_query_keys:
            await client.keys_query()
        if client.should_claim_keys:
            await client.keys_claim(client.get_users_for_key_claiming())

    async def until(self, holds: Callable[[], object]) -> None:
        """Takes turns until something holds."""
        for _ in range(_TURNS):
            if holds():
                return
            await self.turn(_WAIT_MS)
        raise AssertionError(f"{self.user_id}, {self.client.device_id}: never so; heard {self.heard}")

    async def say(self, room_id: str, text: str) -> str:
        """Sends an encrypted message; returns its id."""
        await self.turn()
        content = {"msgtype": "m.text", "body": text}
        sent = await self.client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
        event_id: str = expect(RoomSendResponse, sent).event_id
        return event_id

    async def hears(self, event_id: str, text: str | None) -> None:
        """Waits until the device has the event, and checks that it reads just this in it; None: that it can't."""
        await self.until(lambda: self.heard.get(event_id) == text if text is not None else event_id in self.heard)
        assert self.heard[event_id] == text

    async def close(self) -> None:
        await self.client.close()


class People:
    """Makes devices, each with a folder of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Device] = []

    async def register(self, url: str, localpart: str, *, ssl: object = None) -> Device:
        """A new account with its first device; its name begins with `localpart`."""
        device = self._device(url, "", ssl)
        await device.register(f"{localpart}-{secrets.token_hex(4)}")
        return device

    async def login(self, of: Device, *, ssl: object = None) -> Device:
        """A further device of somebody."""
        device = self._device(of.client.homeserver, of.user_id, ssl)
        await device.login()
        return device

    def again(self, device: Device, *, ssl: object = None) -> Device:
        """The same device after its program was ended: all it has is what is on its disk."""
        index = self._made.index(device)
        renewed = Device(device.client.homeserver, device.user_id, self._folder / str(index), ssl=ssl)
        renewed.client.restore_login(device.user_id, device.client.device_id, device.client.access_token)
        self._made.append(renewed)
        return renewed

    def _device(self, url: str, user: str, ssl: object) -> Device:
        device = Device(url, user, self._folder / str(len(self._made)), ssl=ssl)
        self._made.append(device)
        return device

    async def close(self) -> None:
        for device in self._made:
            await device.close()


async def encrypted_room(maker: Device, *others: Device, also: tuple[Device, ...] = ()) -> str:
    """An encrypted room that the first one makes and the others come to; `also` are further devices of theirs."""
    made = await maker.client.room_create(
        invite=[other.user_id for other in others], initial_state=[EnableEncryptionBuilder().as_dict()]
    )
    room_id: str = expect(RoomCreateResponse, made).room_id
    for other in others:
        await other.until(lambda other=other: room_id in other.client.invited_rooms)
        expect(JoinResponse, await other.client.join(room_id))
    wanted = {maker.user_id, *(other.user_id for other in others)}
    for device in (maker, *others, *also):
        await device.until(lambda device=device: _is_ready(device, room_id, wanted))
    return room_id


def _is_ready(device: Device, room_id: str, people: set[str]) -> bool:
    room = device.client.rooms.get(room_id)
    return room is not None and room.encrypted and people <= room.users.keys()


async def comes_and_goes(alice: Device, bob: Device, carol: Device) -> None:
    """Carol comes into a room of the two others, and goes: she reads what is said while she is there."""
    room_id = await encrypted_room(alice, bob)
    await bob.hears(await alice.say(room_id, "two of us"), "two of us")
    await alice.client.room_invite(room_id, carol.user_id)
    await carol.until(lambda: room_id in carol.client.invited_rooms)
    expect(JoinResponse, await carol.client.join(room_id))
    await alice.until(lambda: carol.user_id in alice.client.rooms[room_id].users)
    three = await alice.say(room_id, "three of us")
    for device in (bob, carol):
        await device.hears(three, "three of us")
    await carol.client.room_leave(room_id)
    await alice.until(lambda: carol.user_id not in alice.client.rooms[room_id].users)
    secret = await alice.say(room_id, "two again")
    await bob.hears(secret, "two again")
    await carol.turn()
    assert secret not in carol.heard
