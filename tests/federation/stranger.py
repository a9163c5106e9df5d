"""An invented server: it makes and signs events and requests as a real one does, or as no real one would.

It has no database. What it builds its events on it is handed, or takes from the server that it talks to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from json import dumps
from typing import Any
from urllib.parse import quote

import orjson

from weft.graph.build import Draft, Identity, auth_keys, build
from weft.graph.outcome import Outcome
from weft.protocol import canonical_json, server_keys
from weft.protocol.errors import MatrixError
from weft.protocol.event import Event
from weft.protocol.request_auth import authorization
from weft.testing import Answer, Client, TestServer
from weft.testing.client import Watch
from weft.testing.server import key_of

V1 = "/_matrix/federation/v1"
_IDS = itertools.count(1)


class Stranger:
    """A server called `name` that talks to `server`; its requests are for `destination`."""

    def __init__(self, server: TestServer, name: str = "stranger.test", *, watch: Watch | None = None) -> None:
        self.server = server
        self.name = name
        self.destination = server.name
        self.key = key_of(name)
        self.identity = Identity(name, self.key, lambda: f"made{next(_IDS)}")
        self._client = Client(server.app, watch=watch or server.watch)
        #: What it answers when it is asked something, besides for its keys; by path, also made from the request's JSON.
        self.answers: dict[str, Answer] = {}
        self.answering: dict[str, Callable[[Any], Answer]] = {}
        server.network.register([name], lambda: self._app)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        """Tells our keys, and whatever a test puts into `answers`, by path."""
        path = scope["path"]
        if path == "/_matrix/key/v2/server":
            document = server_keys.make(self.name, [self.key], [], valid_until_ms=self.server.clock() + 86_400_000)
            answer = Answer(200, {}, canonical_json.encode_checked(document))
        else:
            unknown = Answer(404, {}, b'{"errcode":"M_UNRECOGNIZED","error":"unknown"}')
            make = self.answering.get(path)
            if make is not None:
                answer = make(orjson.loads((await receive())["body"] or b"null"))
            else:
                answer = self.answers.get(path, unknown)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def user(self, localpart: str) -> str:
        return f"@{localpart}:{self.name}"

    # -- requests

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.request("GET", path, query=query)

    async def post(self, path: str, json: object = None, **query: Any) -> Answer:
        return await self.request("POST", path, json={} if json is None else json, query=query)

    async def put(self, path: str, json: object = None, **query: Any) -> Answer:
        return await self.request("PUT", path, json={} if json is None else json, query=query)

    async def request(
        self, method: str, path: str, *, json: object = None, query: dict[str, Any] | None = None, signed: bool = True
    ) -> Answer:
        """A request with our signature. `path` is percent-encoded, and may leave out `/_matrix/federation/v1`."""
        uri = _uri(path if path.startswith("/_matrix") else V1 + path, query or {})
        body = None if json is None else canonical_json.canonical_lax(dumps(json).encode())
        headers = {}
        if signed:
            headers["authorization"] = authorization(
                self.key, method=method, uri=uri, origin=self.name, destination=self.destination, content=body
            )
        return await self._client.request(method, uri, body=body, headers=headers)

    async def raw(self, method: str, path: str, body: bytes) -> Answer:
        """A request with just this body; signed as far as there is anything that can be."""
        uri = _uri(path if path.startswith("/_matrix") else V1 + path, {})
        try:
            content = canonical_json.canonical_lax(body) if body else None
        except MatrixError:
            content = b"{}"
        signature = authorization(
            self.key, method=method, uri=uri, origin=self.name, destination=self.destination, content=content
        )
        return await self._client.request(method, uri, body=body, headers={"authorization": signature})

    @staticmethod
    def json(value: object, status: int = 200) -> Answer:
        """An answer to give."""
        return Answer(status, {}, orjson.dumps(value))

    # -- events

    async def join(self, room_id: str, localpart: str = "eve", **content: Any) -> Event:
        """Puts one of our users into a public room, as if they had come in by a handshake."""
        user_id = self.user(localpart)
        return await self.send(
            room_id,
            Draft(type="m.room.member", sender=user_id, state_key=user_id, content={"membership": "join", **content}),
        )

    async def say(self, room_id: str, body: str = "hello", localpart: str = "eve") -> Event:
        content = {"msgtype": "m.text", "body": body}
        return await self.send(room_id, Draft(type="m.room.message", sender=self.user(localpart), content=content))

    async def send(
        self, room_id: str, draft: Draft, *, prev: Sequence[Event] | None = None, expect: Outcome = Outcome.ACCEPTED
    ) -> Event:
        """Makes an event at the room's front (or on top of `prev`) and has the server take it in."""
        event = await self.make(room_id, draft, prev=prev)
        await self.hand_over(room_id, event, expect=expect)
        return event

    async def hand_over(self, room_id: str, event: Event, *, expect: Outcome = Outcome.ACCEPTED) -> None:
        """Has the server take in an event that was made before."""
        taken = await self.server.server.engine.receive.take(room_id, [event])
        verdict = taken[event.event_id].verdict
        assert verdict is not None, taken
        assert verdict.outcome is expect, verdict

    async def make(self, room_id: str, draft: Draft, *, prev: Sequence[Event] | None = None) -> Event:
        """An event of ours that leans on the room's present state, signed; nobody has seen it yet."""
        rooms = self.server.server.engine.rooms
        await self.server.server.engine.log.catch_up()
        room = await rooms.get(room_id)
        auth = await rooms.state_events(room, auth_keys(draft, room.version))
        front = [stored.event for stored in room.extremities.values()]
        return build(
            draft,
            version=room.version,
            room_id=room_id,
            prev_events=front if prev is None else prev,
            auth_events=list(auth.values()),
            identity=self.identity,
            now_ms=self.server.clock(),
        )


def _uri(path: str, query: dict[str, Any]) -> str:
    pairs = [
        f"{quote(name)}={quote(str(one).lower() if isinstance(one, bool) else str(one), safe='')}"
        for name, value in query.items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path
