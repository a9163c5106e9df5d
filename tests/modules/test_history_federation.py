"""What other servers are given of rooms' pasts.

https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.federation.stranger import Stranger
from weft.graph.build import Draft
from weft.graph.outcome import Outcome
from weft.protocol.event import Event
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.testing import Client, TestServer

VISIBILITY = "m.room.history_visibility"


@pytest_asyncio.fixture
async def alice(server: TestServer) -> Client:
    return await server.user("alice")


@pytest.fixture
def stranger(server: TestServer) -> Stranger:
    return Stranger(server)


async def room_with_eve(alice: Client, stranger: Stranger, **options: Any) -> tuple[str, Event]:
    """A public room of Alice's that somebody of the other server has joined."""
    room_id = await alice.create_room(**{"preset": "public_chat", "room_version": "11", **options})
    return room_id, await stranger.join(room_id)


def ids(pdus: list[dict[str, Any]], room_version: str = "11") -> list[str]:
    return [Event.parse(pdu, ROOM_VERSIONS[room_version]).event_id for pdu in pdus]


def bodies(pdus: list[dict[str, Any]]) -> list[Any]:
    return [pdu["content"].get("body") for pdu in pdus if pdu["type"] == "m.room.message"]


# -- backfill


@pytest.mark.parametrize("version", ["2", "6", "11", "12"])
async def test_backfill_goes_back_from_events(alice: Client, stranger: Stranger, version: str) -> None:
    room_id, _ = await room_with_eve(alice, stranger, room_version=version)
    sent = [await alice.send(room_id, f"m{number}") for number in range(5)]
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[sent[3]], limit=3)).ok()
    assert page["origin"] == "weft.test"
    assert bodies(page["pdus"]) == ["m3", "m2", "m1"]
    if version != "2":
        assert ids(page["pdus"], version) == [sent[3], sent[2], sent[1]]
    whole = (await stranger.get(f"/backfill/{quote(room_id)}", v=[sent[4]], limit=1_000_000)).ok()["pdus"]
    assert whole[-1]["type"] == "m.room.create"
    assert bodies(whole) == ["m4", "m3", "m2", "m1", "m0"]


async def test_backfill_gives_at_most_a_hundred(alice: Client, stranger: Stranger) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    sent = [await alice.send(room_id, str(number)) for number in range(110)]
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[sent[-1]], limit=5_000)).ok()["pdus"]
    assert len(page) == 100
    assert bodies(page) == [str(number) for number in reversed(range(10, 110))]


async def test_backfill_walks_branches_by_depth(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    mine = await alice.send(room_id, "mine")
    content = {"body": "theirs", "msgtype": "m.text"}
    theirs = await stranger.send(
        room_id, Draft(type="m.room.message", sender=stranger.user("eve"), content=content), prev=[joined]
    )
    merged = await alice.send(room_id, "merged")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[merged], limit=4)).ok()["pdus"]
    found = ids(page)
    assert found[0] == merged
    assert set(found[1:3]) == {mine, theirs.event_id}
    assert found[3] == joined.event_id
    only = (await stranger.get(f"/backfill/{quote(room_id)}", v=[mine], limit=2)).ok()["pdus"]
    assert ids(only) == [mine, joined.event_id]


async def test_backfill_passes_over_what_it_does_not_know_or_what_is_elsewhere(
    alice: Client, stranger: Stranger
) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    other = await alice.create_room(preset="private_chat", room_version="11")
    elsewhere = await alice.send(other, "secret")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[elsewhere, "$nobody", "x" * 200], limit=10)).ok()
    assert page["pdus"] == []
    (await stranger.get(f"/backfill/{quote(room_id)}", v=[elsewhere], limit=-1)).refused(400, "M_INVALID_PARAM")
    (await stranger.get(f"/backfill/{quote(room_id)}", limit=1)).refused(400, "M_MISSING_PARAM")


# -- the gap between events


