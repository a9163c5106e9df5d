"""Every endpoint, asked for all kinds of nonsense: never a 5xx, and what is refused has changed nothing.

`WEFT_FUZZ_ROUNDS` sets how many requests each endpoint gets; `WEFT_SEED` chooses the course.
"""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.fuzz.generate import Generator, World
from weft.protocol.api.client import ENDPOINTS
from weft.storage.database import Transaction
from weft.testing import Client, TestServer

ROUNDS = int(os.environ.get("WEFT_FUZZ_ROUNDS", "25"))
SEED = int(os.environ.get("WEFT_SEED", "1"))
#: What a refused request may write: that somebody was here, and that somebody began to prove who they are. Typing
#: and presence end by themselves, and the log says so. A server that did not answer is remembered.
MAY_CHANGE = (
    "destinations",
    "devices",
    "ui_auth_sessions",
    "registration_nonces",
    "followers",
    "login_tries",
    "leases",
    "log",
    "typing",
    "presence",
)
_MOST_MEMORY = 400 << 20


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    made = TestServer(tmp_path, settings={"registration": {"mode": "open", "guests": True}})
    await made.start()
    yield made
    await made.stop()


async def _world(alice: Client, bob: Client) -> World:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="fuzzed", visibility="public")
    old_room = await alice.create_room(preset="public_chat", room_version="1")
    await bob.join(room_id)
    events = [await alice.send(room_id), await bob.send(room_id, "there"), await alice.send(old_room)]
    since = (await alice.sync())["next_batch"]
    page = (await alice.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/messages", dir="b", limit=1)).ok()
    users = [alice.user_id, bob.user_id, "@nobody:weft.test", "@far:elsewhere.example"]
    rooms = [room_id, old_room, "!unknown:weft.test"]
    return World(
        {
            "roomId": rooms,
            "room_id": rooms,
            "new_room": rooms,
            "roomIdOrAlias": [*rooms, "#fuzzed:weft.test"],
            "roomAlias": ["#fuzzed:weft.test", "#free:weft.test"],
            "room_alias_name": ["fuzzed", "free"],
            "userId": users,
            "user_id": users,
            "user": users,
            "username": ["alice", "somebody"],
            "eventId": [*events, "$unknown"],
            "event_id": [*events, "$unknown"],
            "eventType": ["m.room.message", "m.room.name", "m.room.topic", "m.room.member", "m.room.power_levels"],
            "stateKey": ["", alice.user_id, bob.user_id],
            "type": ["m.login.password", "m.login.dummy", "m.tag", "m.direct", "m.room.message"],
            "filter": ["{}", '{"room":{"timeline":{"limit":1}}}', "0"],
            "since": [since],
            "from": [since, page["end"]],
            "to": [since],
            "at": [since],
            "receiptType": ["m.read", "m.read.private", "m.fully_read"],
            "relType": ["m.thread", "m.reference", "m.annotation", "m.replace"],
            "kind": ["override", "content", "room", "sender", "underride"],
            "ruleId": [".m.rule.master", "mine"],
            "keyName": ["displayname", "avatar_url", "m.tz", "org.example.key"],
            "tag": ["m.favourite", "u.mine"],
            "room_version": ["1", "6", "10", "12", "I.1"],
            "new_version": ["11", "12"],
            "deviceId": [alice.device_id],
            "preset": ["public_chat"],
            "auth": ["m.login.dummy", "m.login.terms"],
        }
    )


async def _digest(server: TestServer) -> dict[str, str]:
    """Each table's content, in short."""
    return await server.server.engine.database.read(_tables)


def _tables(tx: Transaction) -> dict[str, str]:
    found: dict[str, str] = {}
    for (name,) in tx.all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if not name.startswith("sqlite_") and not name.startswith(MAY_CHANGE) and "search" not in name:
            rows = sorted(map(repr, tx.all(f'SELECT * FROM "{name}"')))
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


@pytest.mark.parametrize("part", range(8))
async def test_no_request_breaks_the_server_and_refused_ones_change_nothing(server: TestServer, part: int) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    generator = Generator(SEED * 1000 + part, await _world(alice, bob))
    stranger = server.client()
    before = await _digest(server)
    for number, endpoint in enumerate(ENDPOINTS):
        if number % 8 != part or endpoint.operation_id in ("logout", "logout_all", "deactivateAccount"):
            continue
        for _ in range(ROUNDS):
            made = generator.request(endpoint)
            made.query.pop("timeout", None)
            who = generator.random.choice([alice, alice, bob, stranger])
            answer = await who.request(endpoint.method, made.path, body=made.body, query=_sendable(made.query))
            said = (
                f"{endpoint.method} {made.path[:300]} {made.query} {(made.body or b'')[:500]!r} → {answer.body[:300]!r}"
            )
            # That another server can't be reached is no fault of this one.
            assert answer.status < 500 or answer.status in (502, 503, 504), said
            if answer.status >= 400:
                is_page = answer.headers["content-type"].startswith("text/html")
                assert is_page or answer.json.keys() & {"errcode", "flows"}, said
                after = await _digest(server)
                changed = [name for name, digest in after.items() if before.get(name) != digest]
                assert not changed, f"{changed} changed by a refused request: {said}"
            else:
                before = await _digest(server)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert used < _MOST_MEMORY + (200 << 20), f"the process took {used >> 20} MiB"


def _sendable(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if not isinstance(value, float)}
