"""Two engines on one database: they race, fork a room's graph and join it again; both end with the same state."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.rooms.conftest import Start
from tests.rooms.engines import ALICE, BOB, check_database, check_in_memory, make_room, member, message, state
from weft.graph.build import Draft
from weft.protocol.errors import AuthRuleViolation
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events, rooms
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry
from weft.storage.transaction_ids import TransactionKey

EVE = "@eve:b"


@pytest.fixture
def url(postgres_database: str) -> str:
    return postgres_database


async def both_see(one: Engine, other: Engine, room_id: str) -> Room:
    """The room, of which both engines have the same view."""
    rooms_ = []
    for engine in (one, other):
        await engine.log.catch_up()
        rooms_.append(await engine.rooms.get(room_id))
    # Reading may have resolved a fork.
    for engine in (one, other):
        await engine.log.catch_up()
    mine, theirs = [await engine.rooms.get(room_id) for engine in (one, other)]
    for engine, room in ((one, mine), (other, theirs)):
        await engine.rooms.deepen(room)
    assert mine.current.state == theirs.current.state
    assert mine.memberships == theirs.memberships
    assert mine.extremities.keys() == theirs.extremities.keys()
    assert mine.joined_local == theirs.joined_local
    assert {s.event.event_id for s in mine.timeline} == {s.event.event_id for s in theirs.timeline}
    for engine, room in ((one, mine), (other, theirs)):
        check_in_memory(engine, room)
    await one.database.read(check_database)
    return mine


@contextmanager
def deaf(engine: Engine) -> Iterator[None]:
    """Meanwhile the engine does not hear of what others commit."""

    async def nothing() -> None:
        return

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_catch_up", nothing)
        yield


async def apart(one: Engine, other: Engine, room_id: str, *pairs: tuple[Draft, Draft]) -> list[StoredEvent | Exception]:
    """Each engine sends its draft of a pair, neither knowing of the other's."""
    for engine in (one, other):
        await engine.log.catch_up()
        await engine.rooms.get(room_id)
    made: list[StoredEvent | Exception] = []
    for mine, theirs in pairs:
        outcomes = await asyncio.gather(
            one.append.append(room_id, mine), other.append.append(room_id, theirs), return_exceptions=True
        )
        made += [outcome for outcome in outcomes if isinstance(outcome, StoredEvent | Exception)]
    return made


async def test_a_message_of_each(start: Start) -> None:
    """
    room <- mine
         <- theirs
    mine, theirs <- next
    """
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    await one.append.append(room.id, member(BOB, "join"))
    made = await apart(one, other, room.id, (message(ALICE, "mine"), message(BOB, "theirs")))
    ids = {m.event.event_id for m in made if isinstance(m, StoredEvent)}
    assert len(ids) == 2
    joined = await both_see(one, other, room.id)
    assert joined.extremities.keys() == ids
    assert joined.current.id == room.current.id or joined.current.state
    following = await other.append.append(room.id, message(BOB, "next"))
    assert set(following.event.prev_events) == ids
    assert list((await both_see(one, other, room.id)).extremities) == [following.event.event_id]


