"""Transactions of a server that means ill: what of it is stored, what clients see, and what it makes us do.

https://spec.matrix.org/v1.19/server-server-api/#transactions
"""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from tests.federation.invented_room import InventedRoom
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push, refused_events, seen, timeline
from weft.graph.build import Draft, build
from weft.graph.outcome import Outcome
from weft.protocol.canonical_json import MAX_INTEGER
from weft.protocol.event import Event, seal
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.testing import Client


async def room_of(alice: Client, stranger: Stranger, version: str = "10", **options: Any) -> str:
    """A public room of Alice's that `@eve:stranger.test` has joined."""
    room_id = await alice.create_room(preset="public_chat", room_version=version, **options)
    await stranger.join(room_id)
    return room_id


def message(stranger: Stranger, **content: Any) -> Draft:
    return Draft(type="m.room.message", sender=stranger.user("eve"), content={"msgtype": "m.text", **content})


def resealed(event: Event, stranger: Stranger, **changes: Any) -> Event:
    """The event with other members, hashed and signed anew, whatever it then is."""
    pdu = {**{key: value for key, value in event.pdu.items() if key not in ("hashes", "signatures")}, **changes}
    return seal(pdu, event.version, stranger.name, stranger.key)


# -- what is no transaction


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'{"pdus":{}}',
        b'{"pdus":[],"edus":{}}',
        b"[" * 100_000,
        b'{"pdus":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"pdus":["\\ud800"]}',
        b'{"pdus":[],"origin":"\xff"}',
        orjson.dumps({"pdus": [{}] * 51}),
        orjson.dumps({"pdus": [], "edus": [{}] * 101}),
    ],
)
async def test_what_is_no_transaction_is_refused(victim: Victim, stranger: Stranger, body: bytes) -> None:
    async with victim.gains():
        answer = await stranger.raw("PUT", "/send/1", body)
    assert answer.status in (400, 413), answer
    assert answer.json["errcode"].startswith("M_")


async def test_a_transaction_that_is_too_long(victim: Victim, stranger: Stranger) -> None:
    async with victim.gains():
        answer = await stranger.raw("PUT", "/send/1", b'{"pdus":[],"x":"' + b"x" * (9 << 20) + b'"}')
    answer.refused(413, "M_TOO_LARGE")


NO_EVENTS: list[Any] = [
    None,
    1,
    "x",
    [],
    {},
    {"room_id": 1},
    {"room_id": "\0"},
    {"room_id": "!nobody:knows"},
    {"room_id": "x" * 100_000},
    {"type": "m.room.message"},
]


