"""Every endpoint that servers have for each other, asked for all kinds of nonsense by a server whose signature is good.

Never a 5xx, and what is refused has changed nothing. `WEFT_FUZZ_ROUNDS` and `WEFT_SEED` as in `test_endpoints`.
"""

from __future__ import annotations

import resource
from urllib.parse import urlencode

import pytest

from tests.federation.invented_room import InventedRoom
from tests.federation.stranger import Stranger
from tests.federation.test_hostile_handshakes import member
from tests.federation.victim import Victim
from tests.fuzz.generate import World
from tests.fuzz.generate_federation import FederationGenerator
from tests.fuzz.tables import differences, digest
from tests.fuzz.test_endpoints import ROUNDS, SEED, server
from weft.graph.build import Draft
from weft.protocol.api.federation import ENDPOINTS
from weft.protocol.event import Event
from weft.testing import Client, TestServer

__all__ = ["server"]

#: What a request may write that is refused: who is there, their keys, and that events were fetched in vain; and what
#: followers and workers do in their own time.
MAY_CHANGE = (
    "behind_destinations",
    "destinations",
    "followers",
    "history_blocks",
    "leases",
    "log",
    "presence",
    "server_key",
    "transaction_ids",
    "typing",
    "user_directory",
)
_MOST_MEMORY = 600 << 20


async def _world(alice: Client, stranger: Stranger) -> tuple[World, list[str]]:
    public = await alice.create_room(
        preset="public_chat", room_version="10", room_alias_name="fuzzed", visibility="public"
    )
    old = await alice.create_room(preset="public_chat", room_version="1")
    newest = await alice.create_room(preset="public_chat", room_version="12")
    closed = await alice.create_room(preset="private_chat", room_version="11")
    knockable = await alice.create_room(preset="private_chat", room_version="10")
    await alice.set_state(knockable, "m.room.join_rules", {"join_rule": "knock"})
    for room_id in (public, old):
        await stranger.join(room_id)
    rooms = [public, old, newest, closed, knockable]
    said = [await alice.send(room_id) for room_id in rooms]
    keys = {
        "device_id": alice.device_id,
        "user_id": alice.user_id,
        "algorithms": [],
        "keys": {f"ed25519:{alice.device_id}": "A" * 43},
        "signatures": {},
    }
    (await alice.post("/_matrix/client/v3/keys/upload", {"device_keys": keys})).ok()
    users = [alice.user_id, stranger.user("eve"), "@nobody:weft.test", "@far:elsewhere.example"]
    known = {
        "roomId": [*rooms, "!unknown:weft.test", "!unknown:stranger.test"],
        "room_alias": ["#fuzzed:weft.test", "#free:weft.test"],
        "userId": users,
        "user_id": users,
        "mxid": users,
        "sender": users,
        "eventId": [*said, "$unknown"],
        "event_id": [*said, "$unknown"],
        "v": said,
        "earliest_events": [*said, "$unknown"],
        "latest_events": [*said, "$unknown"],
        "ver": ["1", "10", "11", "12"],
        "room_version": ["1", "10", "11", "12"],
        "serverName": ["weft.test", "stranger.test", "elsewhere.example"],
        "server_keys": ["weft.test", "stranger.test", "elsewhere.example"],
        "keyId": ["ed25519:a"],
        "dir": ["f", "b"],
        "device_keys": users,
        "one_time_keys": users,
        "origin": ["stranger.test", "weft.test"],
        "medium": ["email"],
        "txnId": [f"t{number}" for number in range(100_000)],
    }
    return World(known), rooms


async def _events(stranger: Stranger, rooms: list[str], alice: Client) -> list[Event]:
    """Events that the server may get to see, each about something else."""
    eve, mallory = stranger.user("eve"), stranger.user("mallory")
    drafts = [
        *(member(user_id, how) for user_id in (eve, mallory) for how in ("join", "knock", "leave")),
        member(alice.user_id, "invite", sender=eve),
        Draft(type="m.room.message", sender=eve, content={"msgtype": "m.text", "body": "hello"}),
        Draft(type="m.room.power_levels", sender=eve, content={"users": {eve: 100}}, state_key=""),
    ]
    made = [await stranger.make(room_id, draft) for room_id in rooms for draft in drafts]
    for version in ("6", "10", "12"):
        room = InventedRoom(stranger, version=version)
        made.append(room.add("m.room.member", {"membership": "invite"}, state_key=alice.user_id))
    return made


@pytest.mark.parametrize("part", range(8))
async def test_no_server_breaks_ours_and_refused_requests_change_nothing(server: TestServer, part: int) -> None:
    victim, stranger = Victim(server), Stranger(server)
    alice = await server.user("alice")
    world, rooms = await _world(alice, stranger)
    generator = FederationGenerator(SEED * 1000 + 500 + part, world, stranger.name, stranger.key)
    for number, endpoint in enumerate(ENDPOINTS):
        if number % 8 != part:
            continue
        generator.events = await _events(stranger, rooms, alice)
        await victim.settled()
        before = await digest(server, MAY_CHANGE)
        for _ in range(ROUNDS):
            made = generator.request(endpoint)
            path = f"{made.path}?{urlencode(made.query, doseq=True)}" if made.query else made.path
            answer = await stranger.raw(endpoint.method, path, made.body or b"")
            await victim.settled()
            said = (
                f"{endpoint.method} {path[:500]} {(made.body or b'')[:1500]!r} → {answer.status} {answer.body[:300]!r}"
            )
            # That another server can't be reached is no fault of this one.
            assert answer.status < 500 or answer.status in (502, 504), said
            after = await digest(server, MAY_CHANGE)
            if answer.status >= 400:
                assert "errcode" in answer.json, said
                changed = differences(before, after)
                assert not changed, f"{changed} changed by a refused request: {said}"
            before = after
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert used < _MOST_MEMORY, f"the process took {used >> 20} MiB"
