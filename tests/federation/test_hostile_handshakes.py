"""Handshakes by a server that means ill: joins, leaves, knocks and invites that are not what they should be.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms and the sections that follow it
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.invented_room import InventedRoom
from tests.federation.stranger import Stranger
from tests.federation.test_hostile_transactions import resealed
from tests.federation.victim import Victim, push, seen
from weft.graph.build import Draft, build
from weft.protocol.event import Event, seal
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.testing import Answer, Client

V2 = "/_matrix/federation/v2"


def member(user_id: str, membership: str = "join", sender: str | None = None, **content: Any) -> Draft:
    content = {"membership": membership, **content}
    return Draft(type="m.room.member", sender=sender or user_id, state_key=user_id, content=content)


async def send(stranger: Stranger, what: str, room_id: str, event: Event, *, event_id: str | None = None) -> Answer:
    base = "" if what == "send_knock" else V2
    return await stranger.put(f"{base}/{what}/{quote(room_id)}/{quote(event_id or event.event_id)}", event.pdu)


async def joined(client: Client, room_id: str) -> set[str]:
    found = (await client.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/joined_members")).ok()
    return set(found["joined"])


async def shown_rooms(client: Client, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.sync()).get("rooms", {}).get(kind, {})
    return found


# -- templates


@pytest.mark.parametrize("what", ["make_join", "make_leave", "make_knock"])
async def test_templates_are_for_ones_own_users(victim: Victim, stranger: Stranger, alice: Client, what: str) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    users = [alice.user_id, "@bob:elsewhere.test", "@eve:stranger.test:1", "eve", "@\0:stranger.test", "@" + "x" * 254]
    async with victim.gains():
        for user_id in users:
            answer = await stranger.get(f"/{what}/{quote(room_id)}/{quote(user_id, safe='')}", ver=["10"])
            assert 400 <= answer.status < 500, (user_id, answer)
        for room in ["!unknown:weft.test", "nonsense", "!" + "x" * 300]:
            answer = await stranger.get(f"/{what}/{quote(room)}/{quote(stranger.user('eve'))}", ver=["10"])
            assert 400 <= answer.status < 500, (room, answer)
        for versions in (["1"], [], ["x" * 1000] * 100):
            answer = await stranger.get(f"/{what}/{quote(room_id)}/{quote(stranger.user('eve'))}", ver=versions)
            assert 400 <= answer.status < 500, (versions, answer)


# -- joining


async def test_joins_that_are_none(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    other = await alice.create_room(preset="public_chat", room_version="10")
    eve = stranger.user("eve")
    good = await stranger.make(room_id, member(eve))
    cases: list[tuple[str, Event]] = [
        (room_id, await stranger.make(other, member(eve))),
        (room_id, resealed(good, stranger, sender=alice.user_id, state_key=alice.user_id)),
        (room_id, resealed(good, stranger, state_key=stranger.user("mallory"))),
        (room_id, resealed(good, stranger, state_key=alice.user_id)),
        (room_id, resealed(good, stranger, content={"membership": "invite"})),
        (room_id, resealed(good, stranger, content={})),
        (room_id, resealed(good, stranger, type="m.room.name", state_key="")),
        (room_id, resealed(good, stranger, prev_events=["$made-up"])),
        (room_id, resealed(good, stranger, auth_events=["$made-up"])),
        (room_id, resealed(good, stranger, prev_events=[])),
        (other, good),
        ("!unknown:weft.test", good),
    ]
    async with victim.gains():
        for room, event in cases:
            answer = await send(stranger, "send_join", room, event)
            assert 400 <= answer.status < 500, (event, answer)
        answer = await send(stranger, "send_join", room_id, good, event_id="$other")
        assert 400 <= answer.status < 500, answer
        for body in (None, [], {}, {**good.pdu, "signatures": {}}, {**good.pdu, "hashes": {"sha256": "x"}}):
            answer = await stranger.put(f"{V2}/send_join/{quote(room_id)}/{quote(good.event_id)}", body or [])
            assert 400 <= answer.status < 500, (body, answer)
    assert await joined(alice, room_id) == {alice.user_id}
    (await send(stranger, "send_join", room_id, good)).ok()
    assert await joined(alice, room_id) == {alice.user_id, eve}


async def test_a_join_is_no_way_back_in(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """An old join, sent again after its user was put out; and one that is built on the room's past."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    eve = stranger.user("eve")
    join = await stranger.make(room_id, member(eve))
    another = await stranger.make(room_id, member(eve, displayname="again"))
    (await send(stranger, "send_join", room_id, join)).ok()
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": eve})).ok()
    for event in (join, another):
        (await send(stranger, "send_join", room_id, event)).refused(403, "M_FORBIDDEN")
        assert await joined(alice, room_id) == {alice.user_id}
    assert another.event_id not in await seen(alice, room_id)


