"""What people do in tests of several servers, and waiting until others have heard of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from weft.testing import Client

_NUMBERS = itertools.count(1)


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """What `check` returns once that is true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await check()
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{check} did not come true")
        await asyncio.sleep(0.02)


async def create(client: Client, version: str = "12", **body: Any) -> str:
    made = await client.post(
        "/_matrix/client/v3/createRoom", {"preset": "public_chat", "room_version": version, **body}
    )
    room_id: str = made.ok()["room_id"]
    return room_id


async def join(client: Client, room_id: str, via: str) -> None:
    (await client.post(f"/_matrix/client/v3/join/{room_id}?via={via}", {})).ok()


async def say(client: Client, room_id: str, text: str) -> str:
    path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{next(_NUMBERS)}"
    event_id: str = (await client.put(path, {"msgtype": "m.text", "body": text})).ok()["event_id"]
    return event_id


async def texts(client: Client, room_id: str) -> list[str]:
    found = (await client.get(f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=100")).ok()["chunk"]
    return [event["content"]["body"] for event in reversed(found) if event["type"] == "m.room.message"]


async def told(client: Client, room_id: str, *wanted: str, seconds: float = 10.0) -> None:
    """Waits until the client's history of a room is just these messages."""

    async def arrived() -> bool:
        return await texts(client, room_id) == list(wanted)

    try:
        await eventually(arrived, seconds)
    except AssertionError:
        raise AssertionError(f"{client.user_id} sees {await texts(client, room_id)}") from None


async def membership(client: Client, room_id: str, user_id: str) -> str | None:
    found = await client.get(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.member/{user_id}")
    return found.json["membership"] if found.status == 200 else None


async def becomes(client: Client, room_id: str, user_id: str, wanted: str | None) -> None:
    async def is_so() -> bool:
        return await membership(client, room_id, user_id) == wanted

    try:
        await eventually(is_so)
    except AssertionError:
        found = await membership(client, room_id, user_id)
        raise AssertionError(f"{client.user_id} sees {user_id} as {found}, not {wanted}") from None


async def invited(client: Client, room_id: str) -> dict[str, Any]:
    """Waits for an invite; returns what is shown of the room."""

    async def is_there() -> Any:
        rooms = (await client.get("/_matrix/client/v3/sync")).ok().get("rooms", {})
        return rooms.get("invite", {}).get(room_id)

    found: dict[str, Any] = await eventually(is_there)
    return found