async def test_missing_events_lead_from_the_earliest_to_the_latest(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    sent = [await alice.send(room_id, f"m{number}") for number in range(6)]

    async def missing(**query: Any) -> list[str]:
        answer = await stranger.post(f"/get_missing_events/{quote(room_id)}", query)
        return ids(answer.ok()["events"])

    gap = {"earliest_events": [sent[1]], "latest_events": [sent[5]]}
    assert await missing(**gap, limit=10) == sent[2:5]
    assert await missing(**gap, limit=2) == sent[3:5]
    assert await missing(**gap, limit=0) == []
    assert await missing(earliest_events=[], latest_events=[sent[1]], limit=2) == [joined.event_id, sent[0]]
    assert await missing(earliest_events=[sent[5]], latest_events=[sent[5]]) == []
    assert await missing(earliest_events=[], latest_events=["$nobody"], limit=1 << 40) == []
    assert await missing(**gap, limit=10, min_depth=joined.depth + 4) == [sent[3], sent[4]]
    everything = await missing(earliest_events=[], latest_events=[sent[5]], limit=1 << 40, min_depth=-(1 << 40))
    assert everything[-6:] == [joined.event_id, *sent[:5]]


async def test_missing_events_are_found_on_every_branch(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    mine = await alice.send(room_id, "mine")
    content = {"body": "theirs", "msgtype": "m.text"}
    theirs = await stranger.send(
        room_id, Draft(type="m.room.message", sender=stranger.user("eve"), content=content), prev=[joined]
    )
    merged = await alice.send(room_id, "merged")
    answer = await stranger.post(
        f"/get_missing_events/{quote(room_id)}",
        {"earliest_events": [joined.event_id], "latest_events": [merged], "limit": 10},
    )
    assert set(ids(answer.ok()["events"])) == {mine, theirs.event_id}


# -- single events


async def test_one_event(alice: Client, stranger: Stranger) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    event_id = await alice.send(room_id, "hello")
    answer = (await stranger.get(f"/event/{quote(event_id)}")).ok()
    assert answer["origin"] == "weft.test"
    assert bodies(answer["pdus"]) == ["hello"]
    assert ids(answer["pdus"]) == [event_id]
    (await stranger.get("/event/%24nobody")).refused(404, "M_NOT_FOUND")
    (await stranger.get(f"/event/{'x' * 300}")).refused(400, "M_INVALID_PARAM")


async def test_soft_failed_events_are_given_and_rejected_ones_are_not(alice: Client, stranger: Stranger) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    before = await stranger.say(room_id, "before")
    content = {"body": "late", "msgtype": "m.text"}
    draft = Draft(type="m.room.message", sender=stranger.user("eve"), content=content)
    late = await stranger.make(room_id, draft, prev=[before])
    ban = f"/_matrix/client/v3/rooms/{quote(room_id)}/ban"
    (await alice.post(ban, {"user_id": stranger.user("eve")})).ok()
    await stranger.join(room_id, "mallory")
    # Made before the ban, says its sender: allowed by what it leans on, and not by the room as it is.
    await stranger.hand_over(room_id, late, expect=Outcome.SOFT_FAILED)
    assert bodies((await stranger.get(f"/event/{quote(late.event_id)}")).ok()["pdus"]) == ["late"]
    rejected = await stranger.send(
        room_id,
        Draft(type="m.room.power_levels", sender=stranger.user("mallory"), state_key="", content={"users": {}}),
        expect=Outcome.REJECTED,
    )
    (await stranger.get(f"/event/{quote(rejected.event_id)}")).refused(404, "M_NOT_FOUND")
    for path in ("state", "state_ids"):
        answer = await stranger.get(f"/{path}/{quote(room_id)}", event_id=rejected.event_id)
        answer.refused(404, "M_NOT_FOUND")
    auth_path = f"/event_auth/{quote(room_id)}"
    (await stranger.get(f"{auth_path}/{quote(rejected.event_id)}")).refused(404, "M_NOT_FOUND")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[rejected.event_id], limit=100)).ok()["pdus"]
    assert rejected.event_id not in ids(page)


