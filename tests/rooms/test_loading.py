"""Reading rooms: many at once, and as far back as somebody asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.rooms.engines import ALICE, BOB, make_room, member, message, start_engine, state
from weft.rooms.engine import Engine
from weft.rooms.room import TIMELINE, Room
from weft.storage.open import open_database

ROOMS = 12


async def engine_with_rooms(tmp_path: Path) -> tuple[Engine, list[str]]:
    """An engine that has just been started, and rooms of different sizes that it has not read."""
    engine = await start_engine(await open_database(f"sqlite:{tmp_path / 'weft.db'}", []))
    ids = [(await make_room(engine, name=f"!room{number}:a")).id for number in range(ROOMS)]
    for number, room_id in enumerate(ids):
        await engine.append.append(room_id, member(BOB, "join"))
        for topic in range(number):
            await engine.append.append(room_id, state(ALICE, "m.room.topic", topic=f"{topic}"))
            await engine.append.append(room_id, message(BOB, f"{topic}"))
    await engine.stop()
    return await start_engine(await open_database(f"sqlite:{tmp_path / 'weft.db'}", [])), ids


def told(room: Room) -> tuple[object, ...]:
    """All that a room says of itself."""
    chain = []
    node = room.current
    while node is not None:
        chain.append((node.id, node.depth, node.parent_id, dict(node.state), dict(node.changes), dict(node.skip)))
        node = node.base
    return (
        room.number,
        chain,
        room.memberships,
        sorted(room.extremities),
        [stored.event.event_id for stored in room.timeline],
        room.timeline_whole,
        room.joined_local,
    )


async def test_rooms_read_together_are_rooms_read_alone(tmp_path: Path) -> None:
    engine, ids = await engine_with_rooms(tmp_path)
    await engine.rooms.have([*ids, "!nobody:a"])
    together = {room_id: engine.rooms.cached(room_id) for room_id in ids}
    assert engine.rooms.cached("!nobody:a") is None
    for room_id, room in together.items():
        assert room is not None
        engine.rooms.drop(room_id)
        assert told(await engine.rooms.get(room_id)) == told(room)
    await engine.stop()


async def test_rooms_read_together_are_written_to(tmp_path: Path) -> None:
    engine, ids = await engine_with_rooms(tmp_path)
    await asyncio.gather(
        engine.rooms.have(ids[:8]),
        engine.rooms.have(ids[4:]),
        *(engine.append.append(room_id, message(BOB, f"{n}")) for n in range(3) for room_id in ids),
    )
    for room_id in ids:
        room = await engine.rooms.get(room_id)
        assert [stored.event.content["body"] for stored in list(room.timeline)[-3:]] == ["0", "1", "2"]
        assert [stored.event.event_id for stored in room.front] == [room.timeline[-1].event.event_id]
    await engine.stop()


async def test_a_room_is_read_further_back_when_somebody_asks(tmp_path: Path) -> None:
    engine = await start_engine(await open_database(f"sqlite:{tmp_path / 'weft.db'}", []))
    room_id = (await make_room(engine)).id
    ids: list[str] = []
    for number in range(TIMELINE + 20):
        ids.append((await engine.append.append(room_id, message(ALICE, f"{number}"))).event.event_id)
    engine.rooms.drop(room_id)
    room = await engine.rooms.get(room_id)
    read_first = [stored.event.event_id for stored in room.timeline]
    assert 0 < len(read_first) < TIMELINE
    assert read_first == ids[-len(read_first) :]
    await asyncio.gather(engine.rooms.deepen(room), engine.rooms.deepen(room))
    assert [stored.event.event_id for stored in room.timeline] == ids[-TIMELINE:]
    assert not room.timeline_whole
    last = await engine.append.append(room_id, message(ALICE, "one more"))
    assert [stored.event.event_id for stored in room.timeline] == [*ids, last.event.event_id][-TIMELINE:]
    await engine.stop()


async def test_a_small_room_is_read_to_its_beginning(tmp_path: Path) -> None:
    engine, ids = await engine_with_rooms(tmp_path)
    room = await engine.rooms.get(ids[-1])
    assert not room.timeline_whole
    await engine.rooms.deepen(room)
    assert room.timeline_whole
    assert room.timeline[0].event.type == "m.room.create"
    await engine.stop()


async def test_what_is_stale_as_soon_as_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody who waited was told. The server once asked for the same finished reading for ever."""
    engine, ids = await engine_with_rooms(tmp_path)
    waiting = asyncio.create_task(engine.rooms.get(ids[0]))
    while engine.rooms.cached(ids[0]) is None:
        await asyncio.sleep(0)
    engine.rooms.drop(ids[0])
    shield, asked = asyncio.shield, 0

    def counting(future: asyncio.Future[Room]) -> asyncio.Future[Room]:
        nonlocal asked
        asked += 1
        assert asked < 100, "the same reading is asked for again and again"
        return shield(future)

    monkeypatch.setattr(asyncio, "shield", counting)
    assert not (await engine.rooms.get(ids[0])).stale
    assert not (await waiting).stale
    await engine.stop()
