"""People who use matrix-nio: what the tests with it have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nio import (
    AsyncClient,
    AsyncClientConfig,
    Event,
    JoinResponse,
    MatrixRoom,
    RegisterResponse,
    RoomCreateResponse,
    RoomSendResponse,
    SyncResponse,
)

Expected = TypeVar("Expected")

#: Milliseconds that a sync waits for something to happen before a test fails.
WAIT_MS = 10_000


def expect(kind: type[Expected], response: object) -> Expected:
    """The response, which has to be of that kind and no error."""
    assert isinstance(response, kind), f"{kind.__name__} expected, got {response}"
    return response


def client_of(url: str, user: str = "") -> AsyncClient:
    """A client that reports errors instead of trying again for ever."""
    return AsyncClient(url, user, config=AsyncClientConfig(max_timeouts=3, max_limit_exceeded=0))


async def register(url: str, localpart: str, password: str = "correct horse") -> AsyncClient:
    """A new account, with a first device."""
    client = client_of(url, localpart)
    expect(RegisterResponse, await client.register(localpart, password, "nio"))
    return client


async def sync(client: AsyncClient, timeout: int = 0) -> SyncResponse:
    return expect(SyncResponse, await client.sync(timeout=timeout))


async def sync_until(client: AsyncClient, holds: Callable[[SyncResponse], bool]) -> SyncResponse:
    """Syncs until a response satisfies `holds`; each has to come before its timeout is over."""
    for _ in range(10):
        response = await sync(client, WAIT_MS)
        if holds(response):
            return response
    raise AssertionError(f"never seen by {client.user_id}: {response}")


def timeline(response: SyncResponse, room_id: str) -> list[Event]:
    info = response.rooms.join.get(room_id)
    return list(info.timeline.events) if info else []


async def room_of(*people: AsyncClient, **options: object) -> str:
    """A room that the first one makes and the others are invited to and join; all of them have synced."""
    maker, *others = people
    invited = [other.user_id for other in others]
    room_id = expect(RoomCreateResponse, await maker.room_create(invite=invited, **options)).room_id
    for other in others:
        expect(JoinResponse, await other.join(room_id))
    for person in people:
        await sync(person)
        assert isinstance(person.rooms[room_id], MatrixRoom)
    return room_id


async def send(client: AsyncClient, room_id: str, content: object, kind: str = "m.room.message") -> str:
    """Sends an event; a text alone is a message."""
    body = {"msgtype": "m.text", "body": content} if isinstance(content, str) else content
    return expect(RoomSendResponse, await client.room_send(room_id, kind, body)).event_id
