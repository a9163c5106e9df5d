"""Engines for tests, and what must hold in a database whenever nobody writes to it."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Mapping
from typing import Any

from weft.graph.build import Draft, Identity
from weft.graph.outcome import Outcome
from weft.protocol.event import Event
from weft.protocol.room_versions import RoomVersion, room_version
from weft.protocol.signatures import SigningKey
from weft.protocol.state_resolution import resolve_maps
from weft.rooms.engine import Engine, Outside
from weft.rooms.reader import TransactionReader
from weft.rooms.room import Room
from weft.storage import events, rooms, snapshots
from weft.storage.cache import Budget
from weft.storage.database import Database, Transaction
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.front import ends as ends_of
from weft.storage.positions import HISTORY_END, split

ALICE, BOB = "@alice:a", "@bob:a"
_TIME = itertools.count(1_000_000)


async def start_engine(
    database: Database, name: str = "one", *, budget: int = 64 << 20, followers: Iterable[Follower] = ()
) -> Engine:
    """A started engine for the domains `a` and `b`. Its clock goes on by a millisecond each time it is asked."""
    rng = random.Random(name)
    made = Engine(
        database,
        identities={domain: identity_of(domain) for domain in ("a", "b")},
        outside=Outside(now_ms=lambda: next(_TIME), random_bytes=rng.randbytes),
        budget=Budget(budget),
        name=name,
    )
    await made.start(followers)
    return made


def identity_of(domain: str) -> Identity:
    """A domain's name and key, the same wherever it is asked for."""
    key = SigningKey("ed25519:test", hashlib.sha256(domain.encode()).digest())
    return Identity(domain, key, lambda: random.randbytes(9).hex())


def message(sender: str, body: str, version: RoomVersion | None = None) -> Draft:
    kind = "m.message" if version is not None and version.extensible_events else "m.room.message"
    return Draft(type=kind, sender=sender, content={"body": body})


def member(user: str, membership: str, sender: str | None = None) -> Draft:
    return Draft(type="m.room.member", sender=sender or user, state_key=user, content={"membership": membership})


def state(sender: str, event_type: str, key: str = "", **content: Any) -> Draft:
    return Draft(type=event_type, sender=sender, state_key=key, content=content)


async def make_room(
    engine: Engine, version: str = "10", name: str = "!room:a", users: Mapping[str, int] | None = None
) -> Room:
    """A public room of Alice's; `users` have power."""
    rules = room_version(version)
    creator = {"creator": ALICE} if rules.auth.creator_in_content else {}
    own = {} if rules.auth.privileged_creators else {ALICE: 100}
    drafts = [
        state(ALICE, "m.room.create", room_version=version, **creator),
        member(ALICE, "join"),
        state(ALICE, "m.room.power_levels", users={**own, **(users or {})}),
        state(ALICE, "m.room.join_rules", join_rule="public"),
    ]
    return await engine.append.create(rules, None if rules.format.room_id_is_create_hash else name, drafts)


# -- what must hold


def check_database(tx: Transaction) -> dict[str, str]:
    """Fails where the tables contradict each other; returns the resolved state's fingerprint of each room."""
    _check_log(tx)
    fingerprints = {}
    for (room_id,) in tx.all("SELECT room_id FROM rooms"):
        row = rooms.by_id(tx, room_id)
        assert row is not None
        fingerprints[room_id] = _check_room(tx, row)
    return fingerprints


def _check_log(tx: Transaction) -> None:
    numbers: dict[int, list[int]] = {}
    for (position,) in tx.all("SELECT position FROM log ORDER BY position"):
        writer, number = split(position)
        numbers.setdefault(writer, []).append(number)
    for writer, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), f"writer {writer} has gaps"
    lost = tx.all(
        "SELECT event_id FROM events WHERE position > :history AND position NOT IN (SELECT position FROM log)",
        history=HISTORY_END,
    )
    assert lost == [], "events without an entry"
    without = tx.all("SELECT position FROM log WHERE kind = 'event' AND position NOT IN (SELECT position FROM events)")
    assert without == [], "entries without their event"