async def test_messages_apart_need_no_resolution(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    await apart(one, other, room.id, *((message(ALICE, f"a{n}"), message(ALICE, f"b{n}")) for n in range(5)))
    await both_see(one, other, room.id)
    kinds = await one.database.read(lambda tx: tx.all("SELECT DISTINCT kind FROM log"))
    assert kinds == [("event",)]


async def test_a_join_on_one_side_is_in_the_tables_once_it_is_acknowledged(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)

    def is_member(tx: Transaction) -> bool:
        return [m.membership for m in rooms.memberships_of_user(tx, BOB)] == ["join"]

    for engine in (one, other):
        await engine.rooms.get(room.id)
        await engine.log.catch_up()
    # The first engine goes ahead, and the other one does not know of it.
    with deaf(other):
        ahead = await one.append.append(room.id, state(ALICE, "m.room.topic", topic="x"))
        forked = await other.append.append(room.id, member(BOB, "join"))
    assert forked.event.prev_events == ahead.event.prev_events
    assert await other.database.read(is_member)
    assert (await other.rooms.get(room.id)).membership(BOB) == "join"
    await one.log.catch_up()
    assert (await one.rooms.get(room.id)).membership(BOB) == "join"
    both = await both_see(one, other, room.id)
    assert both.state_id("m.room.topic") is not None


async def test_who_is_banned_on_one_side_does_not_join_on_the_other(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    await apart(one, other, room.id, (member(EVE, "ban", ALICE), member(EVE, "join")))
    both = await both_see(one, other, room.id)
    assert both.membership(EVE) == "ban"
    row = await one.database.read(lambda tx: rooms.memberships_of_user(tx, EVE))
    assert [one.membership for one in row] == ["ban"]
    for engine in (one, other):
        with pytest.raises(AuthRuleViolation):
            await engine.append.append(room.id, message(EVE, "hello"))


async def test_those_who_follow_are_told_what_a_fork_came_to(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    for engine in (one, other):
        await engine.log.catch_up()
        await engine.rooms.get(room.id)
    heard: list[list[Entry]] = [[], []]
    one.log.on_entries(heard[0].extend)
    other.log.on_entries(heard[1].extend)
    with deaf(other):
        await one.append.append(room.id, member(EVE, "ban", ALICE))
        joined = await other.append.append(room.id, member(EVE, "join"))
    await both_see(one, other, room.id)
    for entries in heard:
        assert [entry.kind for entry in entries].count("event") == 2
        told = [entry.position for entry in entries]
        after_the_join = entries[told.index(joined.position) + 1 :]
        assert any(entry.kind == "resolution" for entry in after_the_join), "although the tables held the ban before"


async def test_reading_ones_own_write_through_the_other(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    engines = [one, other]
    rng = random.Random(3)
    for number in range(40):
        writer, reader = rng.sample(engines, 2)
        await writer.log.catch_up()
        sent = await writer.append.append(room.id, message(ALICE, str(number)))
        await reader.log.catch_up()
        seen = await reader.rooms.get(room.id)
        assert sent.event.event_id in {s.event.event_id for s in seen.timeline}
        await writer.append.append(room.id, member(f"@u{number}:a", "join"))
        await reader.log.catch_up()
        assert (await reader.rooms.get(room.id)).membership(f"@u{number}:a") == "join"
    assert len((await both_see(one, other, room.id)).extremities) == 1


async def test_a_repeated_request_at_both(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    await other.rooms.get(room.id)
    for number in range(10):
        key = TransactionKey(ALICE, "DEVICE", "send", str(number))
        made = await asyncio.gather(
            *(e.append.append(room.id, message(ALICE, str(number)), transaction=key) for e in (one, other) * 3)
        )
        assert len({stored.event.event_id for stored in made}) == 1
    both = await both_see(one, other, room.id)
    assert sum(s.event.type == "m.room.message" for s in both.timeline) == 10


async def test_redactions_reach_the_other(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    secret = await one.append.append(room.id, message(ALICE, "secret"))
    await other.log.catch_up()
    await other.rooms.get(room.id)
    assert await other.rooms.event(secret.event.event_id) is not None
    await one.append.append(
        room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=secret.event.event_id)
    )
    await other.log.catch_up()
    seen = await other.rooms.event(secret.event.event_id)
    assert seen is not None
    assert seen.event.content == {}
    assert all(b"secret" not in s.client for s in (await other.rooms.get(room.id)).timeline)


@pytest.mark.parametrize("seed", range(4))
async def test_a_race_loses_nothing(start: Start, seed: int) -> None:
    """Many senders at two engines, of messages and state, in two rooms."""
    one, other = await start("one", budget=1 if seed % 2 else 64 << 20), await start("other")
    rng = random.Random(seed)
    made = [await make_room(one, version, f"!room{version}:a", {BOB: 50}) for version in ("2", "12")]
    for room in made:
        await one.append.append(room.id, member(BOB, "join"))
    await other.log.catch_up()
    acknowledged: dict[str, set[str]] = {room.id: set() for room in made}

    async def act(engine: Engine, name: str) -> None:
        for number in range(12):
            room_id = rng.choice(made).id
            sender = rng.choice([ALICE, BOB])
            draft = rng.choice(
                [
                    message(sender, f"{name}{number}"),
                    message(sender, f"{name}{number}"),
                    state(sender, "m.room.topic", topic=f"{name}{number}"),
                    member(f"@u{rng.randrange(5)}:b", "join"),
                    member(f"@u{rng.randrange(5)}:b", rng.choice(["leave", "ban"]), sender),
                ]
            )
            try:
                stored = await engine.append.append(room_id, draft)
            except AuthRuleViolation:
                continue
            acknowledged[room_id].add(stored.event.event_id)
            if rng.random() < 0.3:
                await engine.log.catch_up()

    async with asyncio.timeout(60):
        await asyncio.gather(*(act(engine, f"{i}{j}-") for i, engine in enumerate((one, other)) for j in range(4)))
    for room in made:
        await both_see(one, other, room.id)
        last = await one.append.append(room.id, message(ALICE, "together again"))
        await other.log.catch_up()
        both = await both_see(one, other, room.id)
        assert list(both.extremities) == [last.event.event_id]
        known = await other.database.read(events.by_ids, acknowledged[room.id])
        assert known.keys() == acknowledged[room.id]


async def test_rooms_that_are_read_while_others_write_miss_nothing(start: Start) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    done = False

    async def read_anew() -> None:
        while not done:
            other.rooms.drop(room.id)
            await other.rooms.get(room.id)
            await other.log.catch_up()

    async def write() -> list[StoredEvent]:
        return [await one.append.append(room.id, message(ALICE, str(number))) for number in range(150)]

    reading = asyncio.create_task(read_anew())
    sent = await write()
    await other.log.catch_up()
    seen = await other.rooms.get(room.id)
    assert list(seen.extremities) == [sent[-1].event.event_id]
    done = True
    await reading


@pytest.mark.parametrize("order", [0, 1])
async def test_one_that_stops_leaves_the_other_at_work(start: Start, order: int) -> None:
    one, other = await start("one"), await start("other")
    room = await make_room(one)
    await other.log.catch_up()
    leaving, staying = (one, other) if order else (other, one)
    acts: list[Callable[[], Awaitable[StoredEvent]]] = [
        lambda: leaving.append.append(room.id, state(ALICE, "m.room.topic", topic="bye")),
        lambda: staying.append.append(room.id, member(BOB, "join")),
    ]
    await asyncio.gather(*(act() for act in acts))
    await leaving.stop()
    third = await start("third")
    await third.append.append(room.id, message(BOB, "who is here?"))
    both = await both_see(staying, third, room.id)
    assert both.membership(BOB) == "join"
    assert both.state_id("m.room.topic") is not None
    assert leaving.database.writer is not None
    assert third.database.writer is not None
    assert third.database.writer.id == leaving.database.writer.id, "its place is free"
