"""Drafts become events, in every room version."""

from __future__ import annotations

import hashlib

import pytest

from tests.protocol.rooms import draw
from weft.graph.build import MAX_DEPTH, MAX_PREV_EVENTS, Draft, Identity, auth_keys, build, references
from weft.protocol.errors import BadJson, InvalidEvent
from weft.protocol.event import Event, check_content_hash, reference_hash, verify
from weft.protocol.event_auth import authorise
from weft.protocol.room_versions import ROOM_VERSIONS, EventIdFormat, RoomVersion, room_version
from weft.protocol.signatures import SigningKey, encode_base64

KEY = SigningKey("ed25519:k", hashlib.sha256(b"graph").digest())
ALICE = "@alice:a"

VERSIONS = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: version.identifier)


class Maker:
    """Builds events one on top of the other, and keeps the state."""

    def __init__(self, version: RoomVersion) -> None:
        self.version = version
        self.room_id: str | None = None if version.format.room_id_is_create_hash else "!room:a"
        self.state: dict[tuple[str, str], Event] = {}
        self.ends: list[Event] = []
        self.names = iter(range(1_000))

    def make(self, draft: Draft, now_ms: int = 1_000) -> Event:
        keys = auth_keys(draft, self.version)
        event = build(
            draft,
            version=self.version,
            room_id=self.room_id,
            prev_events=self.ends,
            auth_events=[self.state[key] for key in keys if key in self.state],
            identity=Identity("a", KEY, lambda: f"local{next(self.names)}"),
            now_ms=now_ms,
        )
        authorise(event, self.state.get)
        if event.state_key is not None:
            self.state[event.key] = event
        self.ends = [event]
        self.room_id = event.room_id
        return event

    def start(self) -> None:
        creator = {"creator": ALICE} if self.version.auth.creator_in_content else {}
        self.make(
            Draft(
                type="m.room.create",
                sender=ALICE,
                state_key="",
                content={"room_version": self.version.identifier, **creator},
            )
        )
        self.make(Draft(type="m.room.member", sender=ALICE, state_key=ALICE, content={"membership": "join"}))
        levels = {} if self.version.auth.privileged_creators else {ALICE: 100}
        self.make(Draft(type="m.room.power_levels", sender=ALICE, state_key="", content={"users": levels}))


@VERSIONS
def test_what_is_built_stands(version: RoomVersion) -> None:
    maker = Maker(version)
    maker.start()
    kind = "m.message" if version.extensible_events else "m.room.message"
    made = maker.make(Draft(type=kind, sender=ALICE, content={"body": "hello"}))
    for event in (*maker.state.values(), made):
        again = Event.parse(dict(event.pdu), version)
        assert again.event_id == event.event_id
        assert again.wire == event.wire
        assert check_content_hash(again)
        verify(again, lambda server, key_id: KEY.verify_key if (server, key_id) == ("a", "ed25519:k") else None)
        assert again.room_id == maker.room_id
    assert made.depth == 4
    assert made.prev_events == (maker.state["m.room.power_levels", ""].event_id,)
    named = {"m.room.power_levels", "m.room.member"}
    if not version.format.room_id_is_create_hash:
        named.add("m.room.create")
    assert {event.type for event in maker.state.values() if event.event_id in made.auth_events} == named
    assert made.origin_server_ts == 1_000


@VERSIONS
def test_the_ids_of_each_version(version: RoomVersion) -> None:
    maker = Maker(version)
    maker.start()
    create = maker.state["m.room.create", ""]
    if version.format.room_id_is_create_hash:
        assert maker.room_id == "!" + create.event_id[1:]
        assert "room_id" not in create.pdu
    else:
        assert maker.room_id == "!room:a"
    if version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
        assert create.event_id == "$local0:a"
    else:
        assert "event_id" not in create.pdu
        assert ":" not in create.event_id


@VERSIONS
def test_where_a_redaction_names_its_target(version: RoomVersion) -> None:
    maker = Maker(version)
    maker.start()
    event = maker.make(Draft(type="m.room.redaction", sender=ALICE, content={"reason": "x"}, redacts="$target:a"))
    assert event.redacts == "$target:a"
    assert ("redacts" in event.content) is version.redaction.redacts_in_content
    assert ("redacts" in event.pdu) is not version.redaction.redacts_in_content


def test_references_of_the_first_versions_carry_hashes() -> None:
    room = draw("1", "create alice create\nalice <- create alice join\nhello <- alice alice message")
    pairs = references([room["hello"]], room.version)
    digest = encode_base64(reference_hash(room["hello"].pdu, room.version))
    assert pairs == [[room["hello"].event_id, {"sha256": digest}]]


def test_a_merge_takes_the_newest_ends() -> None:
    """
    create <- join <- 0, 1, … 24, each deeper than the one before.
    """
    text = ["create alice create", "alice <- create alice join", "e0 <- alice alice message"]
    text += [f"x{n} <- e{n} alice message\ne{n + 1} <- x{n} alice message" for n in range(24)]
    room = draw("10", "\n".join(text))
    ends = [room[f"e{n}"] for n in range(25)]
    event = build(
        Draft(type="m.room.message", sender=ALICE, content={}),
        version=room.version,
        room_id=room.room_id,
        prev_events=ends,
        auth_events=[room["create"], room["alice"]],
        identity=Identity("a", KEY, str),
        now_ms=1,
    )
    assert room.names(event.prev_events) == [f"e{n}" for n in range(24, 24 - MAX_PREV_EVENTS, -1)]
    assert event.depth == room["e24"].depth + 1


def test_depth_has_an_end() -> None:
    version = room_version("10")
    deep = Event.stored(
        {
            "type": "x", "room_id": "!room:a", "sender": ALICE, "content": {}, "depth": MAX_DEPTH,
            "origin_server_ts": 1, "prev_events": [], "auth_events": [],
        },
        version,
        "$deep",
    )  # fmt: skip
    event = build(
        Draft(type="m.room.message", sender=ALICE, content={}, origin_server_ts=7),
        version=version,
        room_id="!room:a",
        prev_events=[deep],
        auth_events=[],
        identity=Identity("a", KEY, str),
        now_ms=1,
    )
    assert event.depth == MAX_DEPTH
    assert event.origin_server_ts == 7


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (Draft(type="m.room.message", sender=ALICE, content={"a": 0.5}), BadJson),
        (Draft(type="m.room.message", sender=ALICE, content={"a": 1 << 60}), BadJson),
        (Draft(type="m.room.message", sender=ALICE, content={"a": "\ud800"}), BadJson),
        (Draft(type="m.room.message", sender=ALICE, content={"a": "x" * 66_000}), InvalidEvent),
        (Draft(type="x" * 300, sender=ALICE, content={}), InvalidEvent),
        (Draft(type="m.room.name", sender=ALICE, content={}, state_key="x" * 300), InvalidEvent),
        (Draft(type="m.room.name", sender="alice", content={}), InvalidEvent),
    ],
)
def test_what_can_be_no_event(draft: Draft, error: type[Exception]) -> None:
    with pytest.raises(error):
        build(
            draft,
            version=room_version("10"),
            room_id="!room:a",
            prev_events=[],
            auth_events=[],
            identity=Identity("a", KEY, str),
            now_ms=1,
        )
