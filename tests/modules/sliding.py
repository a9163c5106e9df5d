"""A client that syncs by sliding windows, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

from weft.testing import Answer, Client

PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
ALL_STATE = [["*", "*"]]


def a_list(first: int = 0, last: int = 19, *, limit: int = 10, state: Any = None, **filters: Any) -> dict[str, Any]:
    """A list as clients of today ask for it."""
    return {
        "ranges": [[first, last]],
        "timeline_limit": limit,
        "required_state": [] if state is None else state,
        "filters": filters,
    }


class Sliding:
    """One connection. `rooms` is what the client knows, by id: each answer is put on top of what was there."""

    def __init__(self, client: Client, conn_id: str = "main", **asked: Any) -> None:
        self.client = client
        self.conn_id = conn_id
        self.asked: dict[str, Any] = asked
        if not asked.keys() & {"lists", "room_subscriptions"}:
            asked["lists"] = {"all": a_list()}
        self.pos: str | None = None
        self.rooms: dict[str, dict[str, Any]] = {}

    async def ask(self, *, pos: str | None = None, timeout: int = 0, **asked: Any) -> Answer:
        """One request, as it is; nothing is learned from the answer."""
        body = {"conn_id": self.conn_id, **self.asked, **asked}
        return await self.client.post(PATH, body, pos=pos if pos is not None else self.pos, timeout=timeout)

    async def sync(self, *, timeout: int = 0, **asked: Any) -> Any:
        """The next answer, learned from. What is asked for stays so."""
        self.asked.update(asked)
        answer = (await self.ask(timeout=timeout)).ok()
        self.pos = answer["pos"]
        for room_id, section in answer["rooms"].items():
            self._learn(room_id, section)
        return answer

    def _learn(self, room_id: str, section: dict[str, Any]) -> None:
        known = self.rooms.get(room_id)
        if known is None or section.get("initial"):
            known = self.rooms[room_id] = {"state": {}, "events": []}
        known.update({name: value for name, value in section.items() if name not in ("required_state", "timeline")})
        for event in section.get("required_state", []):
            key = (event["type"], event["state_key"])
            if "content" in event:
                known["state"][key] = event["event_id"]
            else:
                known["state"].pop(key, None)
        if section.get("limited") or section.get("expanded_timeline"):
            known["events"].clear()
        known["events"] += [event["event_id"] for event in section.get("timeline", [])]


def bodies(section: dict[str, Any]) -> list[str]:
    return [event["content"]["body"] for event in section["timeline"] if event["type"] == "m.room.message"]


def keys(section: dict[str, Any]) -> set[tuple[str, str]]:
    return {(event["type"], event["state_key"]) for event in section.get("required_state", [])}