def _check_room(tx: Transaction, row: rooms.RoomRow) -> str:
    positions = [p for (p,) in tx.all("SELECT position FROM events WHERE room = :room", room=row.room)]
    stored = events.by_positions(tx, positions)
    known = {one.event.event_id: one for one in stored.values()}
    gaps = {one for (one,) in tx.all("SELECT event_id FROM missing_events WHERE room = :room", room=row.room)}
    built_on: set[str] = set()
    accepted: set[str] = set()
    for one in known.values():
        event = one.event
        assert set(event.auth_events) <= known.keys(), f"{event} leans on what is not there"
        if one.outcome is Outcome.OUTLIER:
            assert one.snapshot is None, f"{event} has no place in the graph, but a state"
            continue
        assert one.snapshot is not None
        placed = {event_id for event_id in event.prev_events if event_id in known and known[event_id].snapshot}
        assert set(event.prev_events) <= placed | gaps, f"{event} builds on what is not there, and is no gap"
        is_refused = one.outcome.is_rejected
        if event.state_key is not None:
            at_its_place = snapshots.entries(tx, one.snapshot, [event.key])
            assert (at_its_place == {event.key: event.event_id}) is not is_refused, event
        if one.outcome is Outcome.ACCEPTED:
            accepted.add(event.event_id)
            built_on.update(_before(event, known))
    assert not {one for one in gaps if one in known and known[one].snapshot}, "what is here is no gap"
    front = set(ends_of(tx, row.room))
    assert front == accepted - built_on, (
        f"the ends are others than those that nothing follows: {front ^ (accepted - built_on)}"
    )
    assert row.snapshot is not None
    applied = snapshots.load(tx, row.snapshot).state
    for event_id in applied.values():
        assert event_id in known
    current = {
        (event_type, key): event_id
        for event_type, key, event_id in tx.all(
            "SELECT type, state_key, event_id FROM current_state WHERE room = :room", room=row.room
        )
    }
    members = tx.all("SELECT user_id, event_id, membership FROM memberships WHERE room = :room", room=row.room)
    for user_id, event_id, membership in members:
        current["m.room.member", user_id] = event_id
        assert known[event_id].event.membership == membership
    assert current == dict(applied), "the tables are made from another state"
    ends = [known[event_id] for event_id in front]
    ends_states = [snapshots.load(tx, end.snapshot).state for end in ends if end.snapshot is not None]
    resolved = resolve_maps(room_version(row.version), ends_states, TransactionReader(tx))
    if not row.forked:
        assert resolved == dict(applied), "the tables hold another state than the graph's ends resolve to"
    return hashlib.sha256(repr(sorted(resolved.items())).encode()).hexdigest()


def _before(event: Event, known: Mapping[str, StoredEvent]) -> set[str]:
    """What an event builds on, and what lies behind that with only refused events in between.

    What an event without a place builds on counts for nothing yet.
    """
    agenda, found = list(event.prev_events), set(event.prev_events)
    while agenda:
        one = known.get(agenda.pop())
        if one is not None and one.outcome not in (Outcome.ACCEPTED, Outcome.OUTLIER):
            agenda += [event_id for event_id in one.event.prev_events if event_id not in found]
            found.update(one.event.prev_events)
    return found


def check_in_memory(engine: Engine, room: Room) -> None:
    """Fails where a room in memory contradicts itself."""
    members = {key: event_id for (kind, key), event_id in room.current.state.items() if kind == "m.room.member"}
    assert members.keys() == room.memberships.keys()
    for user_id, event_id in members.items():
        stored = engine.rooms.cached_event(event_id)
        if stored is not None:
            assert stored.event.membership == room.memberships[user_id]
    assert {m: n for m, n in room.counts.items() if n} == {
        m: sum(one == m for one in room.memberships.values()) for m in set(room.memberships.values())
    }
    assert room.joined_local == {u for u, m in room.memberships.items() if m == "join" and engine.is_local(u)}
    assert not room.pending
    assert {e.event.event_id for e in room.front} == room.extremities.keys()
