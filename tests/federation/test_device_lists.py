"""Devices of people on other servers: whose keys one asks for, and that every change of them arrives.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.kit import Kit, MemoryKit
from tests.federation.people import becomes as member_is
from tests.federation.people import create, eventually, join, membership, say
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push
from tests.modules.encryption import V3, Identity, Keys, claim, query, sign
from tests.modules.test_device_lists import Tracker, lists, now
from weft.federation.sender import cursor_name
from weft.federation.transport import OutgoingRequest
from weft.protocol.errors import Unreachable
from weft.storage.followers import cursor
from weft.testing import Answer, Client, TestServer

EVE = "@eve:stranger.test"


class Pair:
    """Alice on one server and Bob on another, who share a room."""

    def __init__(self, servers: Sequence[TestServer], alice: Client, bob: Client, room_id: str) -> None:
        self.one, self.two = servers
        self.alice, self.bob, self.room_id = alice, bob, room_id

    @classmethod
    async def on(cls, kit: Kit, **settings: Any) -> Pair:
        one, two = await kit(2, **settings)
        alice, bob = await one.user("alice"), await two.user("bob", initial_device_display_name="Phone")
        room_id = await create(alice)
        await join(bob, room_id, one.name)
        return cls((one, two), alice, bob, room_id)


async def devices_of(client: Client, user_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await query(client, user_id))["device_keys"].get(user_id, {})
    return found


async def hears(client: Client, since: str, user_id: str) -> str:
    """Waits until a client is told that somebody's devices have changed; the next token."""
    token = since

    async def told() -> bool:
        nonlocal token
        response = await client.sync(token)
        token = response["next_batch"]
        return user_id in lists(response)[0]

    await eventually(told)
    return token


async def becomes(client: Client, user_id: str, *wanted: Client) -> None:
    async def is_so() -> bool:
        return set(await devices_of(client, user_id)) == {one.device_id for one in wanted}

    await eventually(is_so)


async def test_keys_are_asked_for_and_claimed(servers: Kit) -> None:
    pair = await Pair.on(servers)
    keys, identity = Keys(pair.bob), Identity(pair.bob.user_id)
    await keys.upload(2, fallback_keys=keys.fallback())
    await identity.upload(pair.bob)
    found = await query(pair.alice, pair.bob.user_id)
    # The name of the device stays at home.
    assert found["device_keys"] == {pair.bob.user_id: {pair.bob.device_id: keys.device()}}
    assert found["master_keys"] == {pair.bob.user_id: identity.key("master")}
    assert found["self_signing_keys"] == {pair.bob.user_id: identity.key("self_signing")}
    assert (found["user_signing_keys"], found["failures"]) == ({}, {})
    given = [(await claim(pair.alice, pair.bob))[pair.bob.device_id] for _ in range(4)]
    names = [name for one in given for name in one]
    assert names == ["signed_curve25519:000001", "signed_curve25519:000002", *["signed_curve25519:F1"] * 2]


async def test_people_with_whom_no_room_is_shared(servers: Kit) -> None:
    pair = await Pair.on(servers)
    carol = await pair.two.user("carol", initial_device_display_name="Phone")
    keys, identity = Keys(carol), Identity(carol.user_id)
    await keys.upload()
    await identity.upload(carol)
    for _ in range(2):
        found = await query(pair.alice, carol.user_id, "@absent:two.test")
        assert found["device_keys"] == {carol.user_id: {carol.device_id: keys.device()}, "@absent:two.test": {}}
        assert found["master_keys"] == {carol.user_id: identity.key("master")}
    # Of them nothing is kept.
    await carol.post(f"{V3}/logout")
    assert await devices_of(pair.alice, carol.user_id) == {}


async def test_names_of_devices_are_told_where_that_is_wanted(servers: Kit) -> None:
    pair = await Pair.on(servers, federation={"device_names": True})
    keys = Keys(pair.bob)
    await keys.upload()
    carol = await pair.two.user("carol", initial_device_display_name="Tablet")
    await Keys(carol).upload()
    for who, name in ((pair.bob, "Phone"), (carol, "Tablet")):
        found = await devices_of(pair.alice, who.user_id)
        assert found[who.device_id]["unsigned"] == {"device_display_name": name}
    (await pair.bob.put(f"{V3}/devices/{pair.bob.device_id}", {"display_name": "Old phone"})).ok()

    async def is_renamed() -> bool:
        device = (await devices_of(pair.alice, pair.bob.user_id))[pair.bob.device_id]
        return bool(device == keys.device() | {"unsigned": {"device_display_name": "Old phone"}})

    await eventually(is_renamed)


