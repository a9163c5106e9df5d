"""What end-to-end encryption costs a server: keys that are claimed, messages to devices, news of devices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final
from urllib.parse import quote

import orjson

from benchmarks.side_by_side.load import Connection, Exhausted
from benchmarks.side_by_side.people import Person, hang_up, join_all, next_batch
from benchmarks.side_by_side.scenarios import Scenario
from weft.protocol.signatures import SigningKey, sign_json

_V3: Final = "/_matrix/client/v3"
_ALGORITHM: Final = "signed_curve25519"
_CLAIMING: Final = 16
#: One-time keys of one device that a server keeps: of the two, Synapse keeps fewer.
_MOST_KEYS: Final = 480
#: As long as what Olm makes of a room's key.
_SECRET: Final = "A" * 900
_WAITING: Final = 20
_QUIET: Final = {"presence": {"not_types": ["*"]}, "room": {"rooms": []}}
_HEARD_SECONDS: Final = 60.0
_numbers = count()


class Claims(Scenario):
    """Sixteen people claim one key after the other, each of another device."""

    rows = ("claims",)

    async def prepare(self) -> None:
        self._holders = await self._people(_CLAIMING)
        self._left = [0] * _CLAIMING
        self._devices = [await _device_id(person) for person in self._holders]

    async def measure(self, turn: int) -> dict[str, float]:
        wanted = min(_MOST_KEYS, round(self.scale.seconds * self.scale.claims / _CLAIMING))
        for number, person in enumerate(self._holders):
            lacking = max(0, wanted - self._left[number])
            await person.post(f"{_V3}/keys/upload", _one_time_keys(person.user_id, self._devices[number], lacking))
            self._left[number] += lacking
        return {"claims": (await self._loop("claims", [self._claimer(number) for number in range(_CLAIMING)])).rate}

    def _claimer(self, number: int) -> Callable[[], Awaitable[int]]:
        person, owner = self._holders[number], self._holders[number - 1]
        asked = {"one_time_keys": {owner.user_id: {self._devices[number - 1]: _ALGORITHM}}}
        body = orjson.dumps(asked)

        async def claim() -> int:
            if not self._left[number - 1]:
                raise Exhausted
            self._left[number - 1] -= 1
            answer = await person.post(f"{_V3}/keys/claim", body)
            if _ALGORITHM.encode() not in answer:
                raise AssertionError(f"no key was given: {answer!r}")
            return 1

        return claim


class ToDevices(Scenario):
    """One request after the other with a message for each of a thousand devices, ten each of a hundred people."""

    rows = ("to_devices", "to_devices_p50")
    _USERS = 100
    _DEVICES = 10

    async def prepare(self) -> None:
        [self._sender, *people] = await self._people(self._USERS + 1)
        devices = {person.user_id: [await _device_id(person)] for person in people}
        hang_up(people)
        connection = Connection(self.server.port)
        for user_id, known in devices.items():
            for _ in range(self._DEVICES - 1):
                known.append((await _login(connection, user_id))["device_id"])
        connection.close()
        content = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "ciphertext": {"A" * 43: {"type": 0, "body": _SECRET}}}
        messages = {user_id: dict.fromkeys(known, content) for user_id, known in devices.items()}
        self._body = orjson.dumps({"messages": messages})

    async def measure(self, turn: int) -> dict[str, float]:
        async def send() -> int:
            await self._sender.put(f"{_V3}/sendToDevice/m.room.encrypted/{next(_numbers)}", self._body)
            return self._USERS * self._DEVICES

        sample = await self._loop("to_devices", [send])
        return {"to_devices": sample.rate, "to_devices_p50": sample.percentile(50)}


class DeviceChanges(Scenario):
    """A device of somebody is renamed, again once twenty who wait in `/sync` have heard that it changed.

    Many more share the room with them (`Scale.sharers`).
    """

    rows = ("device_changes",)

    async def prepare(self) -> None:
        [self._owner, *others] = await self._people(self.scale.sharers + 1)
        self._waiting = others[:_WAITING]
        room_id = await self._owner.create_room()
        await join_all(others, room_id)
        hang_up(others[_WAITING:])
        self._device = await _device_id(self._owner)
        await self._owner.post(f"{_V3}/keys/upload", _identity(self._owner.user_id, self._device))
        self._since = [await self._settled_quietly(person) for person in self._waiting]

    async def _settled_quietly(self, person: Person) -> str:
        token = next_batch(await person.sync(filtered=_QUIET))
        return next_batch(await person.sync(token, filtered=_QUIET))

    async def measure(self, turn: int) -> dict[str, float]:
        async def change() -> int:
            body = orjson.dumps({"display_name": f"name {next(_numbers)}"})
            hearing = asyncio.gather(*(self._hears(number) for number in range(_WAITING)))
            await self._owner.put(f"{_V3}/devices/{quote(self._device)}", body)
            await asyncio.wait_for(hearing, _HEARD_SECONDS)
            return 1

        sample = await self._loop("device_changes", [change])
        hang_up(self._waiting)
        return {"device_changes": sample.rate}

    async def _hears(self, number: int) -> None:
        person = self._waiting[number]
        while True:
            answer = await person.sync(self._since[number], timeout=30_000, filtered=_QUIET)
            self._since[number] = next_batch(answer)
            if self._owner.user_id in orjson.loads(answer).get("device_lists", {}).get("changed", ()):
                return


async def _device_id(person: Person) -> str:
    return str(orjson.loads(await person.get(f"{_V3}/account/whoami"))["device_id"])


async def _login(connection: Connection, user_id: str) -> Any:
    """A further device of somebody whom `register` made."""
    name = user_id[1:].partition(":")[0]
    asked = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": f"not so secret {name}",
    }
    return orjson.loads(await connection.post(f"{_V3}/login", orjson.dumps(asked)))


def _one_time_keys(user_id: str, device_id: str, how_many: int) -> bytes:
    """An upload. No server looks at what the signatures are of."""
    signatures = {user_id: {f"ed25519:{device_id}": "A" * 86}}
    keys = {
        f"{_ALGORITHM}:{next(_numbers):08}": {"key": f"{next(_numbers):043}", "signatures": signatures}
        for _ in range(how_many)
    }
    return orjson.dumps({"one_time_keys": keys})


def _identity(user_id: str, device_id: str) -> bytes:
    secret = SigningKey(f"ed25519:{device_id}", bytes(32))
    keys: dict[str, Any] = {
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{device_id}": secret.verify_key.to_base64(), f"curve25519:{device_id}": "A" * 43},
    }
    return orjson.dumps({"device_keys": sign_json(keys, user_id, secret)})
