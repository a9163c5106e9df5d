"""What people's clients ask of a server, in requests that every homeserver answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from itertools import count
from urllib.parse import quote

import orjson

from benchmarks.side_by_side.load import Connection

#: The room version that rooms are made in, the same on both servers.
ROOM_VERSION = "12"
#: Stands once in each message that is sent here, so that messages can be counted without reading JSON.
MARK = b"a word that nobody writes"
#: A timeline as long as is allowed by both, so that a client that is woken late still gets every message.
LONG_TIMELINE = {"room": {"timeline": {"limit": 100}}}
LAZY = {"room": {"timeline": {"limit": 1}, "state": {"lazy_load_members": True}}}

_V3 = "/_matrix/client/v3"
_NEXT_BATCH = re.compile(rb'"next_batch"\s*:\s*"([^"]*)"')
_MESSAGE = orjson.dumps({"msgtype": "m.text", "body": f"A message as long as they are, with {MARK.decode()} in it."})
_transactions = count()


class Person(Connection):
    """An account, and its connection."""

    def __init__(self, port: int, user_id: str, token: str) -> None:
        super().__init__(port, token)
        self.user_id = user_id

    async def create_room(self, *, public: bool = True) -> str:
        preset = "public_chat" if public else "private_chat"
        asked = {"preset": preset, "name": "A room", "room_version": ROOM_VERSION}
        answer = await self.post(f"{_V3}/createRoom", orjson.dumps(asked))
        return str(orjson.loads(answer)["room_id"])

    async def join(self, room_id: str) -> None:
        await self.post(f"{_V3}/rooms/{quote(room_id)}/join", b"{}")

    async def send(self, room_id: str) -> None:
        await self.put(f"{_V3}/rooms/{quote(room_id)}/send/m.room.message/{next(_transactions)}", _MESSAGE)

    async def sync(self, since: str | None = None, *, timeout: int = 0, filtered: object = None) -> bytes:
        """`timeout` is in milliseconds."""
        path = f"{_V3}/sync?timeout={timeout}"
        if since is not None:
            path += f"&since={quote(since)}"
        if filtered is not None:
            path += f"&filter={quote(orjson.dumps(filtered))}"
        return await self.get(path)

    async def messages(self, room_id: str, limit: int) -> bytes:
        return await self.get(f"{_V3}/rooms/{quote(room_id)}/messages?dir=b&limit={limit}")


def next_batch(sync: bytes) -> str:
    """The token of a sync answer."""
    found = _NEXT_BATCH.search(sync)
    if found is None:
        raise ValueError("a sync answer without next_batch")
    return found[1].decode()


async def register(port: int, names: Iterable[str]) -> list[Person]:
    """Makes accounts."""
    connection = Connection(port)
    people = []
    for name in names:
        asked = {
            "username": name,
            "password": f"not so secret {name}",
            "auth": {"type": "m.login.dummy"},
        }
        answer = orjson.loads(await connection.post(f"{_V3}/register", orjson.dumps(asked)))
        people.append(Person(port, answer["user_id"], answer["access_token"]))
    connection.close()
    return people


async def join_all(people: Sequence[Person], room_id: str, *, at_once: int = 4) -> None:
    """Everybody joins a room."""
    waiting = list(people)

    async def some() -> None:
        while waiting:
            await waiting.pop().join(room_id)

    await asyncio.gather(*(some() for _ in range(at_once)))


def hang_up(people: Iterable[Person]) -> None:
    for person in people:
        person.close()
