"""Whatever happens and however the windows move: what a client made of the answers is what there is to see."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.sliding import ALL_STATE, Sliding, a_list
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
STEPS = 60


class Course:
    """Three people in a few rooms; alice's client looks at them through windows."""

    def __init__(self, server: TestServer, people: list[Client], seed: int) -> None:
        self.server = server
        self.people = people
        self.random = random.Random(seed)
        self.rooms: list[str] = []
        self.alice = people[0]
        self.sliding = Sliding(self.alice, lists={"all": self.list(4)})

    def list(self, last: int) -> dict[str, Any]:
        return a_list(0, last, limit=self.random.choice([1, 3, 20]), state=ALL_STATE)

    async def step(self) -> None:
        """Something happens; people may be refused, and are then none the wiser."""
        actions: list[Callable[[], Awaitable[object]]] = [
            self.speak,
            self.speak,
            self.speak,
            self.topic,
            self.name,
            self.come_or_go,
            self.come_or_go,
            self.make_room,
            self.invite,
            self.put_out,
            self.restart,
        ]
        await self.random.choice(actions)()

    def place(self) -> tuple[Client, str]:
        return self.random.choice(self.people), f"{V3}/rooms/{quote(self.random.choice(self.rooms))}"

    async def speak(self) -> None:
        who, path = self.place()
        body = {"msgtype": "m.text", "body": str(self.random.random())}
        await who.put(f"{path}/send/m.room.message/t{self.random.getrandbits(60)}", body)

    async def topic(self) -> None:
        who, path = self.place()
        await who.put(f"{path}/state/m.room.topic", {"topic": str(self.random.random())})

    async def name(self) -> None:
        who, path = self.place()
        await who.put(f"{path}/state/m.room.name", self.random.choice([{}, {"name": str(self.random.random())}]))

    async def come_or_go(self) -> None:
        who, path = self.place()
        await who.post(f"{path}/{self.random.choice(['join', 'join', 'leave'])}")

    async def make_room(self) -> None:
        if len(self.rooms) < 7:
            maker = self.random.choice(self.people)
            self.rooms.append(await maker.create_room(preset=self.random.choice(["public_chat", "private_chat"])))

    async def invite(self) -> None:
        who, path = self.place()
        await who.post(f"{path}/invite", {"user_id": self.random.choice(self.people).user_id})

    async def put_out(self) -> None:
        who, path = self.place()
        action = self.random.choice(["kick", "ban", "unban"])
        await who.post(f"{path}/{action}", {"user_id": self.random.choice(self.people).user_id})

    async def restart(self) -> None:
        if not self.random.randrange(4):
            await self.server.restart()

    # -- looking

    async def look(self) -> None:
        """Moves the window or not, loses an answer or not, and checks what is in it."""
        chance = self.random.random()
        if chance < 0.6:
            self.sliding.asked["lists"] = {"all": self.list(self.random.choice([0, 0, 1, 2, 5]))}
        if chance > 0.7:
            (await self.sliding.ask()).ok()
        answer = await self.sliding.sync()
        [operation] = answer["lists"]["all"]["ops"]
        for room_id in operation["room_ids"]:
            await self.check(room_id)

    async def check(self, room_id: str) -> None:
        known = self.sliding.rooms[room_id]
        own = f"{V3}/rooms/{quote(room_id)}/state/m.room.member/{quote(self.alice.user_id)}"
        if known["membership"] != "join":
            joined = (await self.alice.get(f"{V3}/joined_rooms")).ok()["joined_rooms"]
            assert room_id not in joined
            return
        assert (await self.alice.get(own)).ok()["membership"] == "join"
        state = (await self.alice.get(f"{V3}/rooms/{quote(room_id)}/state")).ok()
        assert known["state"] == {(event["type"], event["state_key"]): event["event_id"] for event in state}
        name = next((e["content"].get("name") for e in state if e["type"] == "m.room.name"), None)
        assert known.get("name") == name
        members = [e["content"]["membership"] for e in state if e["type"] == "m.room.member"]
        assert known["joined_count"] == members.count("join")
        assert known["invited_count"] == members.count("invite")
        page = (await self.alice.get(f"{V3}/rooms/{quote(room_id)}/messages", dir="b", limit=100)).ok()["chunk"]
        newest = [event["event_id"] for event in reversed(page)]
        assert known["events"] == newest[len(newest) - len(known["events"]) :]
        assert known["events"], "a room that is told of for the first time has its newest event"


@pytest.mark.parametrize("seed", range(12))
async def test_windows_over_random_courses(server: TestServer, seed: int) -> None:
    people = [await server.user(name) for name in ("alice", "bob", "carol")]
    course = Course(server, people, seed)
    for _ in range(3):
        await course.make_room()
    for _ in range(STEPS):
        await course.step()
        if course.random.random() < 0.25:
            await course.look()
    course.sliding.asked["lists"] = {"all": course.list(20)}
    await course.look()
