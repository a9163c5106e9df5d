"""Local users change rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.rooms.conftest import Start
from tests.rooms.engines import ALICE, BOB, check_in_memory, make_room, member, message, state
from weft.graph.build import Draft
from weft.protocol.errors import AuthRuleViolation, BadJson, Forbidden, NotFound
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.rooms.engine import Engine
from weft.rooms.room import TIMELINE
from weft.storage import events
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.transaction_ids import TransactionKey

#: Of another domain: who shares one with the sender may redact without power.
EVE = "@eve:b"
KEY = TransactionKey(ALICE, "DEVICE", "send", "1")


def bodies(stored: Sequence[StoredEvent]) -> list[object]:
    return [one.event.content.get("body") for one in stored if one.event.state_key is None]


@pytest.mark.parametrize("version", ROOM_VERSIONS)
async def test_a_room_of_every_version(engine: Engine, version: str) -> None:
    rules = ROOM_VERSIONS[version]
    room = await make_room(engine, version)
    first = await engine.append.append(room.id, message(ALICE, "hello", rules))
    await engine.append.append(room.id, member(BOB, "join"))
    second = await engine.append.append(room.id, message(BOB, "hello Alice", rules))
    room = await engine.rooms.get(room.id)
    assert room.membership(BOB) == "join"
    assert room.counts["join"] == 2
    assert room.joined_local == {ALICE, BOB}
    assert list(room.extremities) == [second.event.event_id]
    assert second.event.depth == first.event.depth + 2
    if rules.format.references_are_pairs:
        assert second.event.pdu["prev_events"][0][1].keys() == {"sha256"}
    kept = await engine.rooms.event(first.event.event_id)
    assert kept is first
    again = await engine.database.read(events.by_id, first.event.event_id)
    assert again is not None
    assert (again.event.wire, again.position) == (first.event.wire, first.position)
    check_in_memory(engine, room)


async def test_a_room_that_is_read_anew_is_the_same(engine: Engine) -> None:
    room = await make_room(engine)
    for number in range(130):
        await engine.append.append(room.id, message(ALICE, str(number)))
        if number % 10 == 0:
            await engine.append.append(room.id, member(f"@u{number}:b", "join"))
    before = await engine.rooms.get(room.id)
    engine.rooms.drop(room.id)
    after = await engine.rooms.get(room.id)
    await engine.rooms.deepen(after)
    assert after is not before
    assert before.stale
    assert after.current.state == before.current.state
    assert after.current.id == before.current.id
    assert after.memberships == before.memberships
    assert after.counts == before.counts
    assert after.joined_local == before.joined_local
    assert list(after.extremities) == list(before.extremities)
    assert [s.event.wire for s in after.timeline] == [s.event.wire for s in before.timeline]
    assert after.timeline_whole is before.timeline_whole is False
    check_in_memory(engine, after)


async def test_many_senders_make_one_line(engine: Engine) -> None:
    room = await make_room(engine, users={BOB: 50})
    await engine.append.append(room.id, member(BOB, "join"))

    async def send(sender: str, name: str) -> list[StoredEvent]:
        return [await engine.append.append(room.id, message(sender, f"{name}{n}")) for n in range(25)]

    async def rename(name: str) -> list[StoredEvent]:
        return [await engine.append.append(room.id, state(BOB, "m.room.topic", topic=f"{name}{n}")) for n in range(10)]

    sent = await asyncio.gather(*(send(ALICE, f"a{i}-") for i in range(8)), send(BOB, "b-"), rename("t"))
    line = sorted((one for some in sent for one in some), key=lambda one: one.event.depth)
    assert len(line) == 9 * 25 + 10
    for before, after in pairwise(line):
        assert after.event.prev_events == (before.event.event_id,)
        assert after.position > before.position
    for some in sent:
        assert [one.position for one in some] == sorted(one.position for one in some)
    room = await engine.rooms.get(room.id)
    assert list(room.extremities) == [line[-1].event.event_id]
    assert not room.stale
    check_in_memory(engine, room)


async def test_what_the_rules_forbid(engine: Engine) -> None:
    room = await make_room(engine)
    with pytest.raises(AuthRuleViolation):
        await engine.append.append(room.id, message(BOB, "not in the room"))
    with pytest.raises(AuthRuleViolation):
        await engine.append.append_all(room.id, [member(BOB, "join"), state(BOB, "m.room.topic", topic="x")])
    with pytest.raises(BadJson):
        await engine.append.append(room.id, Draft(type="x", sender=ALICE, content={"a": 0.5}))
    with pytest.raises(Forbidden):
        await engine.append.append(room.id, message("@mallory:elsewhere", "not ours"))
    with pytest.raises(NotFound):
        await engine.append.append("!nowhere:a", message(ALICE, "hello"))
    with pytest.raises(NotFound):
        await engine.append.append(room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts="$none"))
    room = await engine.rooms.get(room.id)
    assert room.membership(BOB) is None
    await engine.append.append(room.id, message(ALICE, "all is well"))
    check_in_memory(engine, await engine.rooms.get(room.id))


async def test_several_events_go_together(engine: Engine) -> None:
    room = await make_room(engine)
    made = await engine.append.append_all(room.id, [member(BOB, "join"), message(BOB, "here I am")])
    assert made[1].event.prev_events == (made[0].event.event_id,)
    assert made[1].snapshot == made[0].snapshot


async def test_the_same_room_made_twice_in_a_millisecond_is_two_rooms(engine: Engine) -> None:
    """Their ids are hashes of their create events, which would be the same in every byte."""
    rules = ROOM_VERSIONS["12"]
    create = replace(state(ALICE, "m.room.create", room_version="12"), origin_server_ts=5)
    drafts = [create, member(ALICE, "join")]
    made = await asyncio.gather(*(engine.append.create(rules, None, drafts) for _ in range(30)))
    # As for another process, in whose memory the first ones are not.
    for room in made:
        engine.rooms.drop_event("$" + room.id.removeprefix("!"))
    made.append(await engine.append.create(rules, None, drafts))
    assert len({room.id for room in made}) == len(made)
    for room in made:
        check_in_memory(engine, await engine.rooms.get(room.id))


async def test_a_room_is_made_whole_or_not_at_all(engine: Engine) -> None:
    with pytest.raises(AuthRuleViolation):
        await engine.append.create(
            ROOM_VERSIONS["10"],
            "!half:a",
            [state(ALICE, "m.room.create", creator=ALICE, room_version="10"), state(ALICE, "m.room.topic")],
        )
    assert await engine.rooms.find("!half:a") is None
    await make_room(engine, name="!room:a")
    with pytest.raises(UniqueViolation):
        await make_room(engine, name="!room:a")
    assert (await engine.rooms.get("!room:a")).counts["join"] == 1


# -- failures


async def test_what_builds_on_a_failed_write_is_built_again(engine: Engine) -> None:
    room = await make_room(engine)

    def fail(tx: WriteTransaction, made: Sequence[StoredEvent]) -> None:
        raise RuntimeError("the module's own write failed")

    outcomes = await asyncio.gather(
        engine.append.append(room.id, message(ALICE, "1")),
        engine.append.append(room.id, message(ALICE, "lost"), also=fail),
        engine.append.append(room.id, message(ALICE, "2")),
        engine.append.append(room.id, member(BOB, "join")),
        engine.append.append(room.id, message(ALICE, "3")),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [StoredEvent, RuntimeError, StoredEvent, StoredEvent, StoredEvent]
    room = await engine.rooms.get(room.id)
    assert sorted(str(body) for body in bodies(room.timeline)) == ["1", "2", "3"]
    assert room.membership(BOB) == "join"
    assert len(room.extremities) == 1
    check_in_memory(engine, room)


async def test_what_else_must_be_unique_is_the_callers_affair(engine: Engine) -> None:
    room = await make_room(engine)

    def claim(tx: WriteTransaction, made: Sequence[StoredEvent]) -> None:
        tx.run("INSERT INTO leases (name, holder, expires_ms) VALUES ('claim', '', 0)")

    await engine.append.append(room.id, message(ALICE, "first"), also=claim)
    with pytest.raises(UniqueViolation):
        await engine.append.append(room.id, message(ALICE, "second"), also=claim)
    room = await engine.rooms.get(room.id)
    assert bodies(room.timeline) == ["first"]


async def test_a_caller_that_gives_up_does_not_undo(engine: Engine) -> None:
    room = await make_room(engine)
    task = asyncio.create_task(engine.append.append(room.id, message(ALICE, "sent")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.append.append(room.id, message(ALICE, "next"))
    assert bodies((await engine.rooms.get(room.id)).timeline) == ["sent", "next"]


# -- transaction ids


async def test_a_repeated_request_gets_the_first_ones_event(engine: Engine) -> None:
    room = await make_room(engine)
    first = await engine.append.append(room.id, message(ALICE, "once"), transaction=KEY)
    again = await engine.append.append(room.id, message(ALICE, "once"), transaction=KEY)
    other = await engine.append.append(room.id, message(ALICE, "once"), transaction=KEY._replace(device_id="OTHER"))
    assert again.event.event_id == first.event.event_id != other.event.event_id
    assert first.transactions == {"DEVICE": "1"}
    assert bodies((await engine.rooms.get(room.id)).timeline) == ["once", "once"]


async def test_repetitions_at_the_same_time(engine: Engine) -> None:
    room = await make_room(engine)
    before = room
    sent = await asyncio.gather(
        *(engine.append.append(room.id, message(ALICE, "once"), transaction=KEY) for _ in range(20)),
        *(engine.append.append(room.id, message(ALICE, str(n))) for n in range(20)),
    )
    assert len({one.event.event_id for one in sent[:20]}) == 1
    room = await engine.rooms.get(room.id)
    assert bodies(room.timeline).count("once") == 1
    assert len(bodies(room.timeline)) == 21
    assert room is before, "nobody had to build anew"


# -- redactions


@pytest.mark.parametrize("version", ["1", "10", "11", "12"])
async def test_a_redaction_strips_its_target_everywhere(engine: Engine, version: str) -> None:
    room = await make_room(engine, version)
    await engine.append.append(room.id, member(BOB, "join"))
    secret = await engine.append.append(room.id, message(BOB, "secret"))
    redaction = await engine.append.append(
        room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=secret.event.event_id)
    )
    found = await engine.rooms.event(secret.event.event_id)
    assert found is not None
    assert (found.redacted_by, found.event.content) == (redaction.event.event_id, {})
    (shown,) = [s for s in room.timeline if s.event.event_id == secret.event.event_id]
    assert shown.event.content == {}
    engine.rooms.drop(room.id)
    engine.rooms.drop_event(secret.event.event_id)
    found = await engine.rooms.event(secret.event.event_id)
    assert found is not None
    assert (found.redacted_by, found.event.content) == (redaction.event.event_id, {})
    await engine.append.append(room.id, message(BOB, "next"))


async def test_who_may_not_redact_strips_nothing(engine: Engine) -> None:
    room = await make_room(engine)
    other = await make_room(engine, name="!other:a")
    for user in (BOB, EVE):
        await engine.append.append(room.id, member(user, "join"))
    said = await engine.append.append(room.id, message(BOB, "mine"))
    elsewhere = await engine.append.append(other.id, message(ALICE, "elsewhere"))
    for sender, target in ((EVE, said), (ALICE, elsewhere)):
        await engine.append.append(
            room.id, Draft(type="m.room.redaction", sender=sender, content={}, redacts=target.event.event_id)
        )
        found = await engine.rooms.event(target.event.event_id)
        assert found is not None
        assert found.redacted_by is None
        assert found.event.content


async def test_redactions_of_what_is_on_its_way(engine: Engine) -> None:
    room = await make_room(engine)
    said = asyncio.create_task(engine.append.append(room.id, message(ALICE, "secret")))
    await asyncio.sleep(0)
    target = room.front[0].event.event_id
    redactions = [
        engine.append.append(room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=target))
        for _ in range(3)
    ]
    first, *_ = await asyncio.gather(*redactions)
    assert (await said).event.event_id == target
    found = await engine.rooms.event(target)
    assert found is not None
    assert (found.redacted_by, found.event.content) == (first.event.event_id, {})
    stored = await engine.database.read(events.by_id, target)
    assert stored is not None
    assert stored.redacted_by == first.event.event_id


async def test_a_redacted_state_event_is_no_longer_quoted(engine: Engine) -> None:
    room = await make_room(engine)
    old = await engine.append.append(room.id, state(ALICE, "m.room.topic", topic="secret"))
    new = await engine.append.append(room.id, state(ALICE, "m.room.topic", topic="open"))
    assert new.replaced is not None
    assert b"secret" in new.replaced
    await engine.append.append(
        room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=old.event.event_id)
    )
    room = await engine.rooms.get(room.id)
    quoting = [await engine.rooms.event(new.event.event_id), *room.timeline]
    assert all(one is not None and b"secret" not in (one.replaced or b"") + one.client for one in quoting)


# -- memory, and starting again


async def test_a_tiny_memory_changes_nothing_but_speed(start: Start) -> None:
    engine = await start(budget=1)
    made = [await make_room(engine, name=f"!room{n}:a") for n in range(12)]

    async def live(room_id: str) -> None:
        for number in range(5):
            await engine.append.append(room_id, message(ALICE, str(number)))
            await engine.append.append(room_id, state(ALICE, "m.room.topic", topic=str(number)))

    await asyncio.gather(*(live(room.id) for room in made for _ in range(2)))
    for room in made:
        current = await engine.rooms.get(room.id)
        await engine.rooms.deepen(current)
        assert len(bodies(current.timeline)) == 10
        assert len(current.extremities) == 1
    assert sum(engine.budget.held.values()) < 4 << 20


@pytest.mark.parametrize("version", ["1", "10", "12"])
async def test_after_a_restart_what_is_needed_is_read_from_disk(start: Start, version: str) -> None:
    engine = await start("first")
    room = await make_room(engine, version)
    old = await engine.append.append(room.id, message(ALICE, "old"))
    await engine.append.append(room.id, state(ALICE, "m.room.topic", topic="old"))
    for number in range(TIMELINE):
        await engine.append.append(room.id, message(ALICE, str(number)))
    await engine.stop()
    engine = await start("second")
    await engine.append.append(room.id, message(ALICE, "after"))
    topic = await engine.append.append(room.id, state(ALICE, "m.room.topic", topic="new"))
    assert topic.replaced is not None
    await engine.append.append(
        room.id, Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=old.event.event_id)
    )
    await engine.append.append(room.id, member(BOB, "join"))
    check_in_memory(engine, await engine.rooms.get(room.id))


async def test_after_a_restart_everything_goes_on(start: Start) -> None:
    engine = await start("first")
    room = await make_room(engine)
    sent = [await engine.append.append(room.id, message(ALICE, str(n))) for n in range(5)]
    await engine.append.append(room.id, message(ALICE, "once"), transaction=KEY)
    await engine.stop()
    engine = await start("second")
    again = await engine.append.append(room.id, message(ALICE, "once"), transaction=KEY)
    assert again.event.content == {"body": "once"}
    await engine.append.append(room.id, member(BOB, "join"))
    found = await engine.rooms.get(room.id)
    assert bodies(found.timeline) == [*map(str, range(5)), "once"]
    assert found.membership(BOB) == "join"
    assert engine.log.head.distance(type(engine.log.head)()) >= 11
    newest = max(one.position for one in sent)
    assert found.timeline[-1].position > newest