async def test_an_event_s_auth_chain(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    said = await stranger.say(room_id)
    answer = (await stranger.get(f"/event_auth/{quote(room_id)}/{quote(said.event_id)}")).ok()
    chain = set(ids(answer["auth_chain"]))
    assert set(said.auth_events) <= chain
    assert set(joined.auth_events) <= chain
    assert said.event_id not in chain
    types = {pdu["type"] for pdu in answer["auth_chain"]}
    assert types == {"m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"}
    other = await alice.create_room(preset="public_chat", room_version="11")
    elsewhere = await alice.send(other, "x")
    (await stranger.get(f"/event_auth/{quote(room_id)}/{quote(elsewhere)}")).refused(404, "M_NOT_FOUND")


# -- state


@pytest.mark.parametrize("version", ["2", "11", "12"])
async def test_the_state_is_the_one_before_the_event(alice: Client, stranger: Stranger, version: str) -> None:
    room_id, _ = await room_with_eve(alice, stranger, room_version=version, name="first")
    renamed = await alice.set_state(room_id, "m.room.name", {"name": "second"})
    said = await alice.send(room_id, "hello")
    topic = await alice.set_state(room_id, "m.room.topic", {"topic": "new"})

    async def name_before(event_id: str) -> list[str]:
        state = (await stranger.get(f"/state/{quote(room_id)}", event_id=event_id)).ok()
        return [pdu["content"]["name"] for pdu in state["pdus"] if pdu["type"] == "m.room.name"]

    assert await name_before(renamed) == ["first"]
    assert await name_before(said) == ["second"]
    state = (await stranger.get(f"/state/{quote(room_id)}", event_id=topic)).ok()
    assert not [pdu for pdu in state["pdus"] if pdu["type"] == "m.room.topic"]
    told = (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=topic)).ok()
    again = (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=topic)).ok()
    assert told == again
    assert len(told["pdu_ids"]) == len(set(told["pdu_ids"])) == len(state["pdus"])
    assert len(told["auth_chain_ids"]) == len(set(told["auth_chain_ids"])) == len(state["auth_chain"])
    if version != "2":
        assert set(told["pdu_ids"]) == set(ids(state["pdus"], version))
        assert set(told["auth_chain_ids"]) == set(ids(state["auth_chain"], version))
    assert topic not in told["pdu_ids"]
    assert "m.room.create" in {pdu["type"] for pdu in state["auth_chain"]}
    after = (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=said)).ok()
    assert set(after["pdu_ids"]) == set(told["pdu_ids"])


async def test_state_of_what_is_unknown_or_elsewhere(alice: Client, stranger: Stranger) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    other = await alice.create_room(preset="private_chat", room_version="11")
    elsewhere = await alice.send(other, "x")
    for path in ("state", "state_ids"):
        for event_id in ("$nobody", elsewhere):
            (await stranger.get(f"/{path}/{quote(room_id)}", event_id=event_id)).refused(404, "M_NOT_FOUND")
        (await stranger.get(f"/{path}/{quote(other)}", event_id=elsewhere)).refused(403, "M_FORBIDDEN")


# -- times


async def test_the_event_at_a_time(server: TestServer, alice: Client, stranger: Stranger) -> None:
    room_id, _ = await room_with_eve(alice, stranger)
    server.clock.advance(60)
    middle = server.clock()
    server.clock.advance(60)
    event_id = await alice.send(room_id, "late")
    path = f"/timestamp_to_event/{quote(room_id)}"
    assert (await stranger.get(path, ts=middle, dir="f")).ok()["event_id"] == event_id
    assert (await stranger.get(path, ts=middle, dir="b")).ok()["origin_server_ts"] < middle
    (await stranger.get(path, ts=0, dir="b")).refused(404, "M_NOT_FOUND")
    (await stranger.get(path, ts=10**30, dir="f")).refused(404, "M_NOT_FOUND")
    (await stranger.get(path, ts=0, dir="sideways")).refused(400, "M_INVALID_PARAM")


