"""Events: vectors, ids in every format, hashes, signatures, the format check, and hostile PDUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidEvent, PeerError
from weft.protocol.event import (
    Event,
    check_content_hash,
    content_hash,
    cosign,
    event_id_of,
    reference_hash,
    required_signers,
    seal,
    verify,
)
from weft.protocol.redaction import redact
from weft.protocol.room_versions import ROOM_VERSIONS, V1, V3, V5, V6, V7, V8, V10, V11, V12, RoomVersion
from weft.protocol.signatures import SigningKey, VerifyKey, sign_json

VECTORS = Path(__file__).parent.parent / "vectors"
SIGNED = json.loads((VECTORS / "signed_events.json").read_text())
IDS = json.loads((VECTORS / "event_ids.json").read_text())["cases"]
VECTOR_KEY = SigningKey.from_base64(SIGNED["key_id"], SIGNED["seed"])
KEY_A = SigningKey("ed25519:1", b"a" * 32)
KEY_B = SigningKey("ed25519:1", b"b" * 32)
KEYS = {"a": KEY_A, "b": KEY_B}

every_version = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: version.identifier)


def template(version: RoomVersion, **fields: Any) -> dict[str, Any]:
    """A message by alice with all that `seal` needs; a field given as None is left out."""
    hashed = "$" + "A" * 43
    reference: Any = ["$x:a", {"sha256": "AAAA"}] if version.format.references_are_pairs else hashed
    pdu: dict[str, Any] = {
        "room_id": "!" + "A" * 43 if version.format.room_id_is_create_hash else "!r:a",
        "type": "m.room.message",
        "sender": "@alice:a",
        "content": {"body": "Hello"},
        "depth": 5,
        "origin_server_ts": 1_700_000_000_000,
        "prev_events": [reference],
        "auth_events": [reference],
    }
    if version.format.references_are_pairs:
        pdu["event_id"] = "$new:a"
    return {key: value for key, value in {**pdu, **fields}.items() if value is not None}


def sealed(version: RoomVersion, **fields: Any) -> dict[str, Any]:
    """The same as others would get it, without a look at its format."""
    return {**template(version), "hashes": {"sha256": "AAAA"}, "signatures": {"a": {"ed25519:1": "AAAA"}}, **fields}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def look_up(server_name: str, key_id: str) -> VerifyKey | None:
    key = KEYS.get(server_name)
    return key.verify_key if key is not None and key.key_id == key_id else None


# Vectors


def test_minimal_event_of_the_specification() -> None:
    expected = SIGNED["minimal"]
    bare = {**expected, "hashes": {}, "signatures": {}}
    event = seal(bare, V3, SIGNED["server_name"], VECTOR_KEY)
    assert event.pdu == {key: value for key, value in expected.items() if key != "unsigned"}
    assert Event.parse(expected, V3) == event
    assert check_content_hash(event)
    verify(event, lambda server, key_id: VECTOR_KEY.verify_key)


def test_event_with_content_of_the_specification() -> None:
    expected = SIGNED["with_content"]
    assert content_hash(expected, V1) == expected["hashes"]["sha256"]
    signed = sign_json(redact({**expected, "signatures": {}}, V1), SIGNED["server_name"], VECTOR_KEY)
    assert signed["signatures"] == expected["signatures"]


@pytest.mark.parametrize(
    ("case", "identifier"),
    [(case, identifier) for case in IDS for identifier in case["versions"]],
    ids=lambda value: value if isinstance(value, str) else value["name"],
)
def test_event_ids(case: dict[str, Any], identifier: str) -> None:
    version = ROOM_VERSIONS[identifier]
    event = Event.parse(case["pdu"], version)
    assert event.event_id == case["event_id"] == event_id_of(case["pdu"], version)
    assert check_content_hash(event)
    assert event.redacted().event_id == event_id_of(redact(case["pdu"], version), version)
    if event.type == "m.room.create" and identifier == "12":
        assert event.room_id == "!" + case["event_id"][1:]
    else:
        assert event.room_id == case["pdu"]["room_id"]


def test_event_ids_of_the_first_versions_are_what_the_event_says() -> None:
    event = Event.parse(sealed(V1), V1)
    assert event.event_id == "$new:a"
    assert event.prev_events == event.auth_events == ("$x:a",)


# Sealing and verifying


@every_version
def test_what_is_sealed_can_be_read_and_verified(version: RoomVersion) -> None:
    event = seal(template(version, content={"body": "Grüße 🌍", "n": {"b": [1, None], "a": True}}), version, "a", KEY_A)
    assert event.wire == canonical_json.encode(event.pdu)
    assert event.pdu["hashes"]["sha256"] == content_hash(event.pdu, version)
    received = Event.parse(canonical_json.decode(event.wire), version)
    assert received == event
    assert (received.wire, received.pdu, hash(received)) == (event.wire, event.pdu, hash(event))
    assert check_content_hash(received)
    verify(received, look_up)
    verify(received.redacted(), look_up)
    assert not check_content_hash(received.redacted())
    assert Event.stored(event.pdu, version, event.event_id).wire == event.wire


def test_sealing_leaves_the_template_alone_and_drops_unsigned() -> None:
    pdu = template(V10, unsigned={"age": 5})
    before = json.dumps(pdu)
    event = seal(pdu, V10, "a", KEY_A)
    assert json.dumps(pdu) == before
    assert "unsigned" not in event.pdu


@every_version
def test_a_create_event_can_be_sealed(version: RoomVersion) -> None:
    fields: dict[str, Any] = {"type": "m.room.create", "state_key": "", "prev_events": [], "auth_events": []}
    if version.format.room_id_is_create_hash:
        fields["room_id"] = None
    event = seal(template(version, **fields), version, "a", KEY_A)
    assert Event.parse(event.pdu, version).room_id == event.room_id
    assert event.room_id == ("!" + event.event_id[1:] if version.format.room_id_is_create_hash else "!r:a")


def test_numbers_of_the_first_versions_survive_the_way() -> None:
    content = {"float": 0.1, "huge": 2**70, "exponent": 1e25}
    event = seal(template(V5, content=content), V5, "a", KEY_A)
    received = Event.parse(canonical_json.decode_lax(event.wire), V5)
    assert received == event
    assert check_content_hash(received)
    verify(received, look_up)


@pytest.mark.parametrize("content", [{"a": 0.5}, {"a": 2**53}, {"a": "\ud800"}, {"a": [{"b": float("nan")}]}, {1: 2}])
def test_clients_get_bad_json_for_what_is_not_canonical(content: dict[str, Any]) -> None:
    with pytest.raises(BadJson) as raised:
        seal(template(V6, content=content), V6, "a", KEY_A)
    assert (raised.value.errcode, raised.value.status) == ("M_BAD_JSON", 400)


def test_clients_get_too_large() -> None:
    for fields in ({"content": {"body": "x" * 65_536}}, {"type": "t" * 256}, {"state_key": "k" * 256}):
        with pytest.raises(InvalidEvent) as raised:
            seal(template(V10, **fields), V10, "a", KEY_A)
        assert (raised.value.errcode, raised.value.status) == ("M_TOO_LARGE", 413)


@every_version
def test_what_may_be_sealed_may_be_read(version: RoomVersion) -> None:
    """The limit of nesting is the same at both ends, wherever it is."""
    deepest = 0
    for depth in range(150, 250):
        try:
            event = seal(template(version, content=nested(depth)), version, "a", KEY_A)
        except BadJson:
            break
        assert Event.parse(event.pdu, version) == event
        deepest = depth
    assert 150 < deepest < 249


def test_content_hash_in_other_spellings() -> None:
    event = seal(template(V10), V10, "a", KEY_A)
    right = event.pdu["hashes"]["sha256"]
    for spelling, holds in ((right + "=", True), (right[:-2] + "AA", False), ("", False), ("é", False), ("=", False)):
        changed = Event.stored({**event.pdu, "hashes": {"sha256": spelling}}, V10, event.event_id)
        assert check_content_hash(changed) is holds


def test_a_changed_event_is_noticed() -> None:
    event = seal(template(V10), V10, "a", KEY_A)
    edited = Event.parse({**event.pdu, "content": {"body": "Goodbye"}}, V10)
    assert edited == event, "the content of a message is not part of its id"
    assert not check_content_hash(edited)
    verify(edited, look_up)
    moved = Event.parse({**event.pdu, "depth": 6}, V10)
    assert moved != event
    with pytest.raises(PeerError, match="does not match"):
        verify(moved, look_up)


def test_signatures_that_do_not_count() -> None:
    event = seal(template(V10), V10, "a", KEY_A)
    good = event.pdu["signatures"]["a"]["ed25519:1"]
    bad: list[dict[str, dict[str, str]]] = [
        {},
        {"b": {"ed25519:1": good}},
        {"a": {}},
        {"a": {"ed25519:2": good}},
        {"a": {"rsa:1": good}},
        {"a": {"ed25519:1": "?"}},
        {"a": {"ed25519:1": "AAAA"}},
    ]
    for signatures in bad:
        with pytest.raises(PeerError):
            verify(Event.parse({**event.pdu, "signatures": signatures}, V10), look_up)
    more = {"a": {"ed25519:1": good, "ed25519:unknown": "nonsense"}, "c": {"ed25519:1": "nonsense"}}
    verify(Event.parse({**event.pdu, "signatures": more}, V10), look_up)


MEMBER: dict[str, Any] = {"type": "m.room.member", "state_key": "@alice:a"}
THIRD_PARTY = {**MEMBER, "content": {"membership": "invite", "third_party_invite": {}}}
RESTRICTED = {**MEMBER, "content": {"membership": "join", "join_authorised_via_users_server": "@bob:b"}}


@pytest.mark.parametrize(
    ("version", "fields", "signers"),
    [
        (V1, {}, {"a"}),
        (V1, {"event_id": "$x:b"}, {"a", "b"}),
        (V1, {**THIRD_PARTY, "event_id": "$x:b"}, {"b"}),
        (V3, {}, {"a"}),
        (V7, RESTRICTED, {"a"}),
        (V8, RESTRICTED, {"a", "b"}),
        (V12, RESTRICTED, {"a", "b"}),
        (V12, {**RESTRICTED, "type": "m.room.message", "state_key": None}, {"a"}),
        (V12, THIRD_PARTY, set()),
        (V12, {**THIRD_PARTY, "state_key": None}, {"a"}),
        (V12, {**MEMBER, "content": {"membership": "join", "third_party_invite": {}}}, {"a"}),
    ],
)
def test_who_must_sign(version: RoomVersion, fields: dict[str, Any], signers: set[str]) -> None:
    event = seal(template(version, **fields), version, "a", KEY_A)
    assert required_signers(event) == signers
    if "b" in signers:
        with pytest.raises(PeerError, match="no signature of b"):
            verify(event, look_up)
    cosigned = cosign(event, "b", KEY_B)
    assert cosigned == event
    assert set(cosigned.pdu["signatures"]) == {"a", "b"}
    assert set(event.pdu["signatures"]) == {"a"}
    verify(cosigned, look_up)


@pytest.mark.parametrize("authoriser", [None, 5, "", "bob", "@bob", {"a": 1}])
def test_an_authoriser_without_a_server(authoriser: object) -> None:
    content = {"membership": "join", "join_authorised_via_users_server": authoriser}
    with pytest.raises(PeerError, match="not a user id"):
        required_signers(Event.parse(sealed(V10, **MEMBER, content=content), V10))


# What an event tells of itself


def test_properties() -> None:
    member = Event.parse(sealed(V10, **MEMBER, content={"membership": "join"}), V10)
    assert member.key == ("m.room.member", "@alice:a")
    assert (member.is_state, member.membership, member.sender_domain, member.redacts) == (True, "join", "a", None)
    message = Event.parse(sealed(V10, content={"membership": "join"}), V10)
    assert (message.is_state, message.membership, message.state_key) == (False, None, None)
    assert Event.parse(sealed(V10, **MEMBER, content={"membership": 5}), V10).membership is None
    assert message != message.event_id
    assert "m.room.message" in repr(message)
    with pytest.raises(ValueError, match="not a state event"):
        _ = message.key


@pytest.mark.parametrize(("version", "target"), [(V1, "$top:a"), (V10, "$top:a"), (V11, "$in:a"), (V12, "$in:a")])
def test_where_redacts_is(version: RoomVersion, target: str) -> None:
    both: dict[str, Any] = {"redacts": "$top:a", "content": {"redacts": "$in:a"}}
    assert Event.parse(sealed(version, type="m.room.redaction", **both), version).redacts == target
    assert Event.parse(sealed(version, **both), version).redacts is None
    assert Event.parse(sealed(version, type="m.room.redaction"), version).redacts is None


# The format


#: Field, then values that it may not have in any version; None leaves it out, `...` stands for null.
WRONG: list[tuple[str, list[Any]]] = [
    ("type", [None, ..., 5, "ä" * 128, "\ud800"]),
    ("state_key", [..., 0, "ä" * 128]),
    (
        "sender",
        [None, 5, "", "alice:a", "@alice", "@alice:", "@al\0ice:a", "@a:b c", "@" + "a" * 253 + ":a", "@\ud800:a"],
    ),
    ("room_id", [None, 5, "", "r:a", "!r", "!r:", "!" + "A" * 42, "!" + "+" * 43]),
    ("content", [None, [], {"body": "x" * 65_536}, nested(250), {"body": "\ud800"}, {"n": float("inf")}]),
    ("depth", [None, -1, 1.0, "1", True, 2**63]),
    ("origin_server_ts", [None, 1.5, "1", True, 2**63, -(2**63)]),
    ("prev_events", [None, {}, "$a:a", [5], ["x"], [[]], [["$x:a"]], [["$x:a", 5]], [[5, {}]], [["$x\0:a", {}]]]),
    ("auth_events", [None, [["$x:a", {"sha256": 5}]], ["$" + "x" * 255]]),
    ("hashes", [None, [], {}, {"sha256": 5}, {"md5": "AAAA"}]),
    ("signatures", [None, [], {"a": []}, {"a": {"ed25519:1": 5}}]),
    ("unsigned", [..., []]),
]
REFUSED = [(f"{field}-{number}", {field: value}) for field, values in WRONG for number, value in enumerate(values)]


@every_version
@pytest.mark.parametrize(("name", "fields"), REFUSED, ids=[name for name, _ in REFUSED])
def test_malformed_events_are_refused(version: RoomVersion, name: str, fields: dict[str, Any]) -> None:
    pdu = {key: value for key, value in sealed(version, **fields).items() if value is not None}
    with pytest.raises(InvalidEvent):
        Event.parse({key: None if value is ... else value for key, value in pdu.items()}, version)


def test_only_objects_are_events() -> None:
    for value in [None, [5], "x", 5]:
        with pytest.raises(InvalidEvent):
            Event.parse(value, V10)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (V1, {"event_id": ...}),
        (V1, {"event_id": "$" + "A" * 43}),
        (V1, {"prev_events": ["$x:a"]}),
        (V3, {"event_id": "$x:a"}),
        (V3, {"prev_events": [["$x:a", {"sha256": "AAAA"}]]}),
        (V5, {"redacts": 5}),
        (V6, {"depth": 2**53}),
        (V6, {"origin_server_ts": -(2**53)}),
        (V6, {"content": {"n": 0.5}}),
        (V6, {"extra": 2**53}),
        (V11, {"room_id": "!" + "A" * 43}),
        (V12, {"room_id": "!r:a"}),
        (V12, {"type": "m.room.create", "state_key": ""}),
        (V12, {"type": "m.room.create", "room_id": ...}),
    ],
)
def test_refused_by_the_version(version: RoomVersion, fields: dict[str, Any]) -> None:
    pdu = {key: value for key, value in sealed(version, **fields).items() if value is not ...}
    with pytest.raises(InvalidEvent):
        Event.parse(pdu, version)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (V1, {"depth": 2**63 - 1}),
        (V5, {"origin_server_ts": -(2**63) + 1}),
        (V5, {"content": {"n": 0.5, "m": 2**80}}),
        (V10, {"depth": 2**53 - 1}),
        (V10, {"type": "", "state_key": ""}),
        (V10, {"sender": "@:a"}),
        (V10, {"sender": "@Älice Ω:a"}),
        (V10, {"extra": {"anything": [1]}, "origin": 5}),
        (V10, {"depth": 0}),
        (V10, {"type": "t" * 255, "state_key": "ä" * 127 + "x"}),
        (V10, {"hashes": {"sha256": "AAAA", "lpdu": {"sha256": "AAAA"}}}),
        (V11, {"redacts": 5}),
        (V12, {"type": "m.room.create", "state_key": "", "room_id": ...}),
    ],
)
def test_accepted_by_the_version(version: RoomVersion, fields: dict[str, Any]) -> None:
    Event.parse({key: value for key, value in sealed(version, **fields).items() if value is not ...}, version)


@every_version
@pytest.mark.parametrize(("field", "most"), [("prev_events", 20), ("auth_events", 10)])
def test_number_of_references(version: RoomVersion, field: str, most: int) -> None:
    pdu = sealed(version)
    Event.parse({**pdu, field: pdu[field] * most}, version)
    with pytest.raises(InvalidEvent):
        Event.parse({**pdu, field: pdu[field] * (most + 1)}, version)


@every_version
def test_size_counts_signatures_but_not_unsigned(version: RoomVersion) -> None:
    empty = len(Event.parse(sealed(version, content={"body": ""}), version).wire)
    fits = sealed(version, content={"body": "x" * (65_536 - empty)}, unsigned={"age": "y" * 70_000})
    assert len(Event.parse(fits, version).wire) == 65_536
    assert "unsigned" not in Event.parse(fits, version).pdu
    with pytest.raises(InvalidEvent) as raised:
        Event.parse({**fits, "content": {"body": fits["content"]["body"] + "x"}}, version)
    assert raised.value.errcode == "M_TOO_LARGE"
    more = {"a": {"ed25519:1": "AAAA", "ed25519:2": "AAAA"}}
    with pytest.raises(InvalidEvent):
        Event.parse({**fits, "signatures": more}, version)


# Hostile input

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from([*sealed(V1), "state_key", "redacts", "unsigned", "origin", "membership"])
types = st.sampled_from(["m.room.create", "m.room.member", "m.room.power_levels", "m.room.redaction", "x"])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(ROOM_VERSIONS.values())), st.dictionaries(fields, json_values, max_size=3), types)
def test_parse_reads_or_refuses(version: RoomVersion, changes: dict[str, Any], event_type: str) -> None:
    pdu = {**sealed(version, type=event_type), **changes}
    try:
        event = Event.parse(pdu, version)
    except InvalidEvent:
        return
    assert Event.parse(canonical_json.decode_lax(event.wire), version) == event
    assert check_content_hash(event) in (True, False)
    assert reference_hash(event.redacted().pdu, version) == reference_hash(event.pdu, version)
    try:
        verify(event, look_up)
    except PeerError:
        return
    assert not required_signers(event)


@settings(max_examples=100, deadline=None)
@given(json_values, st.sampled_from(list(ROOM_VERSIONS.values())))
def test_parse_refuses_anything_else(value: object, version: RoomVersion) -> None:
    with pytest.raises(InvalidEvent):
        Event.parse(value, version)