async def test_changes_arrive(servers: Kit) -> None:
    pair = await Pair.on(servers)
    alice, bob = pair.alice, pair.bob
    await Keys(bob).upload()
    await becomes(alice, bob.user_id, bob)
    since = await now(alice)
    other = await pair.two.login("bob")
    since = await hears(alice, since, bob.user_id)
    await Keys(other).upload()
    since = await hears(alice, since, bob.user_id)
    await becomes(alice, bob.user_id, bob, other)
    (await other.post(f"{V3}/logout")).ok()
    await hears(alice, since, bob.user_id)
    await becomes(alice, bob.user_id, bob)


async def test_who_is_followed_is_not_asked_for_again(memory_servers: MemoryKit) -> None:
    pair = await Pair.on(memory_servers)
    asked: list[str] = []

    async def note(request: OutgoingRequest) -> Answer | None:
        if "/user/" in request.uri:
            asked.append(request.uri)
        return None

    memory_servers.network.on_request.append(note)
    await Keys(pair.bob).upload()
    await becomes(pair.alice, pair.bob.user_id, pair.bob)
    other = await pair.two.login("bob")
    await Keys(other).upload()
    await becomes(pair.alice, pair.bob.user_id, pair.bob, other)
    # A list that was asked for may overtake updates that are on their way; then it is asked for once more.
    await eventually(lambda: _has_sent_everything(pair.two))
    await becomes(pair.alice, pair.bob.user_id, pair.bob, other)
    asked.clear()
    (await other.post(f"{V3}/logout")).ok()
    await becomes(pair.alice, pair.bob.user_id, pair.bob)
    assert asked == []


async def _has_sent_everything(server: TestServer) -> bool:
    """Whether other servers have all that the log holds by now."""
    engine = server.server.engine
    sent = await engine.database.read(cursor, "sender/0")
    return sent.covers(engine.log.head)


async def test_cross_signing_between_servers(servers: Kit) -> None:
    pair = await Pair.on(servers)
    alice, bob = pair.alice, pair.bob
    keys, his, hers = Keys(bob), Identity(bob.user_id), Identity(alice.user_id)
    await keys.upload()
    await becomes(alice, bob.user_id, bob)
    since = await now(alice)
    await his.upload(bob)
    since = await hears(alice, since, bob.user_id)
    found = await query(alice, bob.user_id)
    assert found["master_keys"] == {bob.user_id: his.key("master")}
    assert found["self_signing_keys"] == {bob.user_id: his.key("self_signing")}
    signed = his.sign(keys.device(), "self_signing")
    assert await sign(bob, bob.user_id, bob.device_id, signed) == {}
    both = keys.device()["signatures"][bob.user_id] | signed["signatures"][bob.user_id]

    async def is_signed() -> bool:
        device = (await devices_of(alice, bob.user_id))[bob.device_id]
        return bool(device["signatures"] == {bob.user_id: both})

    await eventually(is_signed)
    # Whom Alice has signed is hers to know.
    await hers.upload(alice)
    verified = hers.sign(his.key("master"), "user_signing")
    assert await sign(alice, bob.user_id, his.public("master"), verified) == {}
    assert (await query(alice, bob.user_id))["master_keys"][bob.user_id] == verified
    assert (await query(bob, bob.user_id))["master_keys"][bob.user_id] == his.key("master")


async def test_a_server_that_was_away(memory_servers: MemoryKit) -> None:
    pair = await Pair.on(memory_servers)
    alice, bob, identity = pair.alice, pair.bob, Identity(pair.bob.user_id)
    await Keys(bob).upload()
    await becomes(alice, bob.user_id, bob)
    since = await now(alice)
    await pair.one.stop()
    others = [await pair.two.login("bob") for _ in range(3)]
    for other in others:
        await Keys(other).upload()
    (await others[0].post(f"{V3}/logout")).ok()
    await identity.upload(bob)
    await memory_servers.network.settle()
    await pair.two.restart()
    await pair.one.start()
    memory_servers.clock.advance(3_600)
    await bob.send(pair.room_id)
    await hears(alice, since, bob.user_id)
    await becomes(alice, bob.user_id, bob, *others[1:])
    assert (await query(alice, bob.user_id))["master_keys"] == {bob.user_id: identity.key("master")}


