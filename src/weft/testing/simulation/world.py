"""The servers of one run, their people and rooms, and a record of what was done and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import structlog

from weft.federation.transport import OutgoingRequest
from weft.modules.transactions.service import NOBODY_THERE
from weft.protocol.errors import Unreachable
from weft.testing.client import Answer, Client
from weft.testing.network import Network
from weft.testing.simulation.liar import NAME as LIAR
from weft.testing.simulation.liar import Liar
from weft.testing.simulation.machine import Machine, prepared
from weft.testing.simulation.virtual_time import VirtualLoop, current_life

NAMES: Final = ("one.test", "two.test", "three.test", "four.test")
ROOM: Final = "/_matrix/client/v3/rooms"
#: Answers of a server that could not reach another.
_HONEST_FAILURES: Final = (502, 504)
#: In how many of the runs with a hostile server that one tells of whole states.
_TELLS_STATES: Final = 0.5
#: What is asked of a server that tells of a whole state.
_STATES: Final = ("send_join", "state", "state_ids")
#: Seconds for which a client waits.
_PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Said:
    """An event whose sender was told that the server has it."""

    server: str
    room_id: str
    event_id: str
    #: Whether a lie about the room's state had been told to that server.
    is_misled: bool = False


@dataclass(slots=True)
class Record:
    """What happened. `digest` is the same for two runs just when everything in them was."""

    show: Callable[[str], None] | None = None
    #: What must not happen.
    problems: list[str] = field(default_factory=list)
    graphs: dict[str, str] = field(default_factory=dict)
    actions: int = 0
    faults: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        return str(self._hash.hexdigest())

    def note(self, at: float, who: str, what: str) -> None:
        line = f"{at:12.3f} {who:<12} {what}"
        self._hash.update(line.encode() + b"\n")
        if self.show is not None:
            self.show(line)

    def problem(self, what: str) -> None:
        self.problems.append(what)
        if self.show is not None:
            self.show(f"PROBLEM: {what}")


class World:
    """Everything under one seed. Each part draws from a source of chance of its own, so that they don't disturb."""

    def __init__(self, seed: int, loop: VirtualLoop, folder: Path, template: Path, record: Record) -> None:
        self.seed = seed
        self.loop = loop
        self.record = record
        self._folder, self._template = folder, template
        self.network = Network(seed=seed)
        self.network.on_answer.append(self._answered)
        #: The honest servers.
        self.machines: list[Machine] = []
        self.liar: Liar | None = None
        self._liars_machine: Machine | None = None
        self.people: dict[str, list[Client]] = {}
        #: The rooms' ids, and their versions.
        self.rooms: dict[str, str] = {}
        self.said: list[Said] = []
        #: Each server and event id of which it was told, whether or not it took it.
        self.told: set[tuple[str, str]] = set()
        #: The same, of those that it did not want since nobody of it was in the room then.
        self.turned_away: set[tuple[str, str]] = set()
        #: What each server's people said last in each room.
        self.last_words: dict[tuple[str, str], list[str]] = {}
        #: Honest servers that were told a false state of a room, by the hostile one or by another that was.
        self.misled: set[tuple[str, str]] = set()
        self._transactions = 0

    def chance(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}/{purpose}")

    def note(self, who: str, what: str) -> None:
        self.record.note(self.loop.time(), who, what)

    # -- servers

    async def add_machine(self, people: int, latency: Callable[[], float]) -> None:
        name = NAMES[len(self.machines)]
        machine = self._made(name, self.seed * 16 + len(self.machines), latency)
        machine.on_crash = lambda: self.note(name, "crashes")
        self.machines.append(machine)
        await machine.start()
        self.people[name] = [await machine.user(f"{who}{name[0]}") for who in ("a", "b", "c")[:people]]

    async def add_liar(self, latency: Callable[[], float]) -> None:
        """One more server, of which nothing is asked at the end."""
        tells_states = self.chance("states").random() < _TELLS_STATES
        self.liar = Liar(self.chance("liar"), self.rooms.get, tells_states=tells_states)
        self._liars_machine = self._made(LIAR, self.seed * 16 + 15, latency)
        await self._liars_machine.start()
        self.people[LIAR] = [await self._liars_machine.user(f"{who}l") for who in ("a", "b")]
        self.network.on_request += [self.liar.on_question, self.liar.on_request]
        self.network.on_reply += [self.liar.on_reply, self._believed]

    async def stop(self) -> None:
        for machine in [*self.machines, *([self._liars_machine] if self._liars_machine is not None else [])]:
            await machine.stop()

    def _made(self, name: str, seed: int, latency: Callable[[], float]) -> Machine:
        folder = self._folder / name
        folder.mkdir(parents=True)
        prepared(self._template, folder)
        settings = {"server": {"names": [name]}, "memory": "64M", "federation": {"device_names": True}}
        return Machine(folder, self.loop, settings=settings, seed=seed, network=self.network, latency=latency)

    @property
    def names(self) -> list[str]:
        """The honest servers' names."""
        return [machine.name for machine in self.machines]

    def machine(self, name: str) -> Machine:
        return next(one for one in self.machines if one.name == name)

    # -- what people do

    async def ask(self, client: Client, method: str, path: str, json: object = None, **query: Any) -> Answer | None:
        """A client's request; None where its server was down, crashed, or took too long."""
        self.record.actions += 1
        path = path if path.startswith("/_matrix") else ROOM + path
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await client.request(method, path, json=json, query=query)
        except (Unreachable, TimeoutError):
            self.note(client.user_id, f"{method} {path}: no answer")
            return None
        self.note(client.user_id, f"{method} {path} {json if json else ''}: {answer.status}")
        if answer.status >= 500 and answer.status not in _HONEST_FAILURES:
            self.record.problem(f"{method} {path} of {client.user_id} was answered {answer.status}: {answer.body!r}")
        return answer

    async def send(self, client: Client, room_id: str, event_type: str, content: object) -> str | None:
        self._transactions += 1
        path = f"/{quote(room_id)}/send/{event_type}/t{self._transactions}"
        return self._acknowledged(client, room_id, await self.ask(client, "PUT", path, content))

    async def set_state(
        self, client: Client, room_id: str, event_type: str, content: object, state_key: str = ""
    ) -> str | None:
        path = f"/{quote(room_id)}/state/{event_type}/{quote(state_key, safe='')}"
        return self._acknowledged(client, room_id, await self.ask(client, "PUT", path, content))

    async def redact(self, client: Client, room_id: str, event_id: str) -> str | None:
        self._transactions += 1
        path = f"/{quote(room_id)}/redact/{quote(event_id, safe='')}/t{self._transactions}"
        return self._acknowledged(client, room_id, await self.ask(client, "PUT", path, {"reason": "gone"}))

    def _acknowledged(self, client: Client, room_id: str, answer: Answer | None) -> str | None:
        if answer is None or answer.status != 200:
            return None
        event_id: str = answer.json["event_id"]
        if client.user_id.partition(":")[2] == LIAR:
            return event_id
        server = client.user_id.partition(":")[2]
        self.said.append(Said(server, room_id, event_id, self.is_misled(server, room_id)))
        return event_id

    def is_misled(self, server_name: str, room_id: str) -> bool:
        """Whether what a server holds of a room may rest on a lie about the room's state."""
        return (server_name, room_id) in self.misled

    def _believed(self, request: OutgoingRequest, answer: Answer) -> Answer:
        """A state is passed on: who is told a false one in good faith is misled as well."""
        path = request.uri.partition("?")[0].split("/")
        if self.liar is not None and answer.status == 200 and len(path) > 5 and path[4] in _STATES:
            room_id = unquote(path[5])
            if (request.origin, room_id) in self.liar.misled or self.is_misled(request.destination, room_id):
                self.misled.add((request.origin, room_id))
        return answer

    def _answered(self, request: OutgoingRequest, answer: Answer) -> None:
        self.note(request.origin, f"-> {request.destination} {request.method} {request.uri}: {answer.status}")
        if answer.status == 200 and "/federation/v1/send/" in request.uri:
            for event_id, result in answer.json["pdus"].items():
                self.told.add((request.destination, event_id))
                if result.get("error") == NOBODY_THERE:
                    self.turned_away.add((request.destination, event_id))
        if answer.status >= 500 and answer.status not in _HONEST_FAILURES:
            self.record.problem(f"{request.destination} answered {request.uri}: {answer.status} {answer.body[:300]!r}")


class Watching:
    """A processor of log lines: what is an error is a problem of the run."""

    def __init__(self, record: Record, loop: VirtualLoop) -> None:
        self._record, self._loop = record, loop

    def __call__(self, logger: Any, method: str, line: Mapping[str, Any]) -> Any:
        life = current_life()
        if life is None or not life.is_over:
            who = life.name if life is not None else "-"
            if method in ("error", "exception", "critical"):
                self._record.problem(f"{who} logged: {_text(line)}{_trace()}")
            elif self._record.show is not None and method != "debug":
                self._record.show(f"{self._loop.time():12.3f} {who:<12} # {_text(line)}")
        raise structlog.DropEvent


def _trace() -> str:
    """Where the exception that is being dealt with comes from."""
    trace = traceback.format_exc(limit=-10) if sys.exception() is not None else ""
    return f"\n{trace}" if trace else ""


def _text(line: Mapping[str, Any]) -> str:
    return ", ".join(str(value) if key == "event" else f"{key}={value}" for key, value in line.items())