async def test_a_join_from_before_the_room_was_closed(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    join = await stranger.make(room_id, member(stranger.user("eve")))
    await alice.set_state(room_id, "m.room.join_rules", {"join_rule": "invite"})
    (await send(stranger, "send_join", room_id, join)).refused(403, "M_FORBIDDEN")
    assert await joined(alice, room_id) == {alice.user_id}
    assert join.event_id not in await seen(alice, room_id)


@pytest.mark.parametrize("version", ["8", "10", "12"])
async def test_nobody_vouches_for_whom_the_rule_does_not_let_in(
    victim: Victim, stranger: Stranger, alice: Client, version: str
) -> None:
    club = await alice.create_room(preset="private_chat", room_version=version)
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": club}]}
    state = [{"type": "m.room.join_rules", "state_key": "", "content": rule}]
    room_id = await alice.create_room(preset="private_chat", room_version=version, initial_state=state)
    eve = stranger.user("eve")
    answer = await stranger.get(f"/make_join/{quote(room_id)}/{quote(eve)}", ver=[version])
    assert answer.status in (400, 403)
    for via in (alice.user_id, stranger.user("mallory"), "nobody", 1, None):
        event = await stranger.make(room_id, member(eve, join_authorised_via_users_server=via))
        answer = await send(stranger, "send_join", room_id, event)
        assert 400 <= answer.status < 500, (via, answer)
        assert event.event_id not in await seen(alice, room_id)
    assert await joined(alice, room_id) == {alice.user_id}


# -- leaving and knocking


async def test_leaves_that_are_none(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    friend = Stranger(victim.server, "friend.test")
    await friend.join(room_id, "bob")
    good = await stranger.make(room_id, member(stranger.user("eve"), "leave"))
    of_bob = await friend.make(room_id, member(friend.user("bob"), "leave"))
    cases = [
        of_bob,
        resealed(good, stranger, state_key=friend.user("bob")),
        resealed(good, stranger, sender=friend.user("bob"), state_key=friend.user("bob")),
        resealed(good, stranger, state_key=alice.user_id),
        resealed(good, stranger, content={"membership": "ban"}),
        await stranger.make(room_id, member(stranger.user("nobody"), "leave")),
    ]
    for event in cases:
        answer = await send(stranger, "send_leave", room_id, event)
        assert 400 <= answer.status < 500, (event, answer)
    assert await joined(alice, room_id) == {alice.user_id, stranger.user("eve"), friend.user("bob")}
    (await send(stranger, "send_leave", room_id, good)).ok()
    assert await joined(alice, room_id) == {alice.user_id, friend.user("bob")}


async def test_knocks_that_are_none(victim: Victim, stranger: Stranger, alice: Client) -> None:
    public = await alice.create_room(preset="public_chat", room_version="10")
    state = [{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]
    room_id = await alice.create_room(preset="private_chat", room_version="10", initial_state=state)
    eve = stranger.user("eve")
    good = await stranger.make(room_id, member(eve, "knock"))
    for room, event in [
        (public, await stranger.make(public, member(eve, "knock"))),
        (room_id, await stranger.make(room_id, member(eve, "join"))),
        (room_id, resealed(good, stranger, sender=alice.user_id, state_key=alice.user_id)),
        (room_id, resealed(good, stranger, state_key=alice.user_id)),
    ]:
        async with victim.gains():
            answer = await send(stranger, "send_knock", room, event)
        assert 400 <= answer.status < 500, (event, answer)
    shown = (await send(stranger, "send_knock", room_id, good)).ok()["knock_room_state"]
    assert {event["type"] for event in shown} <= {"m.room.create", "m.room.join_rules", "m.room.name"}
    (await alice.post(f"/_matrix/client/v3/rooms/{room_id}/ban", {"user_id": eve})).ok()
    again = await stranger.make(room_id, member(eve, "knock", reason="again"))
    assert (await send(stranger, "send_knock", room_id, again)).status == 403


# -- inviting


class Inviter:
    """A room on the stranger, and invites to it."""

    def __init__(self, stranger: Stranger, version: str = "10") -> None:
        self.stranger = stranger
        self.room = InventedRoom(stranger, version)

    def invite(self, user_id: str, **changes: Any) -> Event:
        event = self.room.add("m.room.member", {"membership": "invite"}, user_id)
        self.room.front = list(event.prev_events and [self.room.events[event.prev_events[0]]])
        return resealed(event, self.stranger, **changes) if changes else event

    async def send(
        self, event: Event, version: str = "10", room_id: str | None = None, body: dict[str, Any] | None = None
    ) -> Answer:
        create = self.room.after[self.room.front[-1].event_id]["m.room.create", ""]
        content = {"room_version": version, "event": event.pdu, "invite_room_state": [create.pdu], **(body or {})}
        path = f"{V2}/invite/{quote(room_id or self.room.id)}/{quote(event.event_id)}"
        return await self.stranger.put(path, content)


async def test_invites_that_are_none(victim: Victim, stranger: Stranger, alice: Client) -> None:
    inviter = Inviter(stranger)
    user_id = alice.user_id
    good = inviter.invite(user_id)
    cases = [
        inviter.invite("@nobody:weft.test"),
        inviter.invite("@bob:elsewhere.test"),
        inviter.invite("@\x7f:weft.test"),
        inviter.invite(user_id, content={"membership": "join"}),
        inviter.invite(user_id, content={}),
        inviter.invite(user_id, type="m.room.message"),
        inviter.invite(user_id, sender="@mallory:elsewhere.test"),
        inviter.invite(user_id, sender=user_id),
        inviter.invite(user_id, room_id="!other:stranger.test"),
    ]
    async with victim.gains():
        for event in cases:
            answer = await inviter.send(event)
            assert 400 <= answer.status < 500, (event, answer)
        for version in ("99", "", "1", "12"):
            assert (await inviter.send(good, version)).status == 400
        for body in (
            {"event": None},
            {"event": {}},
            {"invite_room_state": {}},
            {"event": {**good.pdu, "signatures": {}}},
        ):
            answer = await inviter.send(good, body=body)
            assert 400 <= answer.status < 500, (body, answer)
        assert (await inviter.send(good, room_id="!other:stranger.test")).status == 400
    assert await shown_rooms(alice, "invite") == {}
    answer = (await inviter.send(good)).ok()
    assert set(answer["event"]["signatures"]) == {"stranger.test", "weft.test"}
    assert set(await shown_rooms(alice, "invite")) == {inviter.room.id}


async def test_what_an_invite_shows_of_the_room_is_bounded(victim: Victim, stranger: Stranger, alice: Client) -> None:
    inviter = Inviter(stranger)
    junk: list[Any] = [None, 1, "x", {}, {"type": 1}, {"type": "m.x", "state_key": "", "sender": "@a:b", "content": 1}]
    fake = {"type": "m.room.name", "state_key": "", "sender": "@a:b", "content": {"name": "x"}}
    (await inviter.send(inviter.invite(alice.user_id), body={"invite_room_state": [*junk, *([fake] * 500)]})).ok()
    shown = (await shown_rooms(alice, "invite"))[inviter.room.id]["invite_state"]["events"]
    assert len(shown) <= 60


async def test_an_invite_that_lies_about_the_rooms_version(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """The second does not change what is known of the room by the first; and the real room is entered all the same."""
    bob = await victim.server.user("bob")
    inviter = Inviter(stranger)
    (await inviter.send(inviter.invite(alice.user_id))).ok()
    eve, version = Stranger(victim.server, "eve.test"), ROOM_VERSIONS["1"]
    lie = build(
        member(bob.user_id, "invite", eve.user("eve")),
        version=version,
        room_id=inviter.room.id,
        prev_events=[],
        auth_events=[],
        identity=eve.identity,
        now_ms=victim.server.clock(),
    )
    path = f"{V2}/invite/{quote(inviter.room.id)}/{quote(lie.event_id)}"
    body = {"room_version": "1", "event": lie.pdu, "invite_room_state": []}
    assert (await eve.put(path, body)).status == 400
    assert inviter.room.id in await shown_rooms(alice, "invite")
    assert await shown_rooms(bob, "invite") == {}
    (await alice.post(f"/_matrix/client/v3/join/{inviter.room.id}?via=stranger.test", {})).ok()


async def test_a_lie_about_the_version_that_comes_first(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room = InventedRoom(stranger)
    eve = Stranger(victim.server, "eve.test")
    lie = build(
        member(alice.user_id, "invite", eve.user("eve")),
        version=ROOM_VERSIONS["1"],
        room_id=room.id,
        prev_events=room.front,
        auth_events=room.front,
        identity=eve.identity,
        now_ms=victim.server.clock(),
    )
    path = f"{V2}/invite/{quote(room.id)}/{quote(lie.event_id, safe='')}"
    (await eve.put(path, {"room_version": "1", "event": lie.pdu, "invite_room_state": []})).ok()
    (await alice.post(f"/_matrix/client/v3/join/{room.id}?via=stranger.test", {})).ok()
    said = await alice.send(room.id, "in")
    await victim.server.restart()
    assert said in await seen(alice, room.id)
    assert room.id in await shown_rooms(alice, "join")
    for event_id in (lie.event_id, said):
        answer = await alice.get(f"/_matrix/client/v3/rooms/{room.id}/event/{quote(event_id, safe='')}")
        assert answer.status in (200, 404)


async def test_invites_to_rooms_that_we_are_in(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Such an invite is an event of the room like any other: it counts when the room's rules allow it."""
    bob = await victim.server.user("bob")
    room_id = await alice.create_room(preset="private_chat", room_version="10")
    draft = member(bob.user_id, "invite", stranger.user("eve"))
    event = await stranger.make(room_id, draft)
    path = f"{V2}/invite/{quote(room_id)}/{quote(event.event_id)}"
    async with victim.gains():
        answer = await stranger.put(path, {"room_version": "10", "event": event.pdu, "invite_room_state": []})
        assert answer.status < 500
    assert await shown_rooms(bob, "invite") == {}
    await push(stranger, event)
    assert await shown_rooms(bob, "invite") == {}
    assert event.event_id not in await seen(alice, room_id)


async def test_who_takes_back_anothers_invite(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Only the server that invited may, as long as nobody here is in the room."""
    inviter = Inviter(stranger)
    invite = inviter.invite(alice.user_id)
    (await inviter.send(invite)).ok()
    eve = Stranger(victim.server, "eve.test")
    pdu = {
        "type": "m.room.member",
        "room_id": inviter.room.id,
        "sender": eve.user("eve"),
        "state_key": alice.user_id,
        "content": {"membership": "leave"},
        "depth": 9,
        "prev_events": [invite.event_id],
        "auth_events": [],
        "origin_server_ts": 1,
    }
    others = seal(pdu, ROOM_VERSIONS["10"], eve.name, eve.key)
    joins = seal(
        {**pdu, "content": {"membership": "join"}, "sender": alice.user_id}, ROOM_VERSIONS["10"], eve.name, eve.key
    )
    async with victim.gains():
        await push(eve, others, joins)
    assert inviter.room.id in await shown_rooms(alice, "invite")


async def test_third_party_invites_that_nobody_signed(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", room_version="10")
    offer = {"display_name": "x", "public_key": "AAAA", "key_validity_url": "https://x"}
    await alice.set_state(room_id, "m.room.third_party_invite", offer, "token")
    eve = stranger.user("eve")
    signed = {"mxid": eve, "token": "token", "signatures": {"id.test": {"ed25519:0": "A" * 86}}}
    base = {"type": "m.room.member", "room_id": room_id, "sender": alice.user_id, "state_key": eve}
    async with victim.gains():
        for block in (
            None,
            1,
            {},
            {"signed": 1},
            {"signed": {**signed, "token": "other"}},
            {"signed": {**signed, "mxid": alice.user_id}},
            {"signed": {**signed, "signatures": "x"}},
            {"signed": {**signed, "signatures": {"a" * 300: {"b": "c"}}}},
            {"signed": {**signed, "x": "y" * 70_000}},
            {"signed": signed},
        ):
            content = {"membership": "invite", "third_party_invite": block}
            for event in ({**base, "content": content}, {**base, "content": content, "sender": eve}):
                answer = await stranger.put(f"/exchange_third_party_invite/{quote(room_id)}", event)
                assert 400 <= answer.status < 500, (block, answer)
    answer = await stranger.put("/3pid/onbind", {"mxid": alice.user_id, "invites": [{"x": 1}] * 1000})
    assert answer.status < 500
