"""Every endpoint, asked for all kinds of nonsense: never a 5xx, and what is refused has changed nothing.

`WEFT_FUZZ_ROUNDS` sets how many requests each endpoint gets; `WEFT_SEED` chooses the course.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.fuzz.generate import Generator, World
from tests.fuzz.tables import differences, digest
from tests.modules.pictures import picture
from tests.watching import OAUTH_ERRORS
from weft.protocol.api import client, synapse_admin
from weft.testing import Client, TestServer

ROUNDS = int(os.environ.get("WEFT_FUZZ_ROUNDS", "25"))
SEED = int(os.environ.get("WEFT_SEED", "1"))
#: What a refused request may write: that somebody was here, and that somebody began to prove who they are. Typing
#: and presence end by themselves, and the log says so. A server that did not answer is remembered.
MAY_CHANGE = (
    "behind_destinations",
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
    # Made anew when somebody lists rooms.
    "room_overviews",
)
_MOST_MEMORY = 400 << 20
ENDPOINTS = (*client.ENDPOINTS, *synapse_admin.ENDPOINTS)
#: After these there might be nobody left to ask the rest, or something goes on while the next are asked.
LEFT_OUT = frozenset(
    {
        "logout",
        "logout_all",
        "deactivateAccount",
        "putUser",
        "deactivateUser",
        "resetUserPassword",
        "deleteUserDevice",
        "deleteUserDevices",
        "deleteRoomV2",
        "purgeHistory",
        "redactUser",
    }
)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    settings = {"registration": {"mode": "open", "guests": True}, "server": {"public_url": "https://weft.test"}}
    made = TestServer(tmp_path, settings=settings)
    await made.start()
    # An event that is sent later would be sent in the middle of other requests.
    for running in asyncio.all_tasks():
        if running.get_name() == "delayed events":
            running.cancel()
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
            "device_id": [alice.device_id, bob.device_id, "DEV"],
            "messages": [alice.user_id, bob.user_id, "@far:elsewhere.example", "*", bob.device_id],
            "signed": [alice.user_id, bob.user_id, alice.device_id],
            "sessionId": ["session"],
            "version": ["1", "2"],
            "url": ["https://elsewhere.example/", "http://127.0.0.1/"],
            "serverName": ["weft.test", "elsewhere.example"],
            "mediaId": [await _media(alice), await _media(bob, b"not a picture")],
            "algorithm": ["m.megolm_backup.v1.curve25519-aes-sha2"],
        },
        _samples(alice, bob),
    )


async def _media(who: Client, content: bytes | None = None) -> str:
    """The id of an upload."""
    headers = {"content-type": "image/png"}
    body = picture((400, 300)) if content is None else content
    made = await who.request("POST", "/_matrix/media/v3/upload", body=body, headers=headers)
    return str(made.ok()["content_uri"].rpartition("/")[2])


def _samples(alice: Client, bob: Client) -> dict[str, list[Any]]:
    """Keys as clients upload, ask for, back up and sign them."""
    signed = {"signatures": {alice.user_id: {f"ed25519:{alice.device_id}": "A" * 86}}}
    keys = {
        "user_id": alice.user_id,
        "device_id": alice.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{alice.device_id}": "A" * 43, f"curve25519:{alice.device_id}": "B" * 43},
        **signed,
    }
    dehydrated = {**keys, "device_id": "DEV", "keys": {"ed25519:DEV": "A" * 43}}
    session = {"first_message_index": 1, "forwarded_count": 0, "is_verified": True, "session_data": {"ciphertext": "x"}}
    room = {"sessions": {"session": session}}

    def signing(usage: str) -> dict[str, Any]:
        return {"user_id": alice.user_id, "usage": [usage], "keys": {"ed25519:" + "A" * 43: "A" * 43}, **signed}

    return {
        "device_keys": [keys, dehydrated, {bob.user_id: []}, {alice.user_id: [alice.device_id]}],
        "one_time_keys": [
            {"signed_curve25519:AAAA": {"key": "C" * 43, **signed}},
            {alice.user_id: {alice.device_id: "signed_curve25519"}},
        ],
        "fallback_keys": [{"signed_curve25519:BBBB": {"key": "D" * 43, "fallback": True, **signed}}],
        "master_key": [signing("master")],
        "self_signing_key": [signing("self_signing")],
        "user_signing_key": [signing("user_signing")],
        "signed": [{alice.user_id: {alice.device_id: keys}}],
        "messages": [{bob.user_id: {"*": {"a": 1}, bob.device_id: {}}}],
        "rooms": [{"!a:weft.test": room}],
        "sessions": [room["sessions"]],
        "session_data": [session["session_data"]],
        "auth_data": [{"public_key": "A" * 43, **signed}],
        "device_data": [{"algorithm": "org.matrix.msc3814.v1.olm", "device_pickle": "x"}],
    }


@pytest.mark.parametrize("part", range(8))
async def test_no_request_breaks_the_server_and_refused_ones_change_nothing(server: TestServer, part: int) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    generator = Generator(SEED * 1000 + part, await _world(alice, bob))
    stranger = server.client()
    before = await digest(server, MAY_CHANGE)
    for number, endpoint in enumerate(ENDPOINTS):
        if number % 8 != part or endpoint.operation_id in LEFT_OUT:
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
                is_oauth = endpoint.operation_id in OAUTH_ERRORS
                assert is_page or answer.json.keys() & {"error" if is_oauth else "errcode", "flows"}, said
                after = await digest(server, MAY_CHANGE)
                changed = differences(before, after)
                assert not changed, f"{changed} changed by a refused request: {said}"
            else:
                # What nobody waits for is written after the answer; it is before this in the queue of writes.
                await server.server.engine.database.write(lambda tx: None)
                before = await digest(server, MAY_CHANGE)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert used < _MOST_MEMORY + (200 << 20), f"the process took {used >> 20} MiB"


def _sendable(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if not isinstance(value, float)}