async def test_who_comes_back_is_looked_at_anew(memory_servers: MemoryKit) -> None:
    pair = await Pair.on(memory_servers)
    alice, bob = pair.alice, pair.bob
    await Keys(bob).upload()
    await becomes(alice, bob.user_id, bob)
    since = await now(alice)
    await bob.leave(pair.room_id)

    async def is_left() -> bool:
        return bob.user_id in lists(await alice.sync(since))[1]

    await eventually(is_left)
    other = await pair.two.login("bob")
    await Keys(other).upload()
    await join(bob, pair.room_id, pair.one.name)
    since = await hears(alice, since, bob.user_id)
    assert set(await devices_of(alice, bob.user_id)) == {bob.device_id, other.device_id}


async def test_a_way_back_that_was_lost_does_not_count(memory_servers: MemoryKit) -> None:
    """Alice's server never heard that she is in the room again; it has not followed anybody since she left."""
    pair = await Pair.on(memory_servers)
    alice, bob = pair.alice, pair.bob
    await Keys(bob).upload()
    await eventually(lambda: _has_sent_everything(pair.two))
    await becomes(alice, bob.user_id, bob)
    await alice.leave(pair.room_id)
    await member_is(bob, pair.room_id, alice.user_id, "leave")

    def lose(request: OutgoingRequest, answer: Answer) -> None:
        if "/send_join/" in request.uri and answers_are_lost:
            raise Unreachable("the answer is lost")
        if b"m.device_list_update" in (request.body or b""):
            told.append(request.body or b"")

    told: list[bytes] = []
    answers_are_lost = True

    memory_servers.network.on_answer.append(lose)
    assert (await alice.post(f"{V3}/join/{quote(pair.room_id)}?via={pair.two.name}", {})).status == 502
    answers_are_lost = False
    other = await pair.two.login("bob")
    await Keys(other).upload()

    async def is_told() -> bool:
        return any(b'"curve25519:' in body for body in told)

    await eventually(is_told)
    carol = await pair.one.user("carol")
    memory_servers.clock.advance(3600)
    await join(carol, pair.room_id, pair.two.name)
    await becomes(carol, bob.user_id, bob, other)


async def test_a_server_that_does_not_answer_is_a_failure(memory_servers: MemoryKit) -> None:
    pair = await Pair.on(memory_servers)
    await Keys(pair.bob).upload()
    await pair.two.stop()
    found = await query(pair.alice, pair.bob.user_id, timeout=2_000)
    assert list(found["failures"]) == [pair.two.name]
    assert found["device_keys"] == {}
    await pair.two.start()
    await becomes(pair.alice, pair.bob.user_id, pair.bob)


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_known_of_devices_is_the_truth_in_the_end(memory_servers: MemoryKit, seed: int) -> None:
    choose = random.Random(seed)
    one, two = await memory_servers(2)
    people = [await one.user("alice"), await two.user("bob"), await two.user("carol")]
    rooms = [(await create(person), person) for person in people]
    servers = {person.user_id: server for person, server in zip(people, (one, two, two), strict=True)}
    trackers = [Tracker(person) for person in people]
    for tracker in trackers:
        await tracker.sync()
    for _ in range(40):
        who, (room_id, owner) = choose.choice(people), choose.choice(rooms)
        match choose.randrange(4):
            case 0 | 1:
                await who.post(f"{V3}/join/{room_id}?via={servers[owner.user_id].name}")
            case 2 if who is not owner:
                await who.post(f"{V3}/rooms/{room_id}/leave")
            case _:
                await Keys(await servers[who.user_id].login(who.user_id)).upload()
        for tracker in trackers:
            if choose.random() < 0.2:
                await tracker.sync()

    async def is_true() -> bool:
        for tracker in trackers:
            await tracker.sync()
            truth: dict[str, Any] = {}
            for user_id in await tracker.sharing():
                at_home = next(person for person in people if person.user_id == user_id)
                truth |= (await query(at_home, user_id))["device_keys"]
            if tracker.known != truth:
                return False
        return True

    await eventually(is_true, 20)


# -- servers that mean ill