# -- who may look


def _requests(room_id: str, event_id: str) -> list[tuple[str, str, dict[str, Any] | None, dict[str, Any]]]:
    room, event = quote(room_id), quote(event_id)
    gap = {"earliest_events": [], "latest_events": [event_id], "limit": 10}
    return [
        ("GET", f"/backfill/{room}", None, {"v": [event_id], "limit": 10}),
        ("POST", f"/get_missing_events/{room}", gap, {}),
        ("GET", f"/event_auth/{room}/{event}", None, {}),
        ("GET", f"/state/{room}", None, {"event_id": event_id}),
        ("GET", f"/state_ids/{room}", None, {"event_id": event_id}),
        ("GET", f"/timestamp_to_event/{room}", None, {"ts": 0, "dir": "f"}),
    ]


async def test_a_server_that_is_not_in_the_room_learns_nothing(alice: Client, stranger: Stranger) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    event_id = await alice.send(room_id, "secret")
    for method, path, json, query in _requests(room_id, event_id):
        known = (await stranger.request(method, path, json=json, query=query)).refused(403, "M_FORBIDDEN")
        elsewhere = path.replace(quote(room_id), quote("!nowhere:weft.test"))
        assert (await stranger.request(method, elsewhere, json=json, query=query)).refused(403, "M_FORBIDDEN") == known
    refused = (await stranger.get(f"/event/{quote(event_id)}")).refused(404, "M_NOT_FOUND")
    assert (await stranger.get("/event/%24nobody")).refused(404, "M_NOT_FOUND") == refused


async def test_a_request_that_is_not_signed_is_refused(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    for method, path, json, query in [
        *_requests(room_id, joined.event_id),
        ("GET", f"/event/{joined.event_id}", None, {}),
    ]:
        answer = await stranger.request(method, path, json=json, query=query, signed=False)
        answer.refused(401, "M_UNAUTHORIZED")


async def test_a_server_that_has_left_learns_of_its_own_time_alone(alice: Client, stranger: Stranger) -> None:
    """It may have been put out while it could not be reached: then it finds the way to the event that did it."""
    room_id, joined = await room_with_eve(alice, stranger)
    eve = stranger.user("eve")
    shared = await alice.send(room_id, "with eve")
    kicked = (await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/kick", {"user_id": eve})).ok()
    assert kicked == {}
    state = (await alice.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/state")).ok()
    (kick,) = [event["event_id"] for event in state if event["state_key"] == eve]
    after = await alice.send(room_id, "without eve")
    for method, path, json, query in _requests(room_id, after):
        (await stranger.request(method, path, json=json, query=query)).refused(403, "M_FORBIDDEN")
    asked = {"earliest_events": [joined.event_id], "latest_events": [kick], "limit": 10}
    between = (await stranger.post(f"/get_missing_events/{quote(room_id)}", asked)).ok()["events"]
    assert ids(between) == [shared]
    told = (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=kick)).ok()
    assert joined.event_id in told["pdu_ids"]
    assert bodies((await stranger.get(f"/event/{quote(shared)}")).ok()["pdus"]) == ["with eve"]
    (await stranger.get(f"/event/{quote(after)}")).refused(404, "M_NOT_FOUND")


async def test_a_server_that_the_room_keeps_out_is_not_answered(alice: Client, stranger: Stranger) -> None:
    room_id, joined = await room_with_eve(alice, stranger)
    await alice.set_state(room_id, "m.room.server_acl", {"allow": ["*"], "deny": ["stranger.*"]})
    for method, path, json, query in _requests(room_id, joined.event_id):
        (await stranger.request(method, path, json=json, query=query)).refused(403, "M_FORBIDDEN")
    (await stranger.get(f"/event/{quote(joined.event_id)}")).refused(404, "M_NOT_FOUND")


async def test_anybody_may_look_into_a_room_that_is_open_to_the_world(alice: Client, stranger: Stranger) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    closed = await alice.send(room_id, "closed")
    await alice.set_state(room_id, VISIBILITY, {"history_visibility": "world_readable"})
    opened = await alice.send(room_id, "open")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[opened], limit=100)).ok()["pdus"]
    assert bodies(page) == ["open", None]
    (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=opened)).ok()
    (await stranger.get(f"/state_ids/{quote(room_id)}", event_id=closed)).refused(404, "M_NOT_FOUND")
    found = (await stranger.get(f"/timestamp_to_event/{quote(room_id)}", ts=0, dir="f")).ok()
    assert found["event_id"] != closed
    await alice.set_state(room_id, VISIBILITY, {"history_visibility": "shared"})
    (await stranger.get(f"/backfill/{quote(room_id)}", v=[opened], limit=1)).refused(403, "M_FORBIDDEN")


