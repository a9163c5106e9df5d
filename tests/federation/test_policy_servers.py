"""Rooms whose events a policy server has to sign."""

from __future__ import annotations

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import becomes, create, join, say, told
from tests.federation.test_sticky_events import look_again
from tests.modules.test_sticky_events import told as sticky_in
from weft.protocol.event import Event
from weft.server.config.errors import SettingsError
from weft.server.policing import load_hook
from weft.testing import Client, TestServer

SEND = "/_matrix/client/v3/rooms/{}/send/m.room.message/{}"


async def judge(origin: str, event: Event) -> str | None:
    """Nobody may advertise."""
    return "No advertisements." if "casino" in str(event.content.get("body", "")) else None


async def protect(owner: Client, room_id: str, judge_server: TestServer) -> None:
    """Has a server judge the room's events."""
    key = judge_server.server.engine.remote.policy.signing_key
    assert key is not None
    policy = {"via": judge_server.name, "public_keys": {"ed25519": key.verify_key.to_base64()}}
    (await owner.put(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.policy", policy)).ok()


@pytest.mark.parametrize("version", ["2", "11", "12"])
async def test_what_a_policy_server_does_not_sign_is_not_sent(servers: Kit, version: str) -> None:
    (one,) = await servers(1)
    (two,) = await servers(1, policy_server={"hook": f"{__name__}:judge"})
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, version)
    await join(bob, room_id, "one.test")
    await becomes(alice, room_id, str(bob.user_id), "join")
    await protect(alice, room_id, two)
    await say(alice, room_id, "hello")
    refused = await alice.put(SEND.format(room_id, "x"), {"msgtype": "m.text", "body": "a casino!"})
    refused.refused(400, "M_FORBIDDEN")
    assert refused.json["error"] == "No advertisements."
    await told(bob, room_id, "hello")
    # The policy server's own users are judged alike.
    (await bob.put(SEND.format(room_id, "y"), {"msgtype": "m.text", "body": "casino"})).refused(400, "M_FORBIDDEN")
    await say(bob, room_id, "hello yourself")
    for client in (alice, bob):
        await told(client, room_id, "hello", "hello yourself")


async def test_a_repeated_request_gets_the_first_answer(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1, policy_server={"hook": f"{__name__}:judge"})
    alice = await one.user("alice")
    room_id = await create(alice)
    await protect(alice, room_id, one)
    body = {"msgtype": "m.text", "body": "once"}
    first = (await alice.put(SEND.format(room_id, "same"), body)).ok()
    assert (await alice.put(SEND.format(room_id, "same"), body)).ok() == first
    await told(alice, room_id, "once")


async def not_knowing(memory_servers: MemoryKit) -> tuple[TestServer, Client, Client, str]:
    """Alice's server, she, Carol, and a room with a policy server of which Carol's server does not know yet."""
    one, two = await memory_servers(2)
    (three,) = await memory_servers(1, policy_server={"hook": f"{__name__}:judge"})
    alice, bob, carol = await one.user("alice"), await three.user("bob"), await two.user("carol")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    await join(carol, room_id, "one.test")
    await becomes(bob, room_id, str(carol.user_id), "join")
    memory_servers.network.cut("one.test", "two.test")
    await protect(alice, room_id, three)
    return one, alice, carol, room_id


async def test_what_comes_unsigned_is_not_shown(memory_servers: MemoryKit) -> None:
    _, alice, carol, room_id = await not_knowing(memory_servers)
    await say(carol, room_id, "come to my casino")
    await say(carol, room_id, "just saying hello")
    # The policy server signs what it has nothing against, whoever asks.
    await told(alice, room_id, "just saying hello")


async def test_what_it_turned_down_is_not_sticky_either(memory_servers: MemoryKit) -> None:
    one, alice, carol, room_id = await not_knowing(memory_servers)
    sticky = {"org.matrix.msc4354.sticky_duration_ms": 600_000}
    advertisement = {"msgtype": "m.text", "body": "come to my casino"}
    (await carol.put(SEND.format(room_id, "x"), advertisement, **sticky)).ok()
    for number in range(12):
        await say(carol, room_id, f"just saying hello {number}")
    await told(alice, room_id, *(f"just saying hello {number}" for number in range(12)))
    await look_again(one)
    assert sticky_in(await alice.sync(), room_id) == []
    assert len(sticky_in(await carol.sync(), room_id)) == 1


async def test_a_room_that_does_not_ask_us(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    policy = {"via": "one.test", "public_keys": {"ed25519": "no key at all"}}
    (await alice.put(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.policy", policy)).ok()
    await say(bob, room_id, "a key that is none protects nothing")
    await told(alice, room_id, "a key that is none protects nothing")


@pytest.mark.parametrize("name", ["", "no.such.module:judge", f"{__name__}:nothing", "os:name"])
def test_hooks_that_are_none(name: str) -> None:
    with pytest.raises(SettingsError):
        load_hook(name)