async def test_what_is_no_event_is_passed_over(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await room_of(alice, stranger)
    good = await stranger.make(room_id, message(stranger, body="good"))
    bad = [*NO_EVENTS, *({"room_id": room_id, **one} for one in NO_EVENTS if isinstance(one, dict))]
    async with victim.gains(events=1):
        assert await refused_events(await push(stranger, *bad, good)) == {}
    assert good.event_id in await seen(alice, room_id)


#: Members of an event, and values that none may have.
WRONG: list[tuple[str, Any]] = [
    ("type", None),
    ("type", "x" * 256),
    ("state_key", 1),
    ("state_key", "é" * 128),
    ("sender", "eve"),
    ("sender", "@eve:" + "x" * 300),
    ("sender", "@e\0ve:stranger.test"),
    ("content", []),
    ("content", {"a": 2**53}),
    ("content", {"a": 1.5}),
    ("content", {"a": "x" * 70_000}),
    ("depth", -1),
    ("depth", 2**53),
    ("depth", "1"),
    ("depth", True),
    ("origin_server_ts", "now"),
    ("origin_server_ts", 2**70),
    ("prev_events", {}),
    ("prev_events", ["x"]),
    ("prev_events", ["$" + "x" * 300]),
    ("prev_events", ["$\0"]),
    ("prev_events", [f"${n}" for n in range(21)]),
    ("auth_events", [f"${n}" for n in range(11)]),
    ("auth_events", [None]),
    ("hashes", {}),
    ("hashes", "x"),
    ("signatures", {"stranger.test": "x"}),
    ("signatures", {}),
    ("unsigned", "x"),
    ("room_id", "!other:weft.test"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_events_with_a_wrong_member(
    victim: Victim, stranger: Stranger, alice: Client, name: str, value: Any
) -> None:
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    async with victim.gains():
        (await push(stranger, {**event.pdu, name: value})).ok()
    assert len(await timeline(alice, room_id)) == len(await seen(alice, room_id))


@pytest.mark.parametrize(
    "text", [r'"\ud800"', r'"\udfff\ud800"', '"\\u0000"', "1e400", "-0", "9" * 400, "1" + "0" * 19]
)
@pytest.mark.parametrize("version", ["1", "10"])
async def test_values_at_the_edges_of_json(
    victim: Victim, stranger: Stranger, alice: Client, text: str, version: str
) -> None:
    """Put into the JSON by hand, since nobody's encoder writes them."""
    room_id = await room_of(alice, stranger, version)
    event = await stranger.make(room_id, message(stranger, body="here"))
    pdu = event.wire.replace(b'"here"', text.encode())
    answer = await stranger.raw("PUT", "/send/1", b'{"pdus":[%s],"edus":[]}' % pdu)
    assert answer.status in (200, 400)
    await victim.settled()
    assert (await alice.get("/_matrix/client/v3/sync")).status == 200
    assert len(await timeline(alice, room_id)) > 3


async def test_deep_events_are_dropped_or_shown(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await room_of(alice, stranger)
    for depth in (50, 500, 5_000, 30_000):
        event = await stranger.make(room_id, message(stranger, body="here"))
        pdu = event.wire.replace(b'"here"', b"[" * depth + b"]" * depth)
        answer = await stranger.raw("PUT", f"/send/{depth}", b'{"pdus":[%s],"edus":[]}' % pdu)
        assert answer.status in (200, 400)
    assert (await alice.get("/_matrix/client/v3/sync")).status == 200


# -- hashes and signatures


async def test_an_event_whose_content_hash_is_wrong_is_taken_redacted(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="real"))
    forged = {**event.pdu, "content": {"body": "forged", "msgtype": "m.text"}}
    async with victim.gains(events=1):
        assert await refused_events(await push(stranger, forged)) == {}
    shown = {one["event_id"]: one for one in await timeline(alice, room_id)}
    assert shown[event.event_id]["content"] == {}


async def test_signatures_that_do_not_hold(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    zero = "A" * 86
    ((key_id, _),) = event.pdu["signatures"][stranger.name].items()
    wrong = [
        {stranger.name: {key_id: zero}},
        {stranger.name: {"ed25519:other": event.pdu["signatures"][stranger.name][key_id]}},
        {stranger.name: {key_id: "no base64 ☺"}},
        {"weft.test": {key_id: zero}},
        {stranger.name: {f"ed25519:{n}": zero for n in range(500)}},
        {f"s{n}.test": {key_id: zero} for n in range(500)},
    ]
    async with victim.gains():
        for signatures in wrong:
            answer = await push(stranger, {**event.pdu, "signatures": signatures})
            assert list(await refused_events(answer)) == [event.event_id]
    assert event.event_id not in await seen(alice, room_id)


async def test_events_in_the_name_of_others(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Signed by the one who sends them, and not by the server of their sender."""
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    async with victim.gains():
        for sender in (alice.user_id, "@eve:elsewhere.test"):
            forged = resealed(event, stranger, sender=sender)
            assert list(await refused_events(await push(stranger, forged))) == [forged.event_id]
    assert len(await timeline(alice, room_id)) == len(await seen(alice, room_id))


async def test_events_of_many_unknown_servers_ask_few_of_them(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """Each is asked for its keys once, all at a time."""
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    forged = [resealed(event, stranger, sender=f"@eve:s{number}.test") for number in range(50)]
    before = sum(victim.asked.values())
    async with victim.gains():
        assert len(await refused_events(await push(stranger, *forged))) == 50
    assert sum(victim.asked.values()) - before <= 100


# -- what they refer to


async def test_auth_events_that_do_not_allow(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Of another room, twice the same, too many, of the wrong kind, one that was rejected: each is rejected itself."""
    room_id, other = await room_of(alice, stranger), await room_of(alice, stranger)
    mine = await stranger.make(room_id, message(stranger, body="x"))
    theirs = await stranger.make(other, message(stranger, body="x"))
    rejected = await stranger.make(room_id, message(stranger, body="no member"))
    rejected = resealed(rejected, stranger, sender=stranger.user("nobody"))
    await stranger.hand_over(room_id, rejected, expect=Outcome.REJECTED)
    said = await stranger.say(room_id)
    cases = [
        list(theirs.auth_events),
        [*mine.auth_events, mine.auth_events[0]],
        [*mine.auth_events, said.event_id],
        [*mine.auth_events, rejected.event_id],
        list(mine.auth_events)[1:],
        [],
    ]
    for auth in cases:
        event = resealed(mine, stranger, auth_events=auth)
        answer = await push(stranger, event)
        assert list(await refused_events(answer)) == [event.event_id], auth
        assert event.event_id not in await seen(alice, room_id)
    await stranger.say(room_id, "and the room goes on")


async def test_made_up_references_cost_little(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    await victim.settled()
    before = victim.asked[stranger.name]
    made_up = [f"$made-up{number}" for number in range(20)]
    events = [
        resealed(event, stranger, prev_events=made_up),
        resealed(event, stranger, auth_events=made_up[:10]),
        resealed(event, stranger, auth_events=made_up[:10], prev_events=made_up),
    ]
    async with victim.gains(staged_events=3):
        await push(stranger, *events)
    assert victim.asked[stranger.name] - before < 60
    assert not {one.event_id for one in events} & await seen(alice, room_id)


async def test_events_that_wait_do_not_keep_others_waiting(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """However many events refer to what is not there, those that can be dealt with are."""
    room_id = await room_of(alice, stranger)
    friend = Stranger(victim.server, "friend.test")
    joined = await friend.join(room_id, "bob")
    await push(friend, joined)
    event = await stranger.make(room_id, message(stranger, body="x"))
    for start in range(0, 1_200, 50):
        junk = [
            resealed(event, stranger, prev_events=[f"$made-up{number}"], depth=0) for number in range(start, start + 50)
        ]
        await push(stranger, *junk)
    room = await victim.server.server.engine.rooms.get(room_id)
    content = {"msgtype": "m.text", "body": "between"}
    between = await friend.make(room_id, Draft(type="m.room.message", sender=friend.user("bob"), content=content))
    draft = Draft(type="m.room.message", sender=friend.user("bob"), content={**content, "body": "after"})
    after = await friend.make(room_id, draft, prev=[between])
    path = f"/_matrix/federation/v1/get_missing_events/{room.id}"
    friend.answers[path] = friend.json({"events": [between.pdu]})
    assert await refused_events(await push(friend, after)) == {}
    await victim.settled()
    assert {between.event_id, after.event_id} <= await seen(alice, room_id)
    rows = await victim.rows()
    assert rows["staged_events"] < 500


async def test_a_chain_without_end_is_not_followed(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Each answer of `get_missing_events` names another event that is missing."""
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    chain = [resealed(event, stranger, prev_events=["$the-end"])]
    for number in range(2_000):
        chain.append(resealed(event, stranger, prev_events=[chain[-1].event_id], origin_server_ts=number))
    at = {one.event_id: index for index, one in enumerate(chain)}

    def answer(body: Any) -> Any:
        index = min(at[one] for one in body["latest_events"])
        return stranger.json({"events": [one.pdu for one in chain[max(0, index - 50) : index]]})

    stranger.answering[f"/_matrix/federation/v1/get_missing_events/{room_id}"] = answer
    before = victim.asked[stranger.name]
    async with victim.gains(staged_events=1):
        await push(stranger, chain[-1])
    assert victim.asked[stranger.name] - before < 60


async def test_many_missing_states_are_not_all_fetched(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Five hundred events, each of which also builds on one of its own that is missing."""
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    front = list(event.prev_events)
    wide = [resealed(event, stranger, prev_events=[*front, f"$gone{number}"]) for number in range(400)]
    last = wide
    while len(last) > 1:
        last = [
            resealed(event, stranger, prev_events=[one.event_id for one in last[start : start + 20]])
            for start in range(0, len(last), 20)
        ]
        wide.extend(last)
    by_id = {one.event_id: one for one in wide}

    def answer(body: Any) -> Any:
        wanted = [prev for one in body["latest_events"] for prev in by_id[one].prev_events if prev in by_id]
        return stranger.json({"events": [by_id[one].pdu for one in wanted[:50]]})

    stranger.answering[f"/_matrix/federation/v1/get_missing_events/{room_id}"] = answer
    before = victim.asked[stranger.name]
    await push(stranger, last[0])
    await victim.settled()
    assert victim.asked[stranger.name] - before < 300
    assert await seen(alice, room_id) >= set(front)


# -- the room itself


@pytest.mark.parametrize("version", ["1", "6", "10", "11"])
async def test_a_room_has_one_create_event(victim: Victim, stranger: Stranger, alice: Client, version: str) -> None:
    """Another one is nothing, whether it has a past or none, and nothing can be built on it."""
    room_id = await room_of(alice, stranger, version)
    rules = ROOM_VERSIONS[version]
    eve = stranger.user("eve")
    content: dict[str, Any] = {"room_version": version}
    if rules.auth.creator_in_content:
        content["creator"] = eve
    draft = Draft(type="m.room.create", sender=eve, state_key="", content=content)
    on_top = await stranger.make(room_id, draft)
    alone = await stranger.make(room_id, draft, prev=[])
    for create in (on_top, alone):
        answer = await push(stranger, create)
        assert answer.status == 200
        await victim.settled()
        assert create.event_id not in await seen(alice, room_id)
    room = await victim.server.server.engine.rooms.get(room_id)
    assert room.state_id("m.room.create") not in (on_top.event_id, alone.event_id)
    member = Draft(type="m.room.member", sender=eve, state_key=eve, content={"membership": "join"})
    joined = await stranger.make(room_id, member, prev=[alone])
    await push(stranger, joined)
    await victim.settled()
    assert joined.event_id not in await seen(alice, room_id)
    await stranger.say(room_id, "and the room goes on")


async def test_a_second_create_event_by_the_server_that_named_the_room(victim: Victim, alice: Client) -> None:
    """The only one who could: its server's name is in the room's id. It comes as an outlier first."""
    owner = Stranger(victim.server, "owner.test")
    mallory = owner.user("mallory")
    version = ROOM_VERSIONS["10"]
    room = InventedRoom(owner)
    (await alice.post(f"/_matrix/client/v3/join/{room.id}?via=owner.test", {})).ok()
    other = Draft(
        type="m.room.create", sender=mallory, state_key="", content={"creator": mallory, "room_version": "10", "n": 2}
    )
    second = build(
        other,
        version=version,
        room_id=room.id,
        prev_events=[],
        auth_events=[],
        identity=owner.identity,
        now_ms=victim.server.clock(),
    )
    engine = victim.server.server.engine
    known = await engine.rooms.get(room.id)
    await engine.receive.add_outliers(known, [second])
    await push(owner, second)
    await victim.settled()
    known = await engine.rooms.get(room.id)
    assert known.state_id("m.room.create") != second.event_id
    assert second.event_id not in known.extremities
    assert second.event_id not in await seen(alice, room.id)


_LAX = 2**63 - 1


@pytest.mark.parametrize(("version", "most"), [("1", _LAX), ("5", _LAX), ("6", MAX_INTEGER), ("12", MAX_INTEGER)])
async def test_absurd_depths_and_times(
    victim: Victim, stranger: Stranger, alice: Client, version: str, most: int
) -> None:
    """Times as far in the future as the sender's key counts; what is later is signed by nobody."""
    room_id = await room_of(alice, stranger, version)
    event = await stranger.make(room_id, message(stranger, body="x"))
    later = most if version == "1" else victim.server.clock() + 3_600_000
    for number, changes in enumerate(
        [{"depth": most}, {"depth": 0}, {"origin_server_ts": -most}, {"origin_server_ts": later}]
    ):
        if version == "1":
            changes["event_id"] = f"$absurd{number}:{stranger.name}"
        absurd = resealed(event, stranger, content={"body": str(number), "msgtype": "m.text"}, **changes)
        assert await refused_events(await push(stranger, absurd)) == {}
        assert absurd.event_id in await seen(alice, room_id)
    said = await alice.send(room_id, "we go on")
    assert said in await seen(alice, room_id)
    assert (await alice.get("/_matrix/client/v3/sync")).status == 200
    await stranger.say(room_id, "so do we")
    path = f"/timestamp_to_event/{room_id}"
    assert (await stranger.get(path, ts=0, dir="f")).status == 200
    assert (await stranger.get(f"/backfill/{room_id}", v=[said], limit=10)).status == 200


@pytest.mark.parametrize("version", ["6", "12"])
async def test_two_events_of_one_place(victim: Victim, stranger: Stranger, alice: Client, version: str) -> None:
    """An equivocating server can't give two events one id; two with one depth and time are just a fork."""
    room_id = await room_of(alice, stranger, version)
    first = await stranger.make(room_id, message(stranger, body="to you"))
    second = resealed(first, stranger, content={"body": "to others", "msgtype": "m.text"})
    assert first.event_id != second.event_id
    await push(stranger, first)
    await push(stranger, second)
    await victim.settled()
    assert {first.event_id, second.event_id} <= await seen(alice, room_id)
    changed = copy.deepcopy(first.pdu)
    changed["content"]["body"] = "changed"
    async with victim.gains():
        await push(stranger, changed)
    shown = {one["event_id"]: one for one in await timeline(alice, room_id)}
    assert shown[first.event_id]["content"]["body"] == "to you"


async def test_rooms_that_nobody_here_is_in(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Neither one that nobody ever heard of, nor one that all of ours have left."""
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    elsewhere = resealed(event, stranger, room_id="!unknown:stranger.test")
    async with victim.gains():
        assert await refused_events(await push(stranger, elsewhere)) == {}
    await alice.leave(room_id)
    late = await stranger.make(room_id, message(stranger, body="too late"))
    async with victim.gains():
        assert list(await refused_events(await push(stranger, late))) == [late.event_id]


async def test_many_events_of_many_rooms(victim: Victim, stranger: Stranger, alice: Client) -> None:
    room_id = await room_of(alice, stranger)
    event = await stranger.make(room_id, message(stranger, body="x"))
    scattered = [resealed(event, stranger, room_id=f"!r{number}:x.test") for number in range(49)]
    async with victim.gains(events=1):
        assert await refused_events(await push(stranger, *scattered, event)) == {}


async def test_a_transaction_comes_again(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """It is answered as the first time, whatever is in it now; another server's is another one."""
    room_id = await room_of(alice, stranger)
    first = await stranger.make(room_id, message(stranger, body="one"))
    again = await stranger.make(room_id, message(stranger, body="two"), prev=[first])
    answer = await push(stranger, first, first, txn_id="same")
    async with victim.gains():
        assert (await push(stranger, again, txn_id="same")).json == answer.json
        assert await refused_events(await push(stranger, first)) == {}
    other = Stranger(victim.server, "other.test")
    assert (await push(other, txn_id="same")).ok() == {"pdus": {}}


async def test_who_is_not_in_the_room_says_nothing(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """Events of its own user, well signed and well placed, that nothing allows: rejected, and so never shown."""
    room_id = await alice.create_room(preset="private_chat", room_version="10")
    draft = message(stranger, body="let me in")
    joining = Draft(type="m.room.member", sender=draft.sender, state_key=draft.sender, content={"membership": "join"})
    for event in (await stranger.make(room_id, draft), await stranger.make(room_id, joining)):
        assert list(await refused_events(await push(stranger, event))) == [event.event_id]
        assert event.event_id not in await seen(alice, room_id)
