"""What must hold of devices when all is well again; see the package's docstring."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from weft.protocol.identifiers import domain_of
from weft.testing.client import Client
from weft.testing.simulation.devices import V3, Device, Devices
from weft.testing.simulation.world import World

#: Answers to `/sync` within which a device must have read everything.
_MOST_ANSWERS: Final = 100


async def check_devices(world: World, devices: Devices) -> None:
    for device in devices.present:
        await _read_all(world, devices, device)
    for device in devices.devices:
        _check_messages(world, devices, device)
    for key, times in Counter(devices.given).items():
        if times > 1:
            world.record.problem(f"the one-time key {key} was given away {times} times")
    for name in world.names:
        for client in world.people[name]:
            await _check_lists(world, client)


async def _read_all(world: World, devices: Devices, device: Device) -> None:
    for _ in range(_MOST_ANSWERS):
        if await devices.sync(device, is_read=True) == 0:
            return
    world.record.problem(f"{device} can't read to the end")


def _check_messages(world: World, devices: Devices, device: Device) -> None:
    """Each message once, in its sender's order; where the device is still there, all that were acknowledged."""
    counts = Counter(device.got)
    last: dict[Device, int] = {}
    for number in device.got:
        message = devices.messages[number]
        if counts[number] > 1 or not message.is_for(device):
            world.record.problem(f"{device} got message {number} to {message.to} {counts[number]} times")
        if message.is_acknowledged:
            if last.get(message.sender, -1) > number:
                world.record.problem(f"{device} got message {number} after {last[message.sender]}")
            last[message.sender] = number
    if device.is_over:
        return
    for message in devices.messages:
        if message.is_acknowledged and device in message.there and not counts[message.number]:
            world.record.problem(f"{device} did not get message {message.number} of {message.sender}")


async def _check_lists(world: World, client: Client) -> None:
    """What somebody's server knows of people elsewhere is what their own servers say."""
    for other in await _others(world, client):
        if await _disagree(world, client, other):
            continue
        seen, truth = await _query(world, client, other.user_id), await _query(world, other, other.user_id)
        if seen != truth:
            world.record.problem(f"{client.user_id} sees of {other.user_id} {seen}, and the truth is {truth}")


async def _others(world: World, client: Client) -> list[Client]:
    """The people of other servers with whom a room is shared, as both servers see it."""
    here = world.machine(domain_of(client.user_id)).server.engine
    found: list[Client] = []
    for name in world.names:
        there = world.machine(name).server.engine
        if there is here:
            continue
        for other in world.people[name]:
            for room_id in world.rooms:
                rooms = [await engine.rooms.find(room_id) for engine in (here, there)]
                if all(
                    room is not None and {room.membership(client.user_id), room.membership(other.user_id)} == {"join"}
                    for room in rooms
                ):
                    found.append(other)
                    break
    return found


async def _query(world: World, client: Client, user_id: str) -> Any:
    answer = await world.ask(client, "POST", f"{V3}/keys/query", {"device_keys": {user_id: []}})
    if answer is None or answer.status != 200 or answer.json["failures"]:
        return answer
    return {kind: answer.json[kind].get(user_id) for kind in ("device_keys", "master_keys")}


async def _disagree(world: World, client: Client, other: Client) -> bool:
    """Whether somebody's server has another one in a room in which their own server does not have them.

    A join whose answer was lost or spoiled does that. Their server then owes changes that it knows nothing of.
    """
    mine, theirs = (world.machine(one.user_id.partition(":")[2]).server.engine for one in (client, other))
    for room_id in world.rooms:
        room, as_they_have_it = await mine.rooms.find(room_id), await theirs.rooms.find(room_id)
        if room is None or room.membership(other.user_id) != "join":
            continue
        if as_they_have_it is None or as_they_have_it.membership(other.user_id) != "join":
            return True
    return False
