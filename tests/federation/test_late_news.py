"""What a server learns late: that it was put out, what was said behind a gap, whose keys it could not get.

Each of these was found by the simulator, as servers that never agreed again.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.federation.invented_room import InventedRoom
from tests.federation.kit import MemoryKit
from tests.federation.people import becomes, create, eventually, join, membership, say, texts, told
from tests.federation.stranger import V1, Stranger
from tests.federation.victim import Victim, push, seen
from weft.federation import behind
from weft.federation.transport import OutgoingRequest
from weft.graph.build import Draft
from weft.graph.outcome import Outcome
from weft.protocol.errors import Unreachable
from weft.rooms.commit import commit
from weft.storage import gaps, staged
from weft.testing import Answer, Client


async def test_who_is_put_out_while_away_learns_of_it(memory_servers: MemoryKit) -> None:
    """The event that did it builds on others that came meanwhile; who is no longer in the room may ask for those."""
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, "one.test")
    await say(alice, room_id, "hello")
    await told(bob, room_id, "hello")
    memory_servers.network.part([one.name], [two.name])
    await say(alice, room_id, "while Bob is away")
    (await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/kick", {"user_id": bob.user_id})).ok()
    await say(alice, room_id, "without Bob")
    await say(bob, room_id, "is anybody there?")
    memory_servers.network.mend_all()
    memory_servers.clock.advance(3600)
    await becomes(bob, room_id, str(bob.user_id), "leave")
    assert "without Bob" not in await texts(bob, room_id)
    assert "while Bob is away" in await texts(bob, room_id)


def sent_to(victim: Victim, server_name: str) -> list[dict[str, Any]]:
    """The events that a server is sent from now on."""
    found: list[dict[str, Any]] = []

    async def note(request: OutgoingRequest) -> None:
        if request.destination == server_name and "/send/" in request.uri:
            found.extend(orjson.loads(request.body or b"{}")["pdus"])

    victim.server.network.on_request.append(note)
    return found


async def test_who_speaks_after_it_was_put_out_is_told_of_it(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Whoever banned them may have told all others of it."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    eve = stranger.user("eve")
    levels = {"users": {str(alice.user_id): 100, eve: 50}}
    await alice.set_state(room_id, "m.room.power_levels", levels)
    second = Stranger(victim.server, "second.test")
    bob = second.user("bob")
    joined = await second.join(room_id, "bob")
    early = await second.make(room_id, message(bob, "am I in?"), prev=[joined])
    late = await second.make(room_id, message(bob, "is anybody there?"), prev=[early])
    ban = Draft(type="m.room.member", sender=eve, state_key=bob, content={"membership": "ban"})
    banned = await stranger.send(room_id, ban)
    sent = sent_to(victim, second.name)
    await push(second, early, late)
    await victim.settled()

    async def is_told() -> bool:
        return bool(sent)

    await eventually(is_told)
    assert sent == [banned.pdu]
    assert not {early.event_id, late.event_id} & await seen(alice, room_id)


async def test_who_left_by_themselves_is_not_reminded(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    joined = await stranger.join(room_id)
    eve = stranger.user("eve")
    late = await stranger.make(room_id, message(eve, "one more thing"), prev=[joined])
    leave = Draft(type="m.room.member", sender=eve, state_key=eve, content={"membership": "leave"})
    await stranger.send(room_id, leave)
    second = Stranger(victim.server, "second.test")
    await second.join(room_id, "bob")
    sent, to_others = sent_to(victim, stranger.name), sent_to(victim, second.name)
    await push(stranger, late)
    await alice.send(room_id, "gone")

    async def is_over() -> bool:
        return bool(to_others)

    await eventually(is_over)
    assert late.event_id not in await seen(alice, room_id)
    assert not sent


async def test_a_gap_is_filled_by_those_who_built_on_it(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Though they have left the room since, and nobody else has what is missing."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    engine = victim.server.server.engine
    eve = stranger.user("eve")
    hidden = await stranger.make(room_id, message(eve, "behind the gap"))
    shown = await stranger.make(room_id, message(eve, "before the gap"), prev=[hidden])
    state = list((await engine.rooms.get(room_id)).current.state.values())
    stranger.answers[f"{V1}/get_missing_events/{room_id}"] = stranger.json({"events": []})
    stranger.answers[f"{V1}/state_ids/{room_id}"] = stranger.json({"pdu_ids": state, "auth_chain_ids": []})
    await push(stranger, shown)
    await victim.settled()
    assert shown.event_id in await seen(alice, room_id)
    leave = Draft(type="m.room.member", sender=eve, state_key=eve, content={"membership": "leave"})
    await push(stranger, await stranger.make(room_id, leave, prev=[shown]))
    assert await membership(alice, room_id, eve) == "leave"
    found = {"origin": stranger.name, "origin_server_ts": 1, "pdus": [hidden.pdu]}
    stranger.answers[f"{V1}/backfill/{room_id}"] = stranger.json(found)
    await engine.remote.backfill.fill()
    assert hidden.event_id in await seen(alice, room_id)


async def test_a_gap_may_be_filled_by_who_sent_what_is_missing(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """Who built on it may know it from the state only, and neither need be in the room any more."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    second = Stranger(victim.server, "second.test")
    await stranger.join(room_id)
    await second.join(room_id, "bob")
    engine = victim.server.server.engine
    eve, bob = stranger.user("eve"), second.user("bob")
    rename = {"membership": "join", "displayname": "Robert"}
    hidden = await second.make(room_id, Draft(type="m.room.member", sender=bob, state_key=bob, content=rename))
    shown = await stranger.make(room_id, message(eve, "on top of it"), prev=[hidden])
    state = dict((await engine.rooms.get(room_id)).current.state)
    state["m.room.member", bob] = hidden.event_id
    stranger.answers[f"{V1}/get_missing_events/{room_id}"] = stranger.json({"events": []})
    known = {"pdu_ids": list(state.values()), "auth_chain_ids": []}
    stranger.answers[f"{V1}/state_ids/{room_id}"] = stranger.json(known)
    found = {"origin": stranger.name, "origin_server_ts": 1, "pdus": [hidden.pdu]}
    stranger.answers[f"{V1}/event/{hidden.event_id}"] = stranger.json(found)
    await push(stranger, shown)
    await victim.settled()
    assert shown.event_id in await seen(alice, room_id)
    stored = await engine.rooms.event(hidden.event_id)
    assert stored is not None
    assert stored.outcome is Outcome.OUTLIER
    room = await engine.rooms.get(room_id)
    missing = await engine.database.read(gaps.below, room.number, shown.depth, 20)
    assert [gap.event_id for gap in missing] == [hidden.event_id]
    assert await engine.database.read(gaps.holders, room.number, missing) == [bob, eve]


