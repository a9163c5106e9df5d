"""What must hold when all is well again; see the package's docstring for why it is this and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final
from urllib.parse import quote

from weft.graph.outcome import Outcome
from weft.protocol.event import StateKey
from weft.rooms.room import Room
from weft.storage.database import Transaction
from weft.testing.client import Client
from weft.testing.simulation.machine import Machine
from weft.testing.simulation.world import Said, World

_SETTLING: Final = 20.0
_ROUNDS: Final = 4
_MOST_ENDS: Final = 10
_PAGES: Final = 60


async def converge(world: World) -> None:
    """Lets what was held up arrive, and everybody hear of everybody: a last message in each room by each server."""
    # Pauses between retries are over after an hour, and nobody gives anything up before six.
    await asyncio.sleep(_SETTLING)
    for _ in range(2):
        world.loop.skip(4000.0)
        await asyncio.sleep(_SETTLING)
    for number in range(_ROUNDS):
        for room_id in world.rooms:
            for machine in world.machines:
                said = [
                    await _speak(world, client, room_id, f"last words {number}")
                    for client in await _speakers(world, machine, room_id)
                ]
                world.last_words[room_id, machine.name] = [one for one in said if one is not None]
        await asyncio.sleep(_SETTLING)
        if number and all([len(set(map(_frozen, (await _states(world, one)).values()))) < 2 for one in world.rooms]):
            return


async def _speak(world: World, client: Client, room_id: str, words: str) -> str | None:
    """Says something; who may not speak (the room was upgraded) can still change what they are called, as a rule.

    The event's id.
    """
    said = await world.send(client, room_id, "m.room.message", {"msgtype": "m.text", "body": words})
    if said is not None:
        return said
    content = {"membership": "join", "displayname": words}
    return await world.set_state(client, room_id, "m.room.member", content, client.user_id)


async def check(world: World) -> None:
    for room_id in world.rooms:
        await _check_room(world, room_id)


async def _check_room(world: World, room_id: str) -> None:
    states = await _states(world, room_id)
    rooms = {name: await world.machine(name).server.engine.rooms.get(room_id) for name in states}
    # What rests on a lie about the state can't be mended by what follows it.
    honest = [name for name in states if not world.is_misled(name, room_id)]
    for one, other in combinations(honest, 2):
        if other in rooms[one].servers and one in rooms[other].servers:
            if states[one] != states[other] and not await _is_held_up(world, rooms, one, other):
                difference = _difference(states[one], states[other])
                world.record.problem(f"{room_id}: {one} and {other} differ: {difference}")
        else:
            await _check_parted(world, rooms, one, other)
            await _check_parted(world, rooms, other, one)
    for name in honest:
        machine = world.machine(name)
        room = await machine.server.engine.rooms.get(room_id)
        if len(room.extremities) > _MOST_ENDS:
            world.record.problem(f"{room_id}: on {name} {len(room.extremities)} ends of the graph are left")
        await _check_history(world, machine, room)


async def _is_held_up(world: World, rooms: Mapping[str, Room], one: str, other: str) -> bool:
    """Whether one of two servers has an end of the graph that the other soft-failed, and nobody to build on it.

    That is: nobody who may speak, as the other sees it.
    """
    for name, peer in ((one, other), (other, one)):
        outcomes = await world.machine(peer).server.engine.database.read(_outcomes, rooms[peer].number)
        words = world.last_words.get((rooms[name].id, name), ())
        if any(outcomes.get(said) is not Outcome.SOFT_FAILED for said in words):
            continue
        if any(outcomes.get(end) is Outcome.SOFT_FAILED for end in rooms[name].extremities):
            return True
    return False


async def _check_parted(world: World, rooms: Mapping[str, Room], name: str, other: str) -> None:
    """A server that believes itself in a room where another one does not must at least have been told why."""
    engine = world.machine(name).server.engine
    for (event_type, state_key), event_id in rooms[other].current.state.items():
        # One that was told while nobody of it was in the room did not take it, and nobody tells it again.
        if event_type != "m.room.member" or not engine.is_local(state_key) or (name, event_id) in world.told:
            continue
        known = await engine.rooms.event(event_id)
        is_known = known is not None and known.outcome is not Outcome.OUTLIER
        is_known = is_known or rooms[name].current.state.get((event_type, state_key)) == event_id
        if not is_known and await _puts_out(world.machine(other), event_id):
            world.record.problem(f"{rooms[name].id}: {name} was not told of {event_id}, which {other} goes by")


async def _puts_out(machine: Machine, event_id: str) -> bool:
    """Whether an event puts somebody out of a room. Who is banned before they come has no claim to the way to it."""
    rooms = machine.server.engine.rooms
    stored = await rooms.event(event_id)
    before = await rooms.event(stored.replaces) if stored is not None and stored.replaces is not None else None
    return before is not None and before.event.membership == "join"


async def _check_history(world: World, machine: Machine, room: Room) -> None:
    """All that was acknowledged is here; nothing that was refused is shown."""
    client = (await _speakers(world, machine, room.id))[0]
    shown = await _whole_history(world, client, room.id)
    outcomes = await machine.server.engine.database.read(_outcomes, room.number)
    for event_id in shown:
        if outcomes.get(event_id) is not Outcome.ACCEPTED:
            world.record.problem(f"{room.id}: {client.user_id} is shown {event_id}: {outcomes.get(event_id)}")
    for key, event_id in room.current.state.items():
        if outcomes.get(event_id) in (None, Outcome.REJECTED):
            world.record.problem(
                f"{room.id}: {machine.name} has {event_id} in its state, {outcomes.get(event_id)} {key}"
            )
    for event_id in [one for one, outcome in outcomes.items() if outcome is not Outcome.ACCEPTED][:3]:
        answer = await world.ask(client, "GET", f"/{quote(room.id)}/event/{quote(event_id, safe='')}")
        if answer is not None and answer.status == 200 and event_id not in room.current.state.values():
            world.record.problem(f"{room.id}: {client.user_id} can read {event_id}: {outcomes[event_id]}")
    for said in world.said:
        outcome = outcomes.get(said.event_id)
        if said.room_id != room.id or said.is_misled or outcome in (Outcome.ACCEPTED, Outcome.SOFT_FAILED):
            continue
        # It was outside then, and has come back to a state in which somebody of it had never left.
        if (machine.name, said.event_id) in world.turned_away:
            continue
        if said.server == machine.name or await _was_there(world, machine, room, said):
            world.record.problem(f"{room.id}: {said.event_id} of {said.server} is {outcome} on {machine.name}")


async def _was_there(world: World, machine: Machine, room: Room, said: Said) -> bool:
    """Whether a server has to have an event: by its sender's server it was in the room then, and never left since.

    Where that server sees it outside now, what it missed before it was put out is not sent after it.
    """
    engine = world.machine(said.server).server.engine
    theirs = await engine.rooms.find(room.id)
    stored = await engine.rooms.event(said.event_id)
    if theirs is None or stored is None or stored.snapshot is None:
        return True
    if not theirs.servers.get(machine.name):
        return False
    then = (await engine.rooms.snapshot(theirs, stored.snapshot)).state
    members = [("m.room.member", user_id) for user_id in room.joined_local]
    return any(then.get(key) == room.current.state.get(key) for key in members)


async def _whole_history(world: World, client: Client, room_id: str) -> list[str]:
    """The ids of all events that a client is shown when it reads back to the room's beginning."""
    found: list[str] = []
    query: dict[str, Any] = {"dir": "b", "limit": 100}
    for _ in range(_PAGES):
        answer = await world.ask(client, "GET", f"/{quote(room_id)}/messages", **query)
        if answer is None or answer.status != 200:
            break
        found += [event["event_id"] for event in answer.json["chunk"]]
        if "end" not in answer.json:
            break
        query["from_"] = answer.json["end"]
    return found


