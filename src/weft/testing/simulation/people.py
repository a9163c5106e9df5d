"""What people do in a run: everything that clients can, and most of it where it gets in each other's way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from weft.testing.client import Client
from weft.testing.simulation.world import World

#: Room versions by how often they are tried.
_VERSIONS: Final = {**dict.fromkeys(map(str, range(1, 13)), 1), "6": 4, "10": 6, "11": 6, "12": 8}
_TARGETS: Final = 40


def version(chance: random.Random) -> str:
    return chance.choices(list(_VERSIONS), list(_VERSIONS.values()))[0]


class Crowd:
    """All people of all servers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("people")
        self._acts: dict[Callable[[Client, str], Awaitable[Any]], int] = {
            self.say: 30,
            self.name: 8,
            self.topic: 8,
            self.power: 9,
            self.ban: 5,
            self.kick: 4,
            self.unban: 5,
            self.invite: 5,
            self.join: 14,
            self.leave: 5,
            self.redact: 6,
            self.call_oneself: 4,
            self.rules: 4,
            self.visibility: 2,
            self.read: 4,
            self.sync: 3,
            self.upgrade: 1,
            self.knock: 1,
        }
        self._doing: dict[asyncio.Task[Any], None] = {}

    @property
    def everybody(self) -> list[Client]:
        return [client for people in self._world.people.values() for client in people]

    async def begin(self, rooms: int) -> None:
        """Some rooms, with people of several servers."""
        for number in range(rooms):
            creator = self._chance.choice(self.everybody)
            room_id = await self.create(creator, version(self._chance), f"Room {number}")
            if room_id is None:
                continue
            for client in self.everybody:
                if client is not creator and self._chance.random() < 0.7:
                    await self.join(client, room_id)

    async def act(self, count: int) -> None:
        """That many things are done, many of them at the same time; returns when all have ended."""
        acts, weights = list(self._acts), list(self._acts.values())
        for _ in range(count):
            client, room_id = self._chance.choice(self.everybody), self._chance.choice(list(self._world.rooms))
            act = self._chance.choices(acts, weights)[0]
            task = asyncio.create_task(self._done(act(client, room_id)))
            self._doing[task] = None
            task.add_done_callback(lambda done: self._doing.pop(done, None))
            if self._chance.random() < 0.6:
                await asyncio.sleep(self._chance.expovariate(1.0))

    async def finish(self) -> None:
        if self._doing:
            await asyncio.wait(list(self._doing))
            for task in list(self._doing):
                task.result()

    async def _done(self, act: Awaitable[Any]) -> None:
        await act

    def _anybody(self) -> Client:
        return self._chance.choice(self.everybody)

    # -- rooms

    async def create(self, client: Client, room_version: str, name: str) -> str | None:
        admins = [other.user_id for other in self.everybody if other is not client and self._chance.random() < 0.3]
        users = dict.fromkeys(admins, 100)
        if room_version != "12":
            users[client.user_id] = 100
        body = {
            "preset": "public_chat",
            "room_version": room_version,
            "name": name,
            "power_level_content_override": {"users": users, "invite": 0},
        }
        answer = await self._world.ask(client, "POST", "/_matrix/client/v3/createRoom", body)
        if answer is None or answer.status != 200:
            return None
        room_id: str = answer.json["room_id"]
        self._world.rooms[room_id] = room_version
        return room_id

    async def upgrade(self, client: Client, room_id: str) -> None:
        if len(self._world.rooms) > 3:
            return
        new = version(self._chance)
        answer = await self._world.ask(client, "POST", f"/{quote(room_id)}/upgrade", {"new_version": new})
        if answer is not None and answer.status == 200:
            self._world.rooms[answer.json["replacement_room"]] = new

    # -- messages

    async def say(self, client: Client, room_id: str) -> None:
        for _ in range(self._chance.choice([1, 1, 1, 2, 5])):
            text = f"word {self._chance.randrange(10_000)}"
            await self._world.send(client, room_id, "m.room.message", {"msgtype": "m.text", "body": text})

    async def redact(self, client: Client, room_id: str) -> None:
        said = [one.event_id for one in self._world.said[-_TARGETS:] if one.room_id == room_id]
        if said:
            await self._world.redact(client, room_id, self._chance.choice(said))

    # -- state

    async def name(self, client: Client, room_id: str) -> None:
        await self._world.set_state(client, room_id, "m.room.name", {"name": f"Name {self._chance.randrange(1000)}"})

    async def topic(self, client: Client, room_id: str) -> None:
        topic = {"topic": f"Topic {self._chance.randrange(1000)}"}
        await self._world.set_state(client, room_id, "m.room.topic", topic)

    async def power(self, client: Client, room_id: str) -> None:
        """Somebody's power changes, most often; where nobody may tell the present levels, it is tried at a guess."""
        answer = await self._world.ask(client, "GET", f"/{quote(room_id)}/state/m.room.power_levels")
        if answer is None or answer.status != 200:
            return
        levels: dict[str, Any] = answer.json
        if self._chance.random() < 0.8:
            users = levels.setdefault("users", {})
            users[self._anybody().user_id] = self._chance.choice([0, 25, 50, 50, 100])
        else:
            levels[self._chance.choice(["ban", "kick", "invite", "redact", "state_default"])] = self._chance.choice(
                [0, 25, 50, 75]
            )
        await self._world.set_state(client, room_id, "m.room.power_levels", levels)

    async def rules(self, client: Client, room_id: str) -> None:
        rule: dict[str, Any] = {"join_rule": self._chance.choice(["public", "public", "public", "invite", "knock"])}
        other = [one for one in self._world.rooms if one != room_id]
        if other and self._chance.random() < 0.4:
            allow = [{"type": "m.room_membership", "room_id": self._chance.choice(other)}]
            rule = {"join_rule": "restricted", "allow": allow}
        await self._world.set_state(client, room_id, "m.room.join_rules", rule)

    async def visibility(self, client: Client, room_id: str) -> None:
        chosen = self._chance.choice(["shared", "shared", "joined", "invited", "world_readable"])
        await self._world.set_state(client, room_id, "m.room.history_visibility", {"history_visibility": chosen})

    # -- membership

    async def join(self, client: Client, room_id: str) -> None:
        servers = list(self._world.people)
        via = self._chance.sample(servers, len(servers))
        await self._world.ask(client, "POST", f"/_matrix/client/v3/join/{quote(room_id)}", {}, via=via)

    async def knock(self, client: Client, room_id: str) -> None:
        await self._world.ask(
            client, "POST", f"/_matrix/client/v3/knock/{quote(room_id)}", {}, via=list(self._world.people)
        )

    async def leave(self, client: Client, room_id: str) -> None:
        await self._world.ask(client, "POST", f"/{quote(room_id)}/leave", {})

    async def invite(self, client: Client, room_id: str) -> None:
        await self._about(client, room_id, "invite")

    async def kick(self, client: Client, room_id: str) -> None:
        await self._about(client, room_id, "kick")

    async def ban(self, client: Client, room_id: str) -> None:
        await self._about(client, room_id, "ban")

    async def unban(self, client: Client, room_id: str) -> None:
        await self._about(client, room_id, "unban")

    async def _about(self, client: Client, room_id: str, what: str) -> None:
        await self._world.ask(client, "POST", f"/{quote(room_id)}/{what}", {"user_id": self._anybody().user_id})

    async def call_oneself(self, client: Client, room_id: str) -> None:
        path = f"/_matrix/client/v3/profile/{client.user_id}/displayname"
        await self._world.ask(client, "PUT", path, {"displayname": f"Called {self._chance.randrange(1000)}"})

    # -- reading

    async def read(self, client: Client, room_id: str) -> None:
        await self._world.ask(client, "GET", f"/{quote(room_id)}/messages", dir="b", limit=20)

    async def sync(self, client: Client, room_id: str) -> None:
        await self._world.ask(client, "GET", "/_matrix/client/v3/sync")
