"""People with accounts on servers of either kind, and what they wait for.

What `tests/federation/people.py` has people do they do here too; a `Person` speaks plain HTTP.
"""

from __future__ import annotations

import secrets
import ssl
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from tests.federation.people import eventually
from tests.interop.homeservers import Reachable
from weft.testing import Answer, Client
from weft.testing.client import Asgi

_JSON = {"Content-Type": "application/json"}


class Person(Client):
    """Somebody who is logged in at a server."""

    def __init__(self, server: Reachable, web: aiohttp.ClientSession, trust: ssl.SSLContext, **who: Any) -> None:
        super().__init__(_no_application, **who)
        self.server = server
        self._web = web
        self._trust = trust

    @property
    def home(self) -> str:
        """The name of their server."""
        return self.server.server_name

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        body: bytes | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        content = body if body is not None else None if json is None else orjson.dumps(json)
        sent = {**_JSON, **({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        if query:
            wanted = {name.rstrip("_"): value for name, value in query.items() if value is not None}
            path += ("&" if "?" in path else "?") + urlencode(wanted, doseq=True)
        return await self._ask(method, URL(self.server.url + path, encoded=True), content, sent)

    async def to_federation(self, method: str, path: str, body: object) -> Answer:
        """What their server answers to somebody who is no server and signs nothing."""
        return await self._ask(method, URL(f"https://{self.home}{path}"), orjson.dumps(body), _JSON)

    async def _ask(self, method: str, url: URL, content: bytes | None, headers: dict[str, str]) -> Answer:
        async with self._web.request(method, url, data=content, headers=headers, ssl=self._trust) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())


class Society:
    """Makes people."""

    def __init__(self, web: aiohttp.ClientSession, trust: ssl.SSLContext) -> None:
        self._web = web
        self._trust = trust

    async def __call__(self, name: str, server: Reachable) -> Person:
        """A new account on a server; its name begins with `name`."""
        body = {
            "username": f"{name}-{secrets.token_hex(4)}",
            "password": "correct horse battery",
            "auth": {"type": "m.login.dummy"},
        }
        stranger = Person(server, self._web, self._trust)
        made = (await stranger.post("/_matrix/client/v3/register", body)).ok()
        who = {"token": made["access_token"], "user_id": made["user_id"], "device_id": made["device_id"]}
        return Person(server, self._web, self._trust, **who)


async def state(person: Client, room_id: str) -> dict[tuple[str, str], str]:
    """The room's state as somebody's server has it: the ids of its events."""
    found = (await person.get(f"/_matrix/client/v3/rooms/{room_id}/state")).ok()
    return {(event["type"], event["state_key"]): event["event_id"] for event in found}


async def history(person: Client, room_id: str) -> list[dict[str, Any]]:
    """All that somebody's server shows them of a room, the oldest first."""
    found: list[dict[str, Any]] = []
    token = None
    for _ in range(20):
        path = f"/_matrix/client/v3/rooms/{room_id}/messages"
        page = (await person.get(path, dir="b", limit=100, from_=token)).ok()
        found.extend(page["chunk"])
        token = page.get("end")
        if token is None:
            break
    return found[::-1]


async def texts(person: Client, room_id: str) -> list[str]:
    """The messages of a room, however many, that somebody's server shows them, the oldest first."""
    found = await history(person, room_id)
    return [event["content"].get("body", "") for event in found if event["type"] == "m.room.message"]


async def agree(room_id: str, *people: Client, seconds: float = 10.0) -> None:
    """Waits until all their servers have the same state of the room and the same events."""
    views: list[tuple[dict[tuple[str, str], str], set[str]]] = []

    async def same() -> bool:
        views[:] = [
            (await state(one, room_id), {event["event_id"] for event in await history(one, room_id)}) for one in people
        ]
        return all(view == views[0] for view in views)

    try:
        await eventually(same, seconds)
    except AssertionError:
        first_state, first_events = views[0]
        differences = [
            f"{one.user_id} and {people[0].user_id}: state {sorted(have.items() ^ first_state.items())}, "
            f"history {sorted(events ^ first_events)}"
            for one, (have, events) in zip(people, views, strict=True)
            if (have, events) != views[0]
        ]
        raise AssertionError("\n".join(differences)) from None


async def send(person: Client, room_id: str, event_type: str, content: object) -> str:
    """Sends an event that is no state; its id."""
    path = f"/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{secrets.token_hex(8)}"
    event_id: str = (await person.put(path, content)).ok()["event_id"]
    return event_id


async def content(person: Client, room_id: str, event_type: str, state_key: str = "") -> Any:
    """The content of a state event; None where there is none."""
    found = await person.get(f"/_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}")
    return found.json if found.status == 200 else None


async def sees(person: Client, room_id: str, event_type: str, wanted: object, state_key: str = "") -> None:
    """Waits until a state event has some content."""

    async def is_so() -> bool:
        return bool(await content(person, room_id, event_type, state_key) == wanted)

    try:
        await eventually(is_so)
    except AssertionError:
        found = await content(person, room_id, event_type, state_key)
        raise AssertionError(f"{person.user_id} sees {found}, not {wanted}") from None


async def receives(person: Client, room_id: str, event_id: str) -> dict[str, Any]:
    """Waits for an event; returns it as it is shown."""

    async def is_there() -> Any:
        found = await person.get(f"/_matrix/client/v3/rooms/{room_id}/event/{event_id}")
        return found.json if found.status == 200 else None

    try:
        shown: dict[str, Any] = await eventually(is_there)
    except AssertionError:
        raise AssertionError(f"{person.user_id} does not get {event_id}") from None
    return shown


async def shows(person: Person, room_id: str, *wanted: str) -> None:
    """Waits until somebody's history of a room, however long, is just these messages."""

    async def is_so() -> bool:
        return await texts(person, room_id) == list(wanted)

    try:
        await eventually(is_so)
    except AssertionError:
        raise AssertionError(f"{person.user_id} sees {await texts(person, room_id)}") from None


def join_rule(rule: str, **more: Any) -> dict[str, Any]:
    """For a room's first state."""
    return {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": rule, **more}}


async def may_not_join(person: Person, room_id: str, via: str) -> None:
    assert (await person.post(f"/_matrix/client/v3/join/{room_id}?via={via}")).status == 403


async def ephemeral(person: Person, room_id: str) -> dict[str, dict[str, Any]]:
    """What a room says besides its events, by type."""
    found = (await person.sync()).get("rooms", {}).get("join", {}).get(room_id, {}).get("ephemeral", {})
    return {event["type"]: event["content"] for event in found.get("events", [])}


async def sees_receipt(person: Person, room_id: str, event_id: str, reader: str) -> None:
    """Waits for the receipt of a reader."""

    async def is_there() -> bool:
        receipts = (await ephemeral(person, room_id)).get("m.receipt", {}).get(event_id, {})
        return reader in receipts.get("m.read", {})

    await eventually(is_there)


async def sees_typing(person: Person, room_id: str, *typists: str) -> None:
    """Waits until just these are typing."""

    async def is_so() -> bool:
        return (await ephemeral(person, room_id)).get("m.typing", {}).get("user_ids", []) == list(typists)

    await eventually(is_so)


def _no_application() -> Asgi:
    raise AssertionError("a person reaches their server over HTTP")
