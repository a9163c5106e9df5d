"""For random courses of events: what a client made of its sync responses is what the server says when asked anew."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.sync_model import ClientModel, fetched_history, fetched_state
from weft.testing import Client, TestServer

STEPS = 60


class Course:
    """People doing things at random; what is refused is refused and changes nothing."""

    def __init__(self, seed: int, people: list[Client]) -> None:
        self.random = random.Random(seed)
        self.people = people
        self.rooms: list[str] = []
        self.sent: dict[str, list[str]] = {}

    async def step(self) -> None:
        actions: list[Callable[[Client, str], Awaitable[object]]] = [
            *[self.send] * 6,
            self.rename,
            self.rename,
            self.join,
            self.join,
            self.leave,
            self.invite,
            self.kick,
            self.ban,
            self.unban,
            self.redact,
            self.tag,
            self.read,
        ]
        who = self.random.choice(self.people)
        if not self.rooms or self.random.random() < 0.05:
            preset = self.random.choice(["public_chat", "private_chat"])
            self.rooms.append(await who.create_room(preset=preset, name=f"room {len(self.rooms)}"))
            return
        await self.random.choice(actions)(who, self.random.choice(self.rooms))

    async def send(self, who: Client, room_id: str) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/m.room.message/{self.random.random()}"
        answer = await who.put(path, {"msgtype": "m.text", "body": f"number {self.random.randrange(1000)}"})
        if answer.status == 200:
            self.sent.setdefault(room_id, []).append(answer.json["event_id"])

    async def rename(self, who: Client, room_id: str) -> None:
        kind = self.random.choice(["name", "topic"])
        content = {kind: f"{kind} {self.random.randrange(100)}"}
        await who.put(f"/_matrix/client/v3/rooms/{quote(room_id)}/state/m.room.{kind}", content)

    async def join(self, who: Client, room_id: str) -> None:
        await who.post(f"/_matrix/client/v3/join/{quote(room_id)}")

    async def leave(self, who: Client, room_id: str) -> None:
        if self.random.random() < 0.4:
            await who.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/leave")

    async def invite(self, who: Client, room_id: str) -> None:
        await self._about(who, room_id, "invite")

    async def kick(self, who: Client, room_id: str) -> None:
        await self._about(who, room_id, "kick")

    async def ban(self, who: Client, room_id: str) -> None:
        await self._about(who, room_id, "ban")

    async def unban(self, who: Client, room_id: str) -> None:
        await self._about(who, room_id, "unban")

    async def _about(self, who: Client, room_id: str, action: str) -> None:
        target = self.random.choice(self.people)
        await who.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/{action}", {"user_id": target.user_id})

    async def redact(self, who: Client, room_id: str) -> None:
        if self.sent.get(room_id):
            event_id = self.random.choice(self.sent[room_id])
            path = f"/_matrix/client/v3/rooms/{quote(room_id)}/redact/{quote(event_id)}/{self.random.random()}"
            await who.put(path, {})

    async def tag(self, who: Client, room_id: str) -> None:
        path = f"/_matrix/client/v3/user/{quote(who.user_id)}/rooms/{quote(room_id)}/tags/u.{self.random.randrange(3)}"
        await who.put(path, {"order": self.random.random()})

    async def read(self, who: Client, room_id: str) -> None:
        if self.sent.get(room_id):
            event_id = quote(self.random.choice(self.sent[room_id]))
            await who.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/receipt/m.read/{event_id}", {})


async def compare(model: ClientModel) -> None:
    client = model.client
    joined = set((await client.get("/_matrix/client/v3/joined_rooms")).ok()["joined_rooms"])
    assert set(model.joined) == joined
    for room_id, room in model.joined.items():
        assert room.state == await fetched_state(client, room_id)
        history = await fetched_history(client, room_id)
        assert room.history == history[len(history) - len(room.history) :], "the history has a gap or an overlap"
        tags = await client.get(f"/_matrix/client/v3/user/{quote(client.user_id)}/rooms/{quote(room_id)}/tags")
        assert room.account_data.get("m.tag", {"tags": {}}) == tags.ok()


def _filter(limit: int) -> dict[str, Any]:
    return {"room": {"timeline": {"limit": limit}}}


SEEDS = int(os.environ.get("WEFT_SYNC_SEEDS", "8"))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_state_and_responses_are_the_state_anew(server: TestServer, seed: int) -> None:
    people = [await server.user(name) for name in ("alice", "bob", "carol")]
    course = Course(seed, people)
    chosen = random.Random(seed + 100)
    models = [
        ClientModel(person, filter=_filter(limit), state_after=after)
        for person in people
        for limit, after in ((1, False), (3, True), (50, False))
    ]
    for step in range(STEPS):
        await course.step()
        for model in models:
            if chosen.random() < 0.2:
                await model.sync()
        if step % 20 == 19:
            for model in models:
                await model.sync()
                await compare(model)


@pytest.mark.parametrize("seed", [1])
async def test_the_same_across_a_restart(server: TestServer, seed: int) -> None:
    people = [await server.user(name) for name in ("alice", "bob")]
    course = Course(seed, people)
    models = [ClientModel(person, filter=_filter(2)) for person in people]
    for step in range(STEPS):
        await course.step()
        if step % 15 == 7:
            for model in models:
                await model.sync()
        if step % 15 == 11:
            await server.restart()
    for model in models:
        await model.sync()
        await compare(model)