async def test_what_a_server_may_not_see_is_redacted(alice: Client, stranger: Stranger) -> None:
    room_id = await alice.create_room(
        preset="public_chat",
        room_version="11",
        initial_state=[{"type": VISIBILITY, "state_key": "", "content": {"history_visibility": "joined"}}],
    )
    hidden = await alice.send(room_id, "before eve")
    joined = await stranger.join(room_id)
    shown = await alice.send(room_id, "with eve")
    eve = stranger.user("eve")
    left = await stranger.send(
        room_id, Draft(type="m.room.member", sender=eve, state_key=eve, content={"membership": "leave"})
    )
    between = await alice.send(room_id, "without eve")
    await stranger.join(room_id)
    last = await alice.send(room_id, "eve again")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[last], limit=100)).ok()["pdus"]
    assert bodies(page) == ["eve again", None, "with eve", None]
    # Redacted or not, an event keeps its id.
    assert {hidden, joined.event_id, shown, left.event_id, between, last} <= set(ids(page))
    assert bodies((await stranger.get(f"/event/{quote(hidden)}")).ok()["pdus"]) == [None]
    own = next(pdu for pdu in page if pdu["content"].get("membership") == "leave")
    assert own["sender"] == eve
    await alice.set_state(room_id, VISIBILITY, {"history_visibility": "shared"})
    later = await alice.send(room_id, "for all")
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[later], limit=100)).ok()["pdus"]
    assert bodies(page) == ["for all", "eve again", None, "with eve", None]
    found = (await stranger.get(f"/timestamp_to_event/{quote(room_id)}", ts=0, dir="f")).ok()
    assert found["event_id"] not in (hidden, between)


async def test_invited_servers_see_from_the_invite_on(alice: Client, stranger: Stranger) -> None:
    room_id = await alice.create_room(
        preset="public_chat",
        room_version="11",
        initial_state=[{"type": VISIBILITY, "state_key": "", "content": {"history_visibility": "invited"}}],
    )
    await alice.send(room_id, "before")
    await stranger.join(room_id, "first")
    eve = stranger.user("first")
    await stranger.send(
        room_id, Draft(type="m.room.member", sender=eve, state_key=eve, content={"membership": "leave"})
    )
    await alice.send(room_id, "gone")
    other = Stranger(stranger.server, "other.test")
    await other.join(room_id)
    last = await alice.send(room_id, "last")
    page = (await other.get(f"/backfill/{quote(room_id)}", v=[last], limit=100)).ok()["pdus"]
    assert bodies(page) == ["last", None, None]


async def test_what_somebody_wanted_erased_is_not_given(server: TestServer, stranger: Stranger) -> None:
    alice, carol = await server.user("alice"), await server.user("carol")
    room_id, _ = await room_with_eve(alice, stranger)
    await carol.join(room_id)
    await carol.send(room_id, "forget me")
    last = await alice.send(room_id, "stays")
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "carol"},
        "password": "correct horse",
    }
    (await carol.post("/_matrix/client/v3/account/deactivate", {"auth": auth, "erase": True})).ok()
    page = (await stranger.get(f"/backfill/{quote(room_id)}", v=[last], limit=2)).ok()["pdus"]
    assert bodies(page) == ["stays", None]
