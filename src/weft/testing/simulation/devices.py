"""What people's devices do in a run: they come and go, tell their keys, and write to each other outside the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from weft.protocol.identifiers import domain_of
from weft.testing.client import Client
from weft.testing.server import key_of
from weft.testing.simulation.world import World

V3: Final = "/_matrix/client/v3"
#: The type of all messages from device to device.
TYPE: Final = "org.weft.simulated"
EVERY: Final = "*"
_ALGORITHM: Final = "signed_curve25519"
_MOST_DEVICES: Final = 4
#: How often somebody tries again who got no answer, and after how many seconds.
_TRIES: Final = 4
_PAUSE: Final = 5.0
#: Of the answers to `/sync`, how many a device never gets to read.
_UNREAD: Final = 0.25


@dataclass(slots=True, eq=False)
class Device:
    """A device that somebody was told to have. `is_over`: it was to be logged out, whether or not that came true."""

    client: Client
    #: Whether its user has no other to begin with; it stays for good.
    is_first: bool
    since: str | None = None
    is_over: bool = False
    #: The numbers of the messages that it has read, in that order.
    got: list[int] = field(default_factory=list)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def user_id(self) -> str:
        return self.client.user_id

    @property
    def id(self) -> str:
        return self.client.device_id

    def __str__(self) -> str:
        return f"{self.user_id}/{self.id}"


@dataclass(slots=True, eq=False)
class Message:
    """What one device writes to others: by user id, the device or every one."""

    number: int
    sender: Device
    to: dict[str, str]
    #: The devices that it was for and that were there already.
    there: list[Device]
    is_acknowledged: bool = False

    def is_for(self, device: Device) -> bool:
        return self.to.get(device.user_id) in (EVERY, device.id)


class Devices:
    """The devices of everybody on an honest server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("devices")
        self.devices: list[Device] = []
        self.messages: list[Message] = []
        #: Each one-time key that somebody was given: whose, of which device, and its name.
        self.given: list[tuple[str, str, str]] = []
        self._made = 0
        self._acts: dict[Callable[[Device], Awaitable[Any]], int] = {
            self.write: 25,
            self.sync: 20,
            self.query: 14,
            self.log_in: 7,
            self.log_out: 5,
            self.call: 6,
            self.upload: 8,
            self.claim: 8,
            self.sign: 2,
        }
        self._doing: dict[asyncio.Task[Any], None] = {}

    @property
    def present(self) -> list[Device]:
        return [device for device in self.devices if not device.is_over]

    async def begin(self) -> None:
        """Everybody's first device tells its keys."""
        for name in self._world.names:
            for client in self._world.people[name]:
                self.devices.append(Device(client, is_first=True))
                await self.upload(self.devices[-1])

    async def act(self, count: int) -> None:
        """That many things are done, many of them at the same time; returns when all have begun."""
        acts, weights = list(self._acts), list(self._acts.values())
        for _ in range(count):
            act = self._chance.choices(acts, weights)[0]
            task = asyncio.create_task(self._done(act(self._chance.choice(self.present))))
            self._doing[task] = None
            task.add_done_callback(lambda done: self._doing.pop(done, None))
            if self._chance.random() < 0.6:
                await asyncio.sleep(self._chance.expovariate(0.5))

    async def finish(self) -> None:
        """Returns when all has ended that was begun."""
        while self._doing:
            done, _ = await asyncio.wait(list(self._doing))
            for task in done:
                task.result()

    async def _done(self, act: Awaitable[Any]) -> None:
        await act

    # -- devices that come and go

    async def log_in(self, device: Device) -> None:
        if sum(one.user_id == device.user_id for one in self.present) >= _MOST_DEVICES:
            return
        machine = self._world.machine(domain_of(device.user_id))
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": device.user_id},
            "password": "correct horse",
            "initial_device_display_name": f"Device {self._chance.randrange(1000)}",
        }
        nobody = machine.client(user_id=device.user_id)
        answer = await self._world.ask(nobody, "POST", f"{V3}/login", body)
        if answer is None or answer.status != 200:
            return
        found = answer.json
        client = machine.client(found["access_token"], user_id=found["user_id"], device_id=found["device_id"])
        self.devices.append(Device(client, is_first=False))
        if self._chance.random() < 0.8:
            await self.upload(self.devices[-1])

    async def log_out(self, device: Device) -> None:
        if not device.is_first and not device.is_over:
            device.is_over = True
            await self._world.ask(device.client, "POST", f"{V3}/logout", {})

    async def call(self, device: Device) -> None:
        """Gives the device another name."""
        name = {"display_name": f"Device {self._chance.randrange(1000)}"}
        await self._world.ask(device.client, "PUT", f"{V3}/devices/{device.id}", name)

    # -- keys

    async def upload(self, device: Device) -> None:
        """The device's own keys, which stay the same, and some for others to claim."""
        user_id, device_id = device.user_id, device.id
        signatures = {user_id: {f"ed25519:{device_id}": "s" * 86}}
        keys: dict[str, Any] = {}
        for _ in range(self._chance.randrange(4)):
            self._made += 1
            keys[f"{_ALGORITHM}:{self._made:06}"] = {"key": f"{self._made:043}", "signatures": signatures}
        identity = {
            "user_id": user_id,
            "device_id": device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": {f"ed25519:{device_id}": f"ed{device_id}", f"curve25519:{device_id}": f"curve{device_id}"},
            "signatures": signatures,
        }
        body = {"device_keys": identity, "one_time_keys": keys}
        await self._until_answered(device, "POST", f"{V3}/keys/upload", body)

    async def sign(self, device: Device) -> None:
        """Uploads the key by which the user signs what is theirs; another one would need their consent."""
        key = key_of(device.user_id).verify_key.to_base64()
        master = {"user_id": device.user_id, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
        await self._until_answered(device, "POST", f"{V3}/keys/device_signing/upload", {"master_key": master})

    async def query(self, device: Device) -> None:
        asked: dict[str, list[str]] = {
            self._chance.choice(self.present).user_id: [] for _ in range(self._chance.choice([1, 2, 4]))
        }
        await self._world.ask(device.client, "POST", f"{V3}/keys/query", {"device_keys": asked})

    async def claim(self, device: Device) -> None:
        asked: dict[str, dict[str, str]] = {}
        for _ in range(self._chance.choice([1, 2, 4])):
            other = self._chance.choice(self.present)
            asked.setdefault(other.user_id, {})[other.id] = _ALGORITHM
        answer = await self._world.ask(device.client, "POST", f"{V3}/keys/claim", {"one_time_keys": asked})
        if answer is not None and answer.status == 200:
            for user_id, of_user in answer.json["one_time_keys"].items():
                for device_id, keys in of_user.items():
                    self.given += [(user_id, device_id, name) for name in keys]

    # -- messages

    async def write(self, device: Device) -> None:
        """Sends a few messages, one after the other."""
        for _ in range(self._chance.choice([1, 1, 2, 5])):
            async with device.writing:
                await self._write(device)

    async def _write(self, device: Device) -> None:
        to: dict[str, str] = {}
        for _ in range(self._chance.choice([1, 1, 2, 3])):
            other = self._chance.choice(self.present)
            to[other.user_id] = EVERY if self._chance.random() < 0.4 else other.id
        message = Message(len(self.messages), device, to, [])
        message.there = [other for other in self.present if message.is_for(other)]
        self.messages.append(message)
        content = {"number": message.number, "padding": "x" * self._chance.choice([0, 0, 0, 30_000])}
        body = {"messages": {user_id: {name: content} for user_id, name in to.items()}}
        path = f"{V3}/sendToDevice/{TYPE}/d{message.number}"
        message.is_acknowledged = await self._until_answered(device, "PUT", path, body)

    async def sync(self, device: Device, *, is_read: bool | None = None) -> int | None:
        """Reads what there is, unless the answer does not arrive; how many messages there were."""
        async with device.reading:
            answer = await self._world.ask(device.client, "GET", f"{V3}/sync", since=device.since)
            if is_read is None:
                is_read = self._chance.random() >= _UNREAD
            if answer is None or answer.status != 200 or not is_read:
                return None
            told = answer.json.get("to_device", {}).get("events", [])
            device.got += [event["content"]["number"] for event in told if event["type"] == TYPE]
            device.since = answer.json["next_batch"]
            return len(told)

    async def _until_answered(self, device: Device, method: str, path: str, body: object) -> bool:
        """Asks again and again, for a while; whether it was answered with success."""
        for _ in range(_TRIES):
            answer = await self._world.ask(device.client, method, path, body)
            if answer is not None:
                return answer.status == 200
            await asyncio.sleep(_PAUSE)
        return False
