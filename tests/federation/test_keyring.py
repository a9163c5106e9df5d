"""Other servers' keys: had, kept, fetched again, taken from notaries; and events checked by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.federation.invented import DAY_MS, Invented, json, key
from tests.federation.kit import MemoryKit
from weft.federation.keyring import INLINE, Keyring
from weft.federation.transport import OutgoingRequest
from weft.protocol.errors import PeerError
from weft.protocol.event import Event, seal
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.protocol.server_keys import MAX_LIFETIME_MS, OldKey
from weft.protocol.signatures import SigningKey, sign_json
from weft.testing import Answer, TestServer
from weft.testing.server import key_of

WEEK_MS = MAX_LIFETIME_MS


async def start(kit: MemoryKit, **settings: Any) -> tuple[TestServer, Keyring, Invented]:
    (one,) = await kit(1, **settings)
    return one, one.server.federation.keyring, Invented(kit.network, kit.clock)


async def has(keyring: Keyring, key_id: str, at_ms: int | None, name: str = "peer.test") -> bool:
    return (await keyring.lookup([(name, key_id)], at_ms=at_ms))(name, key_id) is not None


def event(
    number: int = 0, *, at_ms: int, version: str = "11", by: SigningKey | None = None, server: str = "peer.test"
) -> Event:
    pdu = {
        "type": "m.room.message",
        "room_id": "!room:peer.test" if version != "12" else "!" + "a" * 43,
        "sender": f"@user:{server}",
        "origin_server_ts": at_ms,
        "depth": 5,
        "prev_events": [],
        "auth_events": [],
        "content": {"body": str(number)},
    }
    if version in ("1", "2"):
        pdu["event_id"] = f"$e{number}:{server}"
    return seal(pdu, ROOM_VERSIONS[version], server, by or key("a"))


async def test_our_own_keys_are_known(memory_servers: MemoryKit) -> None:
    one, keyring, _ = await start(memory_servers)
    now = one.clock()
    assert await has(keyring, "ed25519:test", now, "one.test")
    assert not await has(keyring, "ed25519:other", now, "one.test")
    await keyring.verify_json("one.test", sign_json({"a": 1}, "one.test", key_of("one.test")))


async def test_keys_are_asked_for_once_by_however_many(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    now = one.clock()
    assert all(await asyncio.gather(*(has(keyring, "ed25519:a", now) for _ in range(20))))
    assert peer.asked == 1
    await one.restart()
    assert await has(one.server.federation.keyring, "ed25519:a", now)
    assert peer.asked == 1


async def test_keys_that_come_while_the_database_is_asked_count(
    memory_servers: MemoryKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not asked for again so soon, so that they would be taken for keys that can't be had."""
    one, keyring, peer = await start(memory_servers)
    now, database = one.clock(), one.server.engine.database
    get, slow = database.get, asyncio.Event()

    async def get_slowly(function: Any, *args: Any) -> Any:
        found = await get(function, *args)
        await slow.wait()
        return found

    monkeypatch.setattr(database, "get", get_slowly)
    late = asyncio.create_task(has(keyring, "ed25519:a", now))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(database, "get", get)
    assert await has(keyring, "ed25519:a", now)
    slow.set()
    assert await late
    assert peer.asked == 1


