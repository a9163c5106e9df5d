"""A remote homeserver that is nothing but a key and rooms that it makes up: what a server under measurement joins.

It answers just what a joining server asks (its key, `make_join`, `send_join`), over TLS on loopback, and sends
transactions as fast as they are taken. Its rooms are real: every event is built and signed as Weft builds its own.
"""

from __future__ import annotations

import itertools
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from weft.graph.build import Draft, Identity, auth_keys, build
from weft.protocol import canonical_json, server_keys
from weft.protocol.event import Event, StateKey
from weft.protocol.request_auth import authorization
from weft.protocol.room_versions import RoomVersion, room_version
from weft.protocol.signatures import SigningKey

VERSION = room_version("12")


class RemoteRoom:
    """One room: its state, and the newest event."""

    def __init__(self, identity: Identity, members: int, now_ms: int) -> None:
        self._identity = identity
        self._version: RoomVersion = VERSION
        self._now_ms = now_ms
        self.room_id: str | None = None
        self.state: dict[StateKey, Event] = {}
        self.newest: Event | None = None
        self.creator = f"@creator:{identity.server_name}"
        self.add("m.room.create", self.creator, "", {"room_version": VERSION.identifier})
        self.add("m.room.member", self.creator, self.creator, {"membership": "join"})
        self.add("m.room.power_levels", self.creator, "", {"users": {}})
        self.add("m.room.join_rules", self.creator, "", {"join_rule": "public"})
        self.add("m.room.history_visibility", self.creator, "", {"history_visibility": "shared"})
        for number in range(members - 1):
            user = f"@member{number}:{identity.server_name}"
            self.add("m.room.member", user, user, {"membership": "join", "displayname": f"Member {number}"})

    def add(self, event_type: str, sender: str, state_key: str | None, content: dict[str, Any]) -> Event:
        """One more event on top of the newest."""
        draft = Draft(type=event_type, sender=sender, state_key=state_key, content=content)
        keys = auth_keys(draft, self._version)
        event = build(
            draft,
            version=self._version,
            room_id=self.room_id,
            prev_events=[self.newest] if self.newest is not None else [],
            auth_events=[self.state[key] for key in keys if key in self.state],
            identity=self._identity,
            now_ms=self._now_ms,
        )
        self.put(event)
        return event

    def put(self, event: Event) -> None:
        self.newest = event
        self.room_id = event.room_id
        if event.state_key is not None:
            self.state[event.key] = event

    def template(self, user_id: str) -> dict[str, Any]:
        """The join that a user of another server has to make."""
        if self.newest is None:
            raise ValueError("an empty room")
        keys = (("m.room.power_levels", ""), ("m.room.join_rules", ""))
        return {
            "type": "m.room.member",
            "room_id": self.room_id,
            "sender": user_id,
            "state_key": user_id,
            "content": {"membership": "join"},
            "origin": self._identity.server_name,
            "origin_server_ts": self._now_ms,
            "depth": self.newest.depth + 1,
            "prev_events": [self.newest.event_id],
            "auth_events": [self.state[key].event_id for key in keys],
        }


class RemoteServer:
    """Start it, make rooms, have them joined, send into them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.name = f"127.0.0.1:{port}"
        self._port = port
        self._key = SigningKey("ed25519:bench", bytes(range(32)))
        self._identity = Identity(self.name, self._key, lambda: "unused")
        self._rooms: dict[str, RemoteRoom] = {}
        self._answers: dict[str, bytes] = {}
        self._transactions = itertools.count()
        self.certificate = folder / "remote.crt"
        self._private = folder / "remote.key"
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def make_certificate(self) -> None:
        subject = ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        files = ["-keyout", str(self._private), "-out", str(self.certificate)]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command = ["openssl", "req", "-x509", *curve, *files, *subject]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/_matrix/key/v2/server", self._keys)
        app.router.add_get("/_matrix/federation/v1/make_join/{room}/{user}", self._make_join)
        app.router.add_put("/_matrix/federation/v2/send_join/{room}/{event}", self._send_join)
        app.router.add_put("/_matrix/federation/v1/send/{txn}", self._take)
        app.router.add_route("*", "/{rest:.*}", self._nothing)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.certificate, self._private)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=tls).start()
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def make_room(self, members: int) -> RemoteRoom:
        """A room with so many joined members, all of this server. Its answer to a join is made now, not when asked."""
        room = RemoteRoom(self._identity, members, _now_ms())
        if room.room_id is None:
            raise ValueError("an empty room")
        self._rooms[room.room_id] = room
        events = list(room.state.values())
        chain = [event for event in events if event.type != "m.room.member" or event.sender == room.creator]
        self._answers[room.room_id] = b'"auth_chain":%s,"state":%s' % (_array(chain), _array(events))
        return room

    async def send(self, destination: str, port: int, events: Sequence[Event]) -> None:
        """One transaction to a server that listens on a plain port."""
        if self._session is None:
            raise RuntimeError("not started")
        uri = f"/_matrix/federation/v1/send/bench{next(self._transactions)}"
        content = b'{"edus":[],"origin":"%s","origin_server_ts":%d,"pdus":%s}' % (
            self.name.encode(),
            _now_ms(),
            _array(events),
        )
        canonical = canonical_json.encode(orjson.loads(content))
        header = authorization(
            self._key, method="PUT", uri=uri, origin=self.name, destination=destination, content=canonical
        )
        headers = {"Authorization": header, "Content-Type": "application/json"}
        async with self._session.put(f"http://127.0.0.1:{port}{uri}", data=canonical, headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200 or b'"error"' in body:
                raise RuntimeError(f"{answer.status}: {body[:500]!r}")

    # -- what others ask

    async def _keys(self, request: web.Request) -> web.Response:
        document = server_keys.make(self.name, [self._key], [], valid_until_ms=_now_ms() + 86_400_000)
        return _json(canonical_json.encode(document))

    async def _make_join(self, request: web.Request) -> web.Response:
        room = self._rooms[request.match_info["room"]]
        template = room.template(request.match_info["user"])
        return _json(orjson.dumps({"room_version": VERSION.identifier, "event": template}))

    async def _send_join(self, request: web.Request) -> web.Response:
        pdu = await request.read()
        room = self._rooms[request.match_info["room"]]
        room.put(Event.parse(orjson.loads(pdu), VERSION))
        answer = self._answers[request.match_info["room"]]
        return _json(b'{%s,"event":%s,"members_omitted":false,"origin":"%s"}' % (answer, pdu, self.name.encode()))

    async def _take(self, request: web.Request) -> web.Response:
        return _json(b'{"pdus":{}}')

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(
            status=404, body=b'{"errcode":"M_UNRECOGNIZED","error":"?"}', content_type="application/json"
        )


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _array(events: Sequence[Event]) -> bytes:
    return b"[%s]" % b",".join(event.wire for event in events)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