def update(device_id: str, stream_id: Any, *prev: Any, user_id: str = EVE, **more: Any) -> dict[str, Any]:
    content = {"user_id": user_id, "device_id": device_id, "stream_id": stream_id, "prev_id": list(prev), **more}
    return {"edu_type": "m.device_list_update", "content": content}


def device(device_id: str, user_id: str = EVE) -> dict[str, Any]:
    return {"user_id": user_id, "device_id": device_id, "algorithms": [], "keys": {}, "signatures": {}}


async def test_nobody_tells_of_others_devices(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    await Keys(alice).upload()
    since = await now(alice)
    edus = [
        update("D", 1, user_id=alice.user_id, deleted=True),
        update("D", 1, user_id="@bob:elsewhere.test"),
        update("D", 1, user_id="@nobody:stranger.test"),
        update("D", -1),
        update("D", 2**60),
        update("", 1),
        update("x" * 600, 1),
        update("D", 1, prev_id=5),
        update("D", 1, keys=5),
        {"edu_type": "m.signing_key_update", "content": {"user_id": alice.user_id}},
        {"edu_type": "m.signing_key_update", "content": {"user_id": EVE, "master_key": 5}},
    ]
    async with victim.gains():
        (await push(stranger, edus=edus)).ok()
    assert lists(await alice.sync(since)) == (set(), set())
    assert list(await devices_of(alice, alice.user_id)) == [alice.device_id]


async def test_a_gap_has_the_list_asked_for(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    path = f"/_matrix/federation/v1/user/devices/{EVE}"
    of = [{"device_id": name, "keys": device(name)} for name in "AB"]
    stranger.answers[path] = stranger.json({"user_id": EVE, "stream_id": 7, "devices": of})
    assert set(await devices_of(alice, EVE)) == {"A", "B"}
    # What follows is taken as it is told; what came before is not taken twice.
    (await push(stranger, edus=[update("C", 8, 7, keys=device("C")), update("C", 8, 7, keys=device("C"))])).ok()
    (await push(stranger, edus=[update("A", 9, 8, deleted=True), update("B", 7, 6, keys=device("B"))])).ok()
    stranger.answers.clear()
    assert set(await devices_of(alice, EVE)) == {"B", "C"}
    # A gap: nothing is known for sure, until the server answers.
    since = await now(alice)
    (await push(stranger, edus=[update("D", 12, 11, keys=device("D"))])).ok()
    assert lists(await alice.sync(since)) == ({EVE}, set())
    assert await devices_of(alice, EVE) == {}
    of = [{"device_id": name, "keys": device(name)} for name in "DE"]
    stranger.answers[path] = stranger.json({"user_id": EVE, "stream_id": 12, "devices": of})

    async def is_asked_for() -> bool:
        # It is there, whatever it does not answer.
        (await push(stranger)).ok()
        return set(await devices_of(alice, EVE)) == {"D", "E"}

    await eventually(is_asked_for)


async def test_lists_that_are_none(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await stranger.join(room_id)
    path = f"/_matrix/federation/v1/user/devices/{EVE}"
    for wrong in ({}, [], {"user_id": EVE, "stream_id": -1, "devices": []}, {"user_id": EVE, "devices": 1}):
        stranger.answers[path] = stranger.json(wrong)
        assert list((await query(alice, EVE))["failures"]) == ["stranger.test"]
    mixed = [
        {"device_id": "A", "keys": device("A")},
        {"device_id": "B", "keys": device("A")},
        {"device_id": "C", "keys": device("C", alice.user_id)},
        {"device_id": "D", "keys": {"user_id": EVE}},
        {"device_id": "E" * 600, "keys": device("E" * 600)},
        *({"device_id": f"F{n}", "keys": device(f"F{n}")} for n in range(1_100)),
    ]
    stranger.answers[path] = stranger.json(
        {"user_id": EVE, "stream_id": 1, "devices": mixed, "master_key": {"keys": {}}, "self_signing_key": {}}
    )
    found = await query(alice, EVE)
    assert set(found["device_keys"][EVE]) == {"A", *(f"F{n}" for n in range(995))}
    assert (found["master_keys"], found["self_signing_keys"]) == ({}, {})


async def test_other_servers_ask_for_our_users_only(victim: Victim, stranger: Stranger, alice: Client) -> None:
    await Keys(alice).upload(1)
    (await stranger.get(f"/user/devices/{EVE}")).refused(400, "M_INVALID_PARAM")
    (await stranger.post("/user/keys/query", {"device_keys": {EVE: []}})).refused(400, "M_INVALID_PARAM")
    asked = {"one_time_keys": {EVE: {"A": "signed_curve25519"}, alice.user_id: {alice.device_id: "signed_curve25519"}}}
    (await stranger.post("/user/keys/claim", asked)).refused(400, "M_INVALID_PARAM")
    assert (await alice.sync())["device_one_time_keys_count"] == {"signed_curve25519": 1}
    assert (await stranger.get("/user/devices/@absent:weft.test")).ok()["devices"] == []


async def test_a_change_before_ones_join_is_heard_of(memory_servers: MemoryKit) -> None:
    """Bob's server can't know yet that Alice is in his room; hers follows his list already."""
    one, two, three = await memory_servers(3)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await create(carol)
    await join(bob, room_id, three.name)
    await Keys(bob).upload()
    memory_servers.network.cut(three.name, two.name)
    await join(alice, room_id, three.name)
    await becomes(alice, bob.user_id, bob)
    assert one.name not in (await two.server.engine.rooms.get(room_id)).servers
    other = await two.login("bob")
    await Keys(other).upload()
    await becomes(alice, bob.user_id, bob, other)
    # In a month the join has arrived, or never will.
    (forget,) = (
        task for module in two.server.modules for task in module.tasks if task.name == "who asked for device lists"
    )
    for days, left in ((29, 1), (2, 0)):
        memory_servers.clock.advance(days * 86_400)
        await forget.run()
        database = two.server.engine.database
        assert await database.read(lambda tx: tx.value("SELECT COUNT(*) FROM device_list_askers")) == left


async def test_who_was_believed_out_of_the_room_hears_what_it_missed(memory_servers: MemoryKit) -> None:
    """Alice's server puts Bob's out, by the word of one who may not any more; Bob's has never believed that."""
    one, two, three = await memory_servers(3)
    alice, mel = await one.user("alice"), await one.user("mel")
    bob, dora = await two.user("bob"), await three.user("dora")
    levels = {"users": {alice.user_id: 100, dora.user_id: 100, mel.user_id: 50}}
    room_id = await create(alice, "11", power_level_content_override=levels)
    for who in (mel, bob, dora):
        await join(who, room_id, one.name)
    for who in (bob, dora):
        await member_is(who, room_id, bob.user_id, "join")
    await Keys(alice).upload()
    await becomes(bob, alice.user_id, alice)
    await one.server.engine.followed(cursor_name(0))
    await memory_servers.network.settle()
    await is_followed(memory_servers, bob, alice.user_id)
    memory_servers.network.part([one.name], [three.name])
    levels["users"][mel.user_id] = 0
    await dora.set_state(room_id, "m.room.power_levels", levels)
    await sees_levels(bob, room_id, mel.user_id, 0)
    (await mel.post(f"{V3}/rooms/{room_id}/kick", {"user_id": bob.user_id})).ok()
    assert await membership(alice, room_id, bob.user_id) == "leave"
    phone = await one.login("alice")
    await Keys(phone).upload()
    await one.server.engine.followed(cursor_name(0))
    assert set(await devices_of(bob, alice.user_id)) == {alice.device_id}
    # What he says builds on what Alice's server has not heard of.
    await say(bob, room_id, "still here")
    await member_is(alice, room_id, bob.user_id, "join")
    await becomes(bob, alice.user_id, alice, phone)


async def is_followed(kit: MemoryKit, client: Client, user_id: str) -> None:
    """Waits until a client's server asks for somebody's devices no more, but relies on being told."""
    asked: list[str] = []

    async def watch(request: OutgoingRequest) -> None:
        if "/user/devices/" in request.uri:
            asked.append(request.uri)

    async def knows() -> bool:
        before = len(asked)
        await devices_of(client, user_id)
        return len(asked) == before

    kit.network.on_request.append(watch)
    await eventually(knows)
    kit.network.on_request.remove(watch)


async def sees_levels(client: Client, room_id: str, user_id: str, wanted: int) -> None:
    async def is_so() -> bool:
        found = (await client.get(f"{V3}/rooms/{room_id}/state/m.room.power_levels")).ok()
        return bool(found["users"].get(user_id) == wanted)

    await eventually(is_so)