async def test_a_key_counts_a_week_at_most_and_is_then_asked_for_again(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    peer.lifetime_ms = 1000 * DAY_MS
    now = one.clock()
    assert await has(keyring, "ed25519:a", now + WEEK_MS - 1000)
    assert not await has(keyring, "ed25519:a", now + WEEK_MS + DAY_MS)
    asked = peer.asked
    one.clock.advance(WEEK_MS / 1000 + 60)
    assert await has(keyring, "ed25519:a", one.clock())
    assert peer.asked == asked + 1
    peer.there = False
    one.clock.advance(WEEK_MS / 1000 + 60)
    assert not await has(keyring, "ed25519:a", one.clock())
    # What was signed while it counted stays good, and where time does not matter all does.
    assert await has(keyring, "ed25519:a", now)
    assert await has(keyring, "ed25519:a", None)


async def test_a_former_key_counts_for_what_is_older_than_its_end(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    end = one.clock() - DAY_MS
    peer.old_keys = [OldKey(key("old").verify_key, end)]
    assert await has(keyring, "ed25519:old", end - 1)
    assert not await has(keyring, "ed25519:old", end + 1)
    assert await has(keyring, "ed25519:old", None)
    assert peer.asked == 1


async def test_keys_that_left_the_document_are_still_known(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    before = one.clock()
    assert await has(keyring, "ed25519:a", before)
    peer.keys = [key("b")]
    one.clock.advance(60)
    assert await has(keyring, "ed25519:b", one.clock())
    assert await has(keyring, "ed25519:a", before)


@pytest.mark.parametrize(
    "answer",
    [
        lambda peer: json({}),
        lambda peer: json([]),
        lambda peer: Answer(200, {}, b"x" * 10),
        lambda peer: Answer(200, {}, b'{"a":"' + b"x" * 100_000 + b'"}'),
        lambda peer: json(peer.document(), 404),
        lambda peer: json(peer.document() | {"valid_until_ts": 5}),
        lambda peer: json(sign_json({**peer.document(), "server_name": "b.test"}, "b.test", key("a"))),
    ],
)
async def test_what_is_no_document_is_not_believed(
    memory_servers: MemoryKit, answer: Callable[[Invented], Answer]
) -> None:
    _, keyring, peer = await start(memory_servers)
    peer.answer = lambda request: answer(peer)
    assert not await has(keyring, "ed25519:a", None)
    assert not await has(keyring, "ed25519:a", None)
    assert peer.asked == 1


async def test_who_does_not_answer_is_asked_after_growing_pauses(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    peer.there = False
    for _ in range(3600):
        await has(keyring, "ed25519:a", None)
        one.clock.advance(1)
    assert 5 < peer.asked < 20
    peer.there = True
    keyring.heard_from("peer.test")
    assert await has(keyring, "ed25519:a", None)


async def test_names_that_are_none_are_not_asked(memory_servers: MemoryKit) -> None:
    _, keyring, _ = await start(memory_servers)
    assert not await has(keyring, "ed25519:a", None, "no name")
    assert not await has(keyring, "ed25519:a", None, "")


async def test_a_notary_knows_the_keys_of_who_is_gone(memory_servers: MemoryKit) -> None:
    one, two = (
        await memory_servers.start("one.test", {}),
        await memory_servers.start("two.test", {"federation": {"enabled": True, "notaries": ["one.test"]}}),
    )
    peer = Invented(memory_servers.network, memory_servers.clock)
    assert await has(one.server.federation.keyring, "ed25519:a", one.clock())
    peer.there = False
    assert await has(two.server.federation.keyring, "ed25519:a", two.clock())


@pytest.mark.parametrize("signs", [True, False])
async def test_a_notary_must_sign_what_it_tells(memory_servers: MemoryKit, signs: bool) -> None:
    one, keyring, peer = await start(memory_servers, federation={"enabled": True, "notaries": ["notary.test"]})
    notary = Invented(memory_servers.network, memory_servers.clock, "notary.test")
    notary.keys = [key("n")]
    peer.there = False

    def answer(request: OutgoingRequest) -> Answer | None:
        if "/query/" not in request.uri:
            return None
        told = peer.document()
        return json({"server_keys": [sign_json(told, "notary.test", key("n")) if signs else told]})

    notary.answer = answer
    assert await has(keyring, "ed25519:a", one.clock()) is signs


async def test_a_notary_can_t_make_keys_up(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers, federation={"enabled": True, "notaries": ["notary.test"]})
    notary = Invented(memory_servers.network, memory_servers.clock, "notary.test")
    peer.there = False
    told = peer.document()
    told["signatures"] = {}
    notary.answer = lambda request: (
        json({"server_keys": [sign_json(told, "notary.test", key("a"))]}) if "/query/" in request.uri else None
    )
    assert not await has(keyring, "ed25519:a", one.clock())


# -- events


@pytest.mark.parametrize("count", [1, INLINE, INLINE + 1, 250])
async def test_good_events_pass_and_bad_ones_are_named(memory_servers: MemoryKit, count: int) -> None:
    one, keyring, peer = await start(memory_servers)
    now = one.clock()
    good = [event(number, at_ms=now) for number in range(count)]
    assert await keyring.verify_events(good) == {}
    forged = event(5000, at_ms=now, by=SigningKey("ed25519:a", b"forged".ljust(32)))
    unknown = event(5001, at_ms=now, by=key("unknown"))
    unsigned_pdu = {**event(5002, at_ms=now).pdu, "signatures": {"other.test": {"ed25519:a": "AAAA"}}}
    unsigned = Event.parse(unsigned_pdu, ROOM_VERSIONS["11"])
    wrong = await keyring.verify_events([*good, forged, unknown, unsigned])
    assert wrong.keys() == {forged.event_id, unknown.event_id, unsigned.event_id}
    assert all(isinstance(error, PeerError) for error in wrong.values())
    assert peer.asked <= 2


async def test_keys_must_have_counted_when_an_event_was_made_from_version_5_on(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    now = one.clock()
    end = now - DAY_MS
    peer.old_keys = [OldKey(key("old").verify_key, end)]
    for version in ("1", "2", "3", "4", "5", "6", "11", "12"):
        late = event(at_ms=now, version=version, by=key("old"))
        early = event(at_ms=end - 5, version=version, by=key("old"))
        refused = await keyring.verify_events([late, early])
        assert set(refused) == (set() if version in ("1", "2", "3", "4") else {late.event_id}), version


async def test_an_event_of_next_month_is_not_signed_well(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    for _ in range(5):
        assert await keyring.verify_events([event(at_ms=one.clock() + 30 * DAY_MS)])
        assert not await keyring.verify_events([event(at_ms=one.clock())])
    assert peer.asked == 1


async def test_made_up_key_ids_cost_little(memory_servers: MemoryKit) -> None:
    one, keyring, peer = await start(memory_servers)
    honest = event(at_ms=one.clock())
    (signatures,) = honest.pdu["signatures"].values()
    many = {**{f"ed25519:x{number}": "AAAA" for number in range(300)}, **signatures}
    crowded = Event.parse({**honest.pdu, "signatures": {"peer.test": many}}, ROOM_VERSIONS["11"])
    for _ in range(10):
        await keyring.verify_events([crowded])
    assert peer.asked == 1


async def test_many_servers_that_are_gone_are_asked_side_by_side(memory_servers: MemoryKit, tmp_path: Path) -> None:
    one, keyring, _ = await start(memory_servers)
    events = [event(number, at_ms=one.clock(), server=f"s{number}.test") for number in range(300)]
    assert len(await keyring.verify_events(events)) == 300
    # Names that strangers choose leave no trace among those that we talk to.
    assert one.server.federation.peers.failing_since_ms("s1.test") is None
