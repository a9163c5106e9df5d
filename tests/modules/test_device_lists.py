"""Who hears of whose devices in /sync and /keys/changes: all whom it concerns, and nobody else."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.encryption import V3, Keys, query
from tests.modules.test_devices import confirmed
from weft.testing import Client, TestServer

Lists = tuple[set[str], set[str]]


def lists(response: dict[str, Any]) -> Lists:
    told = response.get("device_lists", {})
    changed, left = told.get("changed", []), told.get("left", [])
    assert len(set(changed)) == len(changed)
    assert len(set(left)) == len(left)
    return set(changed), set(left)


async def news(client: Client, since: str) -> Lists:
    """What a sync tells since a token; `/keys/changes` says the same."""
    response = await client.sync(since)
    told = lists(response)
    asked = await client.get(f"{V3}/keys/changes", from_=since, to=response["next_batch"])
    assert lists({"device_lists": asked.ok()}) == told
    return told


async def now(client: Client) -> str:
    token: str = (await client.sync())["next_batch"]
    return token


async def hears_of(client: Client, since: str, user_id: str) -> None:
    """Waits until a client is told of a change, or that no room is shared; of nobody else.

    Whose account has ended leaves every room in a little while: what is told depends on how far that has come.
    """
    async with asyncio.timeout(20):
        while True:
            response = await client.sync(since, timeout=2_000)
            since = response["next_batch"]
            changed, left = lists(response)
            assert changed | left <= {user_id}
            if changed or left:
                return


class People:
    """Alice and Bob share a room, Carol is in none."""

    def __init__(self, alice: Client, bob: Client, carol: Client, room_id: str) -> None:
        self.alice, self.bob, self.carol, self.room_id = alice, bob, carol, room_id

    @classmethod
    async def on(cls, server: TestServer) -> People:
        alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        return cls(alice, bob, carol, room_id)


async def test_a_first_answer_tells_of_nobody(server: TestServer) -> None:
    people = await People.on(server)
    await Keys(people.bob).upload()
    assert (await people.alice.sync())["device_lists"] == {"changed": [], "left": []}


async def test_every_change_of_a_device_is_told(server: TestServer) -> None:
    people = await People.on(server)
    alice, bob, carol = people.alice, people.bob, people.carol
    other: list[Client] = []

    async def log_in() -> None:
        other.append(await server.login("bob", device_id="NEW"))

    async def upload() -> None:
        await Keys(other[0]).upload()

    async def rename() -> None:
        (await bob.put(f"{V3}/devices/NEW", {"display_name": "phone"})).ok()

    async def log_out() -> None:
        (await other[0].post(f"{V3}/logout")).ok()

    for change in (log_in, upload, rename, log_out):
        tokens = [await now(each) for each in (alice, bob, carol)]
        await change()
        assert await news(alice, tokens[0]) == ({bob.user_id}, set()), change
        assert await news(bob, tokens[1]) == ({bob.user_id}, set()), change
        assert await news(carol, tokens[2]) == (set(), set()), change


@pytest.mark.parametrize("what", ["delete", "password", "all", "deactivate"])
async def test_devices_that_go_in_other_ways_are_told(server: TestServer, what: str) -> None:
    people = await People.on(server)
    other = await server.login("bob")
    await Keys(other).upload()
    since = await now(people.alice)
    if what == "delete":
        await confirmed(people.bob, "POST", f"{V3}/delete_devices", {"devices": [other.device_id]})
    elif what == "password":
        await confirmed(people.bob, "POST", f"{V3}/account/password", {"new_password": "battery staple"})
    elif what == "all":
        (await people.bob.post(f"{V3}/logout/all")).ok()
    else:
        await confirmed(people.bob, "POST", f"{V3}/account/deactivate", {})
    await hears_of(people.alice, since, people.bob.user_id)
    assert (await query(people.alice, people.bob.user_id))["device_keys"] == {people.bob.user_id: {}}


async def test_a_change_wakes_those_whom_it_concerns(server: TestServer) -> None:
    people = await People.on(server)
    waiting = [
        asyncio.create_task(each.sync(await now(each), timeout=20_000, set_presence="offline"))
        for each in (people.alice, people.carol)
    ]
    await asyncio.sleep(0.05)
    await Keys(people.bob).upload()
    async with asyncio.timeout(10):
        assert lists(await waiting[0]) == ({people.bob.user_id}, set())
    await asyncio.sleep(0.1)
    assert not waiting[1].done()
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)


async def test_who_comes_into_a_room_is_new_to_those_in_it(server: TestServer) -> None:
    people = await People.on(server)
    tokens = [await now(each) for each in (people.alice, people.bob, people.carol)]
    await people.carol.join(people.room_id)
    assert await news(people.alice, tokens[0]) == ({people.carol.user_id}, set())
    assert await news(people.bob, tokens[1]) == ({people.carol.user_id}, set())
    assert await news(people.carol, tokens[2]) == ({people.alice.user_id, people.bob.user_id}, set())


async def test_who_shares_another_room_is_not_new(server: TestServer) -> None:
    people = await People.on(server)
    other = await people.alice.create_room(preset="public_chat")
    tokens = [await now(each) for each in (people.alice, people.bob)]
    await people.bob.join(other)
    assert await news(people.alice, tokens[0]) == (set(), set())
    assert await news(people.bob, tokens[1]) == (set(), set())
    await people.bob.leave(other)
    assert await news(people.alice, tokens[0]) == (set(), set())
    assert await news(people.bob, tokens[1]) == (set(), set())


async def test_who_leaves_the_last_shared_room_is_left(server: TestServer) -> None:
    people = await People.on(server)
    tokens = [await now(each) for each in (people.alice, people.bob)]
    await people.bob.leave(people.room_id)
    assert await news(people.alice, tokens[0]) == (set(), {people.bob.user_id})
    assert await news(people.bob, tokens[1]) == (set(), {people.alice.user_id})
    since = await now(people.alice)
    await Keys(people.bob).upload()
    assert await news(people.alice, since) == (set(), set())
    # Whoever comes back is looked at anew.
    since = await now(people.alice)
    await people.bob.join(people.room_id)
    assert await news(people.alice, since) == ({people.bob.user_id}, set())
    assert await news(people.alice, tokens[0]) == ({people.bob.user_id}, set())


async def test_those_who_left_before_one_left_oneself(server: TestServer) -> None:
    people = await People.on(server)
    await people.carol.join(people.room_id)
    since = await now(people.alice)
    await people.bob.leave(people.room_id)
    await people.alice.leave(people.room_id)
    assert await news(people.alice, since) == (set(), {people.bob.user_id, people.carol.user_id})


async def test_invites_and_new_names_are_no_news_of_devices(server: TestServer) -> None:
    people = await People.on(server)
    tokens = [await now(each) for each in (people.alice, people.carol)]
    await people.alice.invite(people.room_id, people.carol.user_id)
    (await people.bob.put(f"{V3}/profile/{quote(people.bob.user_id)}/displayname", {"displayname": "B"})).ok()
    await people.alice.set_state(people.room_id, "m.room.member", {"membership": "join", "x": 1}, people.alice.user_id)
    assert await news(people.alice, tokens[0]) == (set(), set())
    assert await news(people.carol, tokens[1]) == (set(), set())
    await people.carol.leave(people.room_id)
    assert await news(people.alice, tokens[0]) == (set(), set())
    assert await news(people.carol, tokens[1]) == (set(), set())


async def test_it_is_the_same_after_a_restart(server: TestServer) -> None:
    """Then the entries are no longer in memory, and the tables are asked."""
    people = await People.on(server)
    other = await people.alice.create_room(preset="public_chat")
    await people.carol.join(other)
    dave, eve = await server.user("dave"), await server.user("eve")
    since = await now(people.alice)
    await Keys(people.bob).upload()
    await people.carol.leave(other)
    await dave.join(other)
    await Keys(eve).upload()
    expected = ({people.bob.user_id, dave.user_id}, {people.carol.user_id})
    assert await news(people.alice, since) == expected
    await server.restart()
    assert await news(people.alice, since) == expected


async def test_many_in_one_room(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(preset="public_chat")
    crowd = [await server.user() for _ in range(30)]
    since = await now(alice)
    for who in crowd:
        await who.join(room_id)
    assert await news(alice, since) == ({who.user_id for who in crowd}, set())
    dave = await server.user("dave")
    since = await now(dave)
    await dave.join(room_id)
    assert await news(dave, since) == ({who.user_id for who in [alice, *crowd]}, set())
    await dave.leave(room_id)
    since = await now(dave)
    assert await news(dave, since) == (set(), set())


@pytest.mark.parametrize("query_", [{"from_": "x", "to": "s1.1"}, {"from_": "s1.1", "to": "x"}])
async def test_tokens_that_are_none(server: TestServer, query_: dict[str, str]) -> None:
    alice = await server.user("alice")
    (await alice.get(f"{V3}/keys/changes", **query_)).refused(400, "M_INVALID_PARAM")


class Tracker:
    """A client that follows devices as the specification tells it to."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.since: str | None = None
        self.known: dict[str, Any] = {}

    async def sync(self) -> None:
        response = await self.client.sync(self.since)
        if self.since is None:
            changed, left = await self.sharing(), set[str]()
        else:
            changed, left = lists(response)
        self.since = response["next_batch"]
        assert not changed & left
        assert self.client.user_id not in left
        for user_id in left:
            self.known.pop(user_id, None)
        self.known.update(await self.fetched(changed))

    async def fetched(self, users: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = (await query(self.client, *sorted(users)))["device_keys"] if users else {}
        return found

    async def sharing(self) -> set[str]:
        """Who shares a room with the client, themself too."""
        found = {self.client.user_id}
        for room_id in (await self.client.get(f"{V3}/joined_rooms")).ok()["joined_rooms"]:
            found |= (await self.client.get(f"{V3}/rooms/{quote(room_id)}/joined_members")).ok()["joined"].keys()
        return found

    async def compare(self) -> None:
        assert self.known == await self.fetched(await self.sharing())


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_what_clients_know_of_devices_is_the_truth(server: TestServer, seed: int, restarts: bool) -> None:
    choose = random.Random(seed)
    people = [await server.user(name) for name in ("alice", "bob", "carol", "dave", "eve")]
    rooms = [await people[n].create_room(preset="public_chat") for n in range(4)]
    trackers = [Tracker(person) for person in people]
    devices = [(person, 0) for person in people]
    for tracker in trackers:
        await tracker.sync()
    for step in range(60):
        who, room_id = choose.choice(people), choose.choice(rooms)
        match choose.randrange(6):
            case 0 | 1:
                await who.post(f"{V3}/join/{quote(room_id)}")
            case 2:
                await who.post(f"{V3}/rooms/{quote(room_id)}/leave")
            case 3:
                await Keys(await server.login(who.user_id), "new").upload()
            case 4:
                client, count = devices.pop(choose.randrange(len(devices)))
                algorithms = [f"m.megolm.v{count}"]
                await Keys(client).upload(device_keys=Keys(client).device(algorithms=algorithms))
                devices.append((client, count + 1))
            case _:
                await who.put(f"{V3}/profile/{quote(who.user_id)}/displayname", {"displayname": str(step)})
        for tracker in trackers:
            if choose.random() < 0.2:
                await tracker.sync()
        if restarts and step % 20 == 10:
            await server.restart()
        if step % 15 == 14:
            for tracker in trackers:
                await tracker.sync()
                await tracker.compare()