async def test_a_gap_may_be_filled_by_a_server_that_was_put_out(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """It spoke before it knew. Who is there still, and built on what it said, does not have that."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    second = Stranger(victim.server, "second.test")
    await stranger.join(room_id)
    await second.join(room_id, "bob")
    engine = victim.server.server.engine
    bob = second.user("bob")
    hidden = await second.make(room_id, message(bob, "am I out?"))
    shown = await stranger.make(room_id, message(stranger.user("eve"), "on top of it"), prev=[hidden])
    state = list((await engine.rooms.get(room_id)).current.state.values())
    (await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/kick", {"user_id": bob})).ok()
    stranger.answers[f"{V1}/get_missing_events/{room_id}"] = stranger.json({"events": []})
    stranger.answers[f"{V1}/state_ids/{room_id}"] = stranger.json({"pdu_ids": state, "auth_chain_ids": []})
    stranger.answers[f"{V1}/backfill/{room_id}"] = stranger.json(
        {"origin": stranger.name, "origin_server_ts": 1, "pdus": []}
    )
    second.answers[f"{V1}/backfill/{room_id}"] = second.json(
        {"origin": second.name, "origin_server_ts": 1, "pdus": [hidden.pdu]}
    )
    await push(stranger, shown)
    await victim.settled()

    async def is_filled() -> bool:
        # They don't take what is sent to them, and are left alone for a while.
        victim.server.clock.advance(7200)
        await engine.remote.backfill.fill()
        stored = await engine.rooms.event(hidden.event_id)
        return stored is not None and stored.is_placed

    await eventually(is_filled)


async def test_an_event_waits_for_what_it_builds_on_while_its_server_is_away(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """Nothing later need refer to it: its sender may have left the room."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    eve, engine = stranger.user("eve"), victim.server.server.engine
    hidden = await stranger.make(room_id, message(eve, "first"))
    shown = await stranger.make(room_id, message(eve, "then"), prev=[hidden])
    asked = 0

    async def away(request: OutgoingRequest) -> Answer | None:
        nonlocal asked
        if "/_matrix/key/" in request.uri:
            return None
        asked += "get_missing_events" in request.uri
        raise Unreachable("nobody is there")

    victim.server.network.on_request.insert(0, away)

    async def is_asked(times: int) -> bool:
        return asked >= times

    await push(stranger, shown)
    await eventually(lambda: is_asked(1))
    await victim.settled()
    victim.server.clock.advance(7 * 3600)
    # News of the room has it tried again.
    await push(stranger, await stranger.make(room_id, message(eve, "beside it")))
    await victim.settled()
    room = await engine.rooms.get(room_id)
    await eventually(lambda: is_asked(2))
    await victim.settled()
    assert await engine.database.read(staged.of_room, room.number, 10)
    victim.server.network.on_request.remove(away)
    stranger.answers[f"{V1}/get_missing_events/{room_id}"] = stranger.json({"events": [hidden.pdu]})
    victim.server.clock.advance(3600)

    async def is_there() -> bool:
        return {hidden.event_id, shown.event_id} <= await seen(alice, room_id)

    await eventually(is_there)


async def test_what_is_being_written_can_be_asked_about(
    victim: Victim, stranger: Stranger, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer waits for the write: the tables do not know of the state before an event any sooner."""
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await stranger.join(room_id)
    engine = victim.server.server.engine
    eve = stranger.user("eve")
    rename = {"membership": "join", "displayname": "Evelyn"}
    event = await stranger.make(room_id, Draft(type="m.room.member", sender=eve, state_key=eve, content=rename))
    gate, submit = asyncio.Event(), engine.database.submit

    async def later(*args: Any) -> Any:
        await gate.wait()
        return await submit(*args)

    def held_up(work: Any, *args: Any) -> Any:
        return asyncio.ensure_future(later(work, *args)) if work is commit else submit(work, *args)

    monkeypatch.setattr(engine.database, "submit", held_up)
    pushing = asyncio.create_task(push(stranger, event))
    await eventually(lambda: _is_at_hand(victim, event.event_id))
    # Others may have pushed out what the room has of it in memory.
    (await engine.rooms.get(room_id)).snapshots.clear()
    asking = asyncio.create_task(stranger.get(f"/state_ids/{quote(room_id)}", event_id=event.event_id))
    await asyncio.sleep(0.1)
    assert not asking.done()
    gate.set()
    await pushing
    assert len((await asking).ok()["pdu_ids"]) > 4


async def _is_at_hand(victim: Victim, event_id: str) -> bool:
    return victim.server.server.engine.rooms.cached_event(event_id) is not None


async def test_nobody_joins_by_a_server_whose_keys_are_not_had(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """The state that it tells of would lack its own users, and refuse for good what they do."""
    room = InventedRoom(stranger, "10")
    third = Stranger(victim.server, "third.test")
    carol = third.user("carol")
    room.add("m.room.member", {"membership": "join"}, carol, sender=carol, identity=third.identity)
    room.stranger = third
    withhold = withholding(victim, third.name)
    path = f"/_matrix/client/v3/join/{quote(room.id)}?via={third.name}"
    assert (await alice.post(path, {})).status >= 400
    victim.server.network.on_request.remove(withhold)
    victim.server.clock.advance(3600)
    (await alice.post(path, {})).ok()
    said = room.say("welcome", sender=carol, identity=third.identity)
    await push(third, said)
    assert said.event_id in await seen(alice, room.id)


async def test_who_could_not_be_verified_at_the_join_may_speak_later(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """The state after our join lacks Carol's. What she says builds on our join, and is not refused by that state."""
    room = InventedRoom(stranger, "10")
    third = Stranger(victim.server, "third.test")
    carol = third.user("carol")
    joined = room.add("m.room.member", {"membership": "join"}, carol, sender=carol, identity=third.identity)
    withhold = withholding(victim, third.name)
    (await alice.post(f"/_matrix/client/v3/join/{quote(room.id)}?via={stranger.name}", {})).ok()
    assert await membership(alice, room.id, carol) is None
    said = room.say("hello", sender=carol, identity=third.identity)
    # Her join is tried again first; were both under way at once, it would be chance which is taken in first.
    await try_again(victim, withhold)

    async def is_in() -> bool:
        return await membership(alice, room.id, carol) == "join"

    await eventually(is_in, 20)
    await push(stranger, said)
    await victim.settled()

    async def is_there() -> bool:
        return {said.event_id, joined.event_id} <= await seen(alice, room.id)

    await eventually(is_there, 20)
    assert await membership(alice, room.id, carol) == "join"


@pytest.mark.parametrize("is_verified", [False, True, None], ids=["an hour later", "verified", "left"])
async def test_a_state_that_could_not_be_verified_is_given_to_nobody(
    victim: Victim, stranger: Stranger, alice: Client, is_verified: bool | None
) -> None:
    """Who takes it as told would lack Carol for good. Once she is verified, or an hour has passed, it is given."""
    room = InventedRoom(stranger, "10")
    third = Stranger(victim.server, "third.test")
    carol = third.user("carol")
    room.add("m.room.member", {"membership": "join"}, carol, sender=carol, identity=third.identity)
    withhold = withholding(victim, third.name)
    (await alice.post(f"/_matrix/client/v3/join/{quote(room.id)}?via={stranger.name}", {})).ok()
    said = await alice.send(room.id, "hello")
    for what in ("state_ids", "state"):
        (await stranger.get(f"{V1}/{what}/{quote(room.id)}", event_id=said)).refused(404, "M_NOT_FOUND")
    if is_verified is None:
        await alice.leave(room.id)
        (await stranger.get(f"{V1}/state_ids/{quote(room.id)}", event_id=said)).refused(404, "M_NOT_FOUND")
    if is_verified:
        await try_again(victim, withhold)

        async def is_in() -> bool:
            return await membership(alice, room.id, carol) == "join"

        await eventually(is_in, 20)
    else:
        victim.server.clock.advance(3601)
    assert len((await stranger.get(f"{V1}/state_ids/{quote(room.id)}", event_id=said)).ok()["pdu_ids"]) > 4


async def test_who_could_not_be_verified_at_the_join_stays_banned(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """The ban leans on her membership: without that it could not be judged when Alice joined."""
    room = InventedRoom(stranger, "10")
    third = Stranger(victim.server, "third.test")
    carol = third.user("carol")
    room.add("m.room.member", {"membership": "join"}, carol, sender=carol, identity=third.identity)
    room.add("m.room.member", {"membership": "ban"}, carol)
    withhold = withholding(victim, third.name)
    (await alice.post(f"/_matrix/client/v3/join/{quote(room.id)}?via={stranger.name}", {})).ok()
    assert await membership(alice, room.id, carol) is None
    await try_again(victim, withhold)

    async def is_banned() -> bool:
        return await membership(alice, room.id, carol) == "ban"

    await eventually(is_banned, 20)


def message(sender: str, body: str) -> Draft:
    return Draft(type="m.room.message", sender=sender, content={"msgtype": "m.text", "body": body})


async def try_again(victim: Victim, withhold: Any) -> None:
    """Lets the keys be had, an hour later, and goes on with what was left for want of them."""
    victim.server.network.on_request.remove(withhold)
    victim.server.clock.advance(3600)
    resume = next(t for module in victim.server.server.modules for t in module.tasks if t.name == "events left behind")
    await resume.run()


def withholding(victim: Victim, name: str) -> object:
    """Has a server not be reached when it is asked for its keys; returns what stands in the way."""

    async def watch(request: OutgoingRequest) -> Answer | None:
        if request.destination == name and request.uri.startswith("/_matrix/key/"):
            raise Unreachable("its keys are not to be had")
        return None

    victim.server.network.on_request.insert(0, watch)
    return watch


@pytest.mark.parametrize("put_out", [False, True])
async def test_what_was_said_before_one_left_and_came_back(memory_servers: MemoryKit, put_out: bool) -> None:
    """It could not be sent then, and nothing since builds on it: the way back in was made by another server."""
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await join(bob, room_id, one.name)
    is_cut = True

    async def lose(request: OutgoingRequest) -> None:
        if is_cut and request.origin == two.name and "/federation/v1/send/" in request.uri:
            raise Unreachable("the way is cut")

    memory_servers.network.on_request.append(lose)
    await say(bob, room_id, "before leaving")

    async def is_behind() -> bool:
        return one.name in await two.server.engine.database.read(behind.read_all)

    await eventually(is_behind)
    if put_out:
        (await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/kick", {"user_id": bob.user_id})).ok()
        await becomes(bob, room_id, str(bob.user_id), "leave")
    else:
        await bob.leave(room_id)
    await join(bob, room_id, one.name)
    # What was under way when the way in was found gets lost, too.
    await asyncio.sleep(0.2)
    is_cut = False
    memory_servers.clock.advance(3600)
    await say(bob, room_id, "back again")

    async def has_arrived() -> bool:
        return {"before leaving", "back again"} <= set(await texts(alice, room_id))

    await eventually(has_arrived)
