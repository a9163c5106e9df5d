"""Conversations between people of several servers, as they would have them."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import becomes, create, eventually, invited, join, say, told
from weft.federation.transport import OutgoingRequest
from weft.testing import Answer

VERSIONS = [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_two_people_talk(servers: Kit, version: str) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, version)
    await say(alice, room_id, "before")
    await join(bob, room_id, "one.test")
    await say(bob, room_id, "hello from two")
    await told(alice, room_id, "before", "hello from two")
    await say(alice, room_id, "hello from one")
    for client in (alice, bob):
        await told(client, room_id, "before", "hello from two", "hello from one")
        for user in (alice, bob):
            await becomes(client, room_id, str(user.user_id), "join")


@pytest.mark.parametrize("version", ["1", "6", "10", "12"])
async def test_an_invite_is_accepted(servers: Kit, version: str) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, version, preset="private_chat", name="Tea", invite=[bob.user_id])
    shown = await invited(bob, room_id)
    state = {event["type"]: event for event in shown["invite_state"]["events"]}
    assert state["m.room.name"]["content"] == {"name": "Tea"}
    assert "m.room.create" in state
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/join", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "join")
    await say(bob, room_id, "thanks")
    await told(alice, room_id, "thanks")


@pytest.mark.parametrize("version", ["6", "12"])
async def test_who_was_invited_sees_what_was_said_before_and_since(servers: Kit, version: str) -> None:
    """The invite was all that Bob's server knew of the room; what is said after it is not judged by that."""
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, version, preset="private_chat")
    await say(alice, room_id, "before")
    await alice.invite(room_id, bob.user_id)
    await invited(bob, room_id)
    await say(alice, room_id, "since")
    await bob.join(room_id)
    await say(bob, room_id, "hello")
    await told(bob, room_id, "before", "since", "hello")
    found = (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/messages", dir="b", limit=100)).ok()["chunk"]
    assert found[-1]["type"] == "m.room.create"
    members = [event["content"]["membership"] for event in found if event.get("state_key") == bob.user_id]
    assert members == ["join", "invite"]


@pytest.mark.parametrize("version", ["6", "12"])
async def test_an_invite_is_turned_down_and_another_taken_back(servers: Kit, version: str) -> None:
    one, two, three = await servers(3)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await create(alice, version, preset="private_chat", invite=[bob.user_id, carol.user_id])
    await invited(bob, room_id)
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/leave", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "leave")
    await invited(carol, room_id)
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", {"user_id": carol.user_id})).ok()

    async def is_gone() -> bool:
        rooms = (await carol.get("/_matrix/client/v3/sync")).ok().get("rooms", {})
        return room_id not in rooms.get("invite", {})

    await eventually(is_gone)


@pytest.mark.parametrize("version", ["7", "12"])
async def test_a_knock_is_answered(servers: Kit, version: str) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    rules = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room_id = await create(alice, version, preset="private_chat", initial_state=[rules])
    (await bob.post(f"/_matrix/client/v3/knock/{room_id}?via=one.test", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "knock")
    rooms = (await bob.get("/_matrix/client/v3/sync")).ok()["rooms"]
    assert "m.room.create" in {event["type"] for event in rooms["knock"][room_id]["knock_state"]["events"]}
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/invite", {"user_id": bob.user_id})).ok()
    await invited(bob, room_id)
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/join", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "join")


async def test_three_servers_and_who_is_put_out(servers: Kit) -> None:
    one, two, three = await servers(3)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    await join(carol, room_id, "two.test")
    await becomes(alice, room_id, str(carol.user_id), "join")
    await say(carol, room_id, "hello")
    await told(alice, room_id, "hello")
    await told(bob, room_id, "hello")
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": carol.user_id})).ok()
    await becomes(bob, room_id, str(carol.user_id), "ban")

    async def is_out() -> bool:
        joined: list[str] = (await carol.get("/_matrix/client/v3/joined_rooms")).ok()["joined_rooms"]
        return room_id not in joined

    await eventually(is_out)
    path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/x"
    assert (await carol.put(path, {"msgtype": "m.text", "body": "still here?"})).status == 403


@pytest.mark.parametrize("version", ["8", "12"])
async def test_a_restricted_room(servers: Kit, version: str) -> None:
    one, two, three = await servers(3)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    club = await create(alice, version)
    allow = [{"type": "m.room_membership", "room_id": club}]
    rules = {
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {"join_rule": "restricted", "allow": allow},
    }
    room_id = await create(alice, version, preset="private_chat", initial_state=[rules])
    assert (await bob.post(f"/_matrix/client/v3/join/{room_id}?via=one.test", {})).status == 403
    await join(bob, club, "one.test")
    await join(bob, room_id, "one.test")
    await becomes(alice, room_id, str(bob.user_id), "join")
    # Nobody of two.test may invite, so it can't let anybody in; one.test, which is asked next, can.
    await join(carol, club, "one.test")
    await becomes(bob, club, str(carol.user_id), "join")
    (await carol.post(f"/_matrix/client/v3/join/{room_id}?via=two.test&via=one.test", {})).ok()
    await becomes(bob, room_id, str(carol.user_id), "join")


async def test_a_server_that_was_away_catches_up(memory_servers: Kit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    await two.stop()
    said = [f"message {number}" for number in range(30)]
    for text in said:
        await say(alice, room_id, text)
    await asyncio.sleep(0.3)
    await two.start()
    one.clock.advance(3600)
    await told(bob, room_id, *said)
    await say(bob, room_id, "I am back")
    await told(alice, room_id, *said, "I am back")


async def test_the_past_is_fetched_when_somebody_reads_so_far(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    said = [f"message {number}" for number in range(150)]
    for text in said:
        await say(alice, room_id, text)
    await join(bob, room_id, "one.test")
    found: list[str] = []
    token = ""
    for _ in range(20):
        page = (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=40{token}")).ok()
        found += [event["content"]["body"] for event in page["chunk"] if event["type"] == "m.room.message"]
        if "end" not in page:
            break
        token = f"&from={page['end']}"
    assert found[::-1] == said


async def test_sync_says_where_the_past_is_elsewhere(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await say(alice, room_id, "long ago")
    since = (await bob.get("/_matrix/client/v3/sync")).ok()["next_batch"]
    await join(bob, room_id, "one.test")
    synced = (await bob.get(f"/_matrix/client/v3/sync?since={since}")).ok()["rooms"]["join"][room_id]
    timeline = synced["timeline"]
    assert timeline["limited"]
    assert [event["type"] for event in timeline["events"]] == ["m.room.member"]
    before = f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&from={timeline['prev_batch']}"
    page = (await bob.get(before)).ok()["chunk"]
    assert page[0]["content"]["body"] == "long ago"
    assert page[-1]["type"] == "m.room.create"


async def test_what_was_said_at_a_time_before_one_joined(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await say(alice, room_id, "first")
    memory_servers.clock.advance(3600)
    wanted = await say(alice, room_id, "in the middle")
    middle = (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/event/{wanted}")).ok()["origin_server_ts"]
    memory_servers.clock.advance(3600)
    await say(alice, room_id, "last")
    await join(bob, room_id, "one.test")
    asked = f"/_matrix/client/v1/rooms/{room_id}/timestamp_to_event?ts={middle - 1000}&dir=f"
    assert (await bob.get(asked)).ok()["event_id"] == wanted
    event = (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/event/{wanted}")).ok()
    assert event["content"]["body"] == "in the middle"


async def test_leaving_and_coming_back(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/leave", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "leave")
    await say(alice, room_id, "while bob is out")
    (await alice.put(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.topic", {"topic": "news"})).ok()
    await join(bob, room_id, "one.test")
    topic = (await bob.get(f"/_matrix/client/v3/rooms/{room_id}/state/m.room.topic")).ok()
    assert topic["topic"] == "news"
    await say(bob, room_id, "back")
    await told(alice, room_id, "while bob is out", "back")
    await told(bob, room_id, "while bob is out", "back")


async def test_typing_receipts_and_presence(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    event_id = await say(alice, room_id, "read this")
    await told(bob, room_id, "read this")
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/receipt/m.read/{event_id}", {})).ok()
    (await bob.put(f"/_matrix/client/v3/rooms/{room_id}/typing/{bob.user_id}", {"typing": True})).ok()
    status = {"presence": "online", "status_msg": "here"}
    (await bob.put(f"/_matrix/client/v3/presence/{bob.user_id}/status", status)).ok()

    async def is_told() -> bool:
        answer = (await alice.get("/_matrix/client/v3/sync")).ok()
        ephemeral = {e["type"]: e["content"] for e in answer["rooms"]["join"][room_id]["ephemeral"]["events"]}
        presence = {e["sender"]: e["content"] for e in answer.get("presence", {}).get("events", [])}
        return (
            ephemeral.get("m.typing", {}).get("user_ids") == [bob.user_id]
            and bob.user_id in ephemeral.get("m.receipt", {}).get(event_id, {}).get("m.read", {})
            and presence.get(str(bob.user_id), {}).get("status_msg") == "here"
        )

    await eventually(is_told)


async def _old_paths_only(request: OutgoingRequest) -> Answer | None:
    """A network of servers that know the first form of the handshakes alone."""
    if "/v2/" not in request.uri or "/key/" in request.uri:
        return None
    return Answer(404, {"content-type": "application/json"}, b'{"errcode":"M_UNRECOGNIZED","error":"?"}')


async def test_servers_that_know_the_old_handshakes_only(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    memory_servers.network.on_request.append(_old_paths_only)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, "2", preset="private_chat", name="Old", invite=[bob.user_id])
    shown = await invited(bob, room_id)
    assert "m.room.name" in {event["type"] for event in shown["invite_state"]["events"]}
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/leave", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "leave")
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/invite", {"user_id": bob.user_id})).ok()
    await invited(bob, room_id)
    (await bob.post(f"/_matrix/client/v3/rooms/{room_id}/join", {})).ok()
    await becomes(alice, room_id, str(bob.user_id), "join")


async def test_an_address_was_invited(servers: Kit) -> None:
    """Bob shows by an identity server's signature that the address is his; Alice's server makes the invite of it.

    It asks that server whether the key by which it signed is still good.
    """
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, preset="private_chat")
    identity_server = await servers.identity_server()
    await alice.set_state(room_id, "m.room.third_party_invite", identity_server.offer, "token")
    signed = identity_server.sign(mxid=bob.user_id, sender=alice.user_id, token="token")
    join_ = f"/_matrix/client/v3/rooms/{room_id}/join"
    identity_server.is_valid = False
    (await bob.post(join_, {"third_party_signed": signed})).refused(403, "M_FORBIDDEN")
    identity_server.is_valid = True
    (await bob.post(join_, {"third_party_signed": signed})).ok()
    await becomes(alice, room_id, str(bob.user_id), "join")
    assert set(identity_server.asked) == {identity_server.offer["public_key"]}


async def test_who_waits_in_sync_is_told_of_an_invite_and_of_its_end(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    since = (await bob.sync())["next_batch"]
    waiting = asyncio.create_task(bob.sync(since, timeout=20_000))
    room_id = await alice.create_room(invite=[bob.user_id], name="Come in")
    response = await waiting
    while room_id not in response.get("rooms", {}).get("invite", {}):
        response = await bob.sync(response["next_batch"], timeout=20_000)
    shown = {event["type"]: event for event in response["rooms"]["invite"][room_id]["invite_state"]["events"]}
    assert shown["m.room.name"]["content"] == {"name": "Come in"}
    assert shown["m.room.member"]["content"]["membership"] == "invite"
    kicked = {"user_id": bob.user_id, "reason": "sorry"}
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/kick", kicked)).ok()
    while room_id not in response.get("rooms", {}).get("leave", {}):
        response = await bob.sync(response["next_batch"], timeout=20_000)


async def test_an_invite_is_accepted_between_two_syncs(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    first = (await bob.sync())["next_batch"]
    room_id = await alice.create_room(invite=[bob.user_id])
    await invited(bob, room_id)
    (await bob.post(f"/_matrix/client/v3/join/{room_id}")).ok()
    told: list[str] = []
    response = await bob.sync(first)
    while room_id not in response["rooms"].get("join", {}):
        response = await bob.sync(response["next_batch"], timeout=20_000)
    section = response["rooms"]["join"][room_id]
    told = [
        event["event_id"] for event in [*section.get("state", {}).get("events", []), *section["timeline"]["events"]]
    ]
    assert len(set(told)) == len(told), "nothing twice"
    assert section["timeline"]["events"][-1]["content"]["membership"] == "join"


async def test_whose_invites_somebody_does_not_want(memory_servers: MemoryKit) -> None:
    """Their server says so, and the other one passes it on."""
    one, two = await memory_servers(2)
    alice, eve, bob = await one.user("alice"), await one.user("eve"), await two.user("bob")
    data = f"/_matrix/client/v3/user/{bob.user_id}/account_data/org.matrix.msc4155.invite_permission_config"
    (await bob.put(data, {"blocked_servers": ["one.test"], "allowed_users": [alice.user_id]})).ok()
    path = f"/_matrix/client/v3/rooms/{quote(await create(eve))}/invite"
    (await eve.post(path, {"user_id": bob.user_id})).refused(403, "M_INVITE_BLOCKED")
    await alice.invite(await create(alice), str(bob.user_id))
