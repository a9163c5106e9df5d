"""A client's picture of its rooms, made from sync responses alone, to be compared with what the server says anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from weft.testing import Client

StateKey = tuple[str, str]


@dataclass
class RoomModel:
    state: dict[StateKey, str] = field(default_factory=dict)
    #: Event ids in the order of the room's history, oldest first, without a gap.
    history: list[str] = field(default_factory=list)
    account_data: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class ClientModel:
    """`sync` asks, and applies the answer."""

    client: Client
    filter: dict[str, Any] | None = None
    state_after: bool = False
    since: str | None = None
    joined: dict[str, RoomModel] = field(default_factory=dict)
    invited: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    account_data: dict[str, Any] = field(default_factory=dict)

    async def sync(self) -> None:
        answer = await self.client.sync(self.since, filter=self.filter, use_state_after=self.state_after)
        rooms = answer.get("rooms", {})
        for room_id, section in rooms.get("join", {}).items():
            await self._joined(room_id, section)
        for room_id in rooms.get("invite", {}):
            self.invited.add(room_id)
            self.left.discard(room_id)
        for room_id in rooms.get("leave", {}):
            self.joined.pop(room_id, None)
            self.invited.discard(room_id)
            self.left.add(room_id)
        for event in answer.get("account_data", {}).get("events", ()):
            self.account_data[event["type"]] = event["content"]
        self.since = answer["next_batch"]

    async def _joined(self, room_id: str, section: dict[str, Any]) -> None:
        self.invited.discard(room_id)
        self.left.discard(room_id)
        room = self.joined.setdefault(room_id, RoomModel())
        timeline = section.get("timeline", {"events": [], "limited": False})
        events = timeline["events"]
        if timeline["limited"]:
            await self._fill_gap(room_id, room, timeline["prev_batch"])
        known = set(room.history)
        room.history += [event["event_id"] for event in events if event["event_id"] not in known]
        state = section.get("state_after" if self.state_after else "state", {"events": []})["events"]
        for event in state if self.state_after else [*state, *events]:
            if "state_key" in event:
                room.state[event["type"], event["state_key"]] = event["event_id"]
        for event in section.get("account_data", {}).get("events", ()):
            room.account_data[event["type"]] = event["content"]
        if "unread_notifications" in section:
            room.counts = section["unread_notifications"]

    async def _fill_gap(self, room_id: str, room: RoomModel, token: str) -> None:
        """Pages back from the gap until something known, or the beginning."""
        known, found = set(room.history), list[str]()
        at: str | None = token
        while at is not None:
            page = (
                await self.client.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/messages", from_=at, dir="b", limit=3)
            ).ok()
            for event in page["chunk"]:
                if event["event_id"] in known:
                    room.history += reversed(found)
                    return
                assert event["event_id"] not in found, "a page overlaps with another"
                found.append(event["event_id"])
            at = page.get("end")
        room.history += reversed(found)


async def fetched_state(client: Client, room_id: str) -> dict[StateKey, str]:
    """The room's state, asked for anew."""
    events = (await client.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/state")).ok()
    return {(event["type"], event["state_key"]): event["event_id"] for event in events}


async def fetched_history(client: Client, room_id: str) -> list[str]:
    """All of the room's history that the user sees, asked for anew; oldest first."""
    found: list[str] = []
    at: str | None = None
    while True:
        page = (
            await client.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/messages", from_=at, dir="b", limit=50)
        ).ok()
        found += [event["event_id"] for event in page["chunk"]]
        at = page.get("end")
        if at is None:
            return found[::-1]