async def _speakers(world: World, machine: Machine, room_id: str) -> list[Client]:
    """The people of a server who are in a room, as the server sees it."""
    room = await machine.server.engine.rooms.find(room_id)
    return [] if room is None else [one for one in world.people[machine.name] if one.user_id in room.joined_local]


async def _states(world: World, room_id: str) -> dict[str, Mapping[StateKey, str]]:
    """The current state on each server that believes itself in the room."""
    states: dict[str, Mapping[StateKey, str]] = {}
    for machine in world.machines:
        room = await machine.server.engine.rooms.find(room_id)
        if room is not None and room.joined_local:
            states[machine.name] = dict(room.current.state)
    return states


def _frozen(state: Mapping[StateKey, str]) -> tuple[tuple[StateKey, str], ...]:
    return tuple(sorted(state.items()))


def _difference(one: Mapping[StateKey, str], other: Mapping[StateKey, str]) -> str:
    keys = sorted({*one, *other})
    return "; ".join(f"{key}: {one.get(key)} / {other.get(key)}" for key in keys if one.get(key) != other.get(key))


def _outcomes(tx: Transaction, room: int) -> dict[str, Outcome]:
    rows = tx.all("SELECT event_id, outcome FROM events WHERE room = :room ORDER BY position", room=room)
    return {event_id: Outcome(outcome) for event_id, outcome in rows}
