"""Redaction: what survives in every room version, and which redactions take effect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.rooms import draw
from weft.protocol.event import reference_hash
from weft.protocol.power_levels import PowerLevels
from weft.protocol.redaction import may_redact, redact
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion

KEPT = {
    "event_id", "type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth", "prev_events",
    "auth_events", "origin_server_ts",
}  # fmt: skip
KEPT_AT_FIRST = KEPT | {"prev_state", "origin", "membership"}

LEVELS = "ban events events_default kick redact state_default users users_default"
#: Type, the versions from which on (until the next line of that type) these keys of the content survive.
CONTENT = [
    ("m.room.member", 1, "membership"),
    ("m.room.member", 9, "membership join_authorised_via_users_server"),
    ("m.room.create", 1, "creator"),
    ("m.room.create", 11, "creator room_version anything"),
    ("m.room.join_rules", 1, "join_rule"),
    ("m.room.join_rules", 8, "join_rule allow"),
    ("m.room.power_levels", 1, LEVELS),
    ("m.room.power_levels", 11, LEVELS + " invite"),
    ("m.room.aliases", 1, "aliases"),
    ("m.room.aliases", 6, ""),
    ("m.room.history_visibility", 1, "history_visibility"),
    ("m.room.redaction", 1, ""),
    ("m.room.redaction", 11, "redacts"),
    ("m.room.message", 1, ""),
    ("m.room.third_party_invite", 1, ""),
]
ALL_KEYS = {key for _, _, keys in CONTENT for key in keys.split()} | {"notifications", "body", "displayname"}
BASED_ON = {"I.1": 10, "org.matrix.msc1767.10": 10}


def number(identifier: str) -> int:
    return BASED_ON.get(identifier) or int(identifier)


@pytest.mark.parametrize("identifier", ROOM_VERSIONS)
@pytest.mark.parametrize("event_type", sorted({line[0] for line in CONTENT}))
def test_what_survives_of_the_content(identifier: str, event_type: str) -> None:
    pdu = {"type": event_type, "content": dict.fromkeys(ALL_KEYS, 5)}
    expected = [keys for kind, since, keys in CONTENT if kind == event_type and since <= number(identifier)][-1]
    everything = event_type == "m.room.create" and number(identifier) >= 11
    redacted = redact(pdu, ROOM_VERSIONS[identifier])
    assert set(redacted["content"]) == (ALL_KEYS if everything else set(expected.split()))
    assert set(pdu["content"]) == ALL_KEYS, "the event itself is left alone"


@pytest.mark.parametrize("identifier", ROOM_VERSIONS)
def test_what_survives_at_the_top(identifier: str) -> None:
    extra = {"unsigned", "redacts", "prev_content", "age", "user_id"}
    pdu = {**dict.fromkeys(KEPT_AT_FIRST | extra, "x"), "content": {"body": "x"}}
    assert set(redact(pdu, ROOM_VERSIONS[identifier])) == (KEPT if number(identifier) >= 11 else KEPT_AT_FIRST)


@pytest.mark.parametrize(
    ("invite", "left"),
    [
        ({"signed": {"token": "t"}, "display_name": "Al"}, {"third_party_invite": {"signed": {"token": "t"}}}),
        ({"display_name": "Al"}, {"third_party_invite": {}}),
        ("x", {}),
    ],
)
def test_third_party_invites(invite: object, left: dict[str, Any]) -> None:
    pdu = {"type": "m.room.member", "content": {"membership": "invite", "third_party_invite": invite}}
    assert redact(pdu, ROOM_VERSIONS["10"])["content"] == {"membership": "invite"}
    for identifier in ("11", "12"):
        assert redact(pdu, ROOM_VERSIONS[identifier])["content"] == {"membership": "invite", **left}


keys = st.sampled_from(sorted(KEPT_AT_FIRST | {"unsigned", "redacts", "x"}))
inner = st.recursive(
    st.integers(-9, 9) | st.text(max_size=3),
    lambda values: st.dictionaries(st.sampled_from([*sorted(ALL_KEYS), "signed"]), values, max_size=4),
)
contents = st.dictionaries(st.sampled_from([*sorted(ALL_KEYS), "third_party_invite"]), inner, max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(ROOM_VERSIONS.values())),
    st.dictionaries(keys, inner),
    contents,
    st.sampled_from([line[0] for line in CONTENT]),
)
def test_redacting_twice_is_redacting_once(
    version: RoomVersion, top: dict[str, Any], content: dict[str, Any], event_type: str
) -> None:
    pdu = {**top, "content": content, "type": event_type}
    once = redact(pdu, version)
    assert redact(once, version) == once
    assert reference_hash(once, version) == reference_hash(pdu, version)


ROOM = """
    create            alice create
    alice  <- create  alice join
    power  <- alice   alice power {"mod@c": 50}
    mod    <- power   mod@c join
    bob    <- mod     bob@b join
    ben    <- bob     ben@b join
    eve    <- ben     eve@e join
    said   <- eve     bob@b message
"""


@pytest.mark.parametrize("identifier", ROOM_VERSIONS)
@pytest.mark.parametrize(("sender", "allowed"), [("bob@b", True), ("ben@b", True), ("eve@e", False), ("mod@c", True)])
def test_who_may_redact(identifier: str, sender: str, allowed: bool) -> None:
    room = draw(identifier, ROOM)
    target = room["said"].event_id
    where = {"content": {"redacts": target}} if number(identifier) >= 11 else {"content": {}, "redacts": target}
    redaction = room.add("redaction", sender, "m.room.redaction", **where)
    levels = PowerLevels.of(room["power"], room["create"], room.version)
    assert may_redact(redaction, room["said"], levels) is allowed
    assert not may_redact(redaction, room["eve"], levels), "it names another event"
    elsewhere = draw(identifier, ROOM.replace("create ", "origin ").replace("- create", "- origin"))
    if number(identifier) >= 12:
        assert not may_redact(redaction, elsewhere["said"], levels), "the event is of another room"


def test_the_first_versions_go_by_the_domains_of_the_ids() -> None:
    room = draw("2", ROOM)
    redaction = room.add("redaction", "eve@e", "m.room.redaction", redacts="$said:b")
    levels = PowerLevels.of(room["power"], room["create"], room.version)
    assert not may_redact(redaction, room["said"], levels)
    redaction.event_id = "$redaction:b"
    assert may_redact(redaction, room["said"], levels)
