"""The table of room versions: which one brought what, written down from the specification's list of changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from weft.protocol.errors import UnsupportedRoomVersion
from weft.protocol.room_versions import (
    DEFAULT_ROOM_VERSION,
    ROOM_VERSIONS,
    EventIdFormat,
    RoomVersion,
    StateResolution,
    room_version,
)

#: What is true of a version, and from which to which version.
FEATURES: list[tuple[str, Callable[[RoomVersion], bool], range]] = [
    ("ids by servers", lambda v: v.format.event_id is EventIdFormat.SERVER_ASSIGNED, range(1, 3)),
    ("ids in base64", lambda v: v.format.event_id is EventIdFormat.BASE64, range(3, 4)),
    ("ids in URL-safe base64", lambda v: v.format.event_id is EventIdFormat.URL_SAFE_BASE64, range(4, 13)),
    ("references with hashes", lambda v: v.format.references_are_pairs, range(1, 3)),
    ("strict canonical JSON", lambda v: v.format.strict_canonical_json, range(6, 13)),
    ("room ids by hash", lambda v: v.format.room_id_is_create_hash, range(12, 13)),
    ("state resolution 1", lambda v: v.state_resolution is StateResolution.V1, range(1, 2)),
    ("state resolution 2", lambda v: v.state_resolution is StateResolution.V2, range(2, 12)),
    ("state resolution 2.1", lambda v: v.state_resolution is StateResolution.V2_1, range(12, 13)),
    ("keys must be valid at the time", lambda v: v.enforce_key_validity, range(5, 13)),
    ("a rule for aliases", lambda v: v.auth.special_aliases, range(1, 6)),
    ("a rule for redactions", lambda v: v.auth.redactions_by_domain, range(1, 3)),
    ("notifications are checked", lambda v: v.auth.check_notifications_levels, range(6, 13)),
    ("knocking", lambda v: v.auth.knock, range(7, 13)),
    ("restricted joins", lambda v: v.auth.restricted, range(8, 13)),
    ("knocking on restricted rooms", lambda v: v.auth.knock_restricted, range(10, 13)),
    ("integer power levels", lambda v: v.auth.integer_power_levels, range(10, 13)),
    ("creator in the content", lambda v: v.auth.creator_in_content, range(1, 11)),
    ("privileged creators", lambda v: v.auth.privileged_creators, range(12, 13)),
    ("legacy keys survive", lambda v: v.redaction.keep_legacy_top_level, range(1, 11)),
    ("aliases survive", lambda v: v.redaction.keep_aliases, range(1, 6)),
    ("allow survives", lambda v: v.redaction.keep_join_rules_allow, range(8, 13)),
    ("the authoriser survives", lambda v: v.redaction.keep_join_authorised_via, range(9, 13)),
    ("create survives", lambda v: v.redaction.keep_all_of_create, range(11, 13)),
    ("invite level survives", lambda v: v.redaction.keep_power_levels_invite, range(11, 13)),
    ("signed survives", lambda v: v.redaction.keep_third_party_invite_signed, range(11, 13)),
    ("redacts in the content", lambda v: v.redaction.redacts_in_content, range(11, 13)),
]
NUMBERED = range(1, 13)


@pytest.mark.parametrize(("name", "holds", "versions"), FEATURES, ids=[name for name, _, _ in FEATURES])
def test_feature(name: str, holds: Callable[[RoomVersion], bool], versions: range) -> None:
    assert [number for number in NUMBERED if holds(room_version(str(number)))] == list(versions)
    for identifier in ("I.1", "org.matrix.msc1767.10"):
        assert holds(room_version(identifier)) is (10 in versions), "the framework's version is version 10"


def test_identifiers() -> None:
    assert all(version.identifier == identifier for identifier, version in ROOM_VERSIONS.items())
    assert {version.identifier for version in ROOM_VERSIONS.values() if version.stable} == {str(n) for n in NUMBERED}
    assert DEFAULT_ROOM_VERSION.identifier == "12"


def test_extensible_events_are_a_push_feature() -> None:
    assert room_version("10").push_features == frozenset()
    assert "m.extensible_events" in room_version("I.1").push_features


@pytest.mark.parametrize("identifier", ["", "0", "13", "1.0", "i.1"])
def test_other_versions_are_not_known(identifier: str) -> None:
    with pytest.raises(UnsupportedRoomVersion) as raised:
        room_version(identifier)
    assert (raised.value.errcode, raised.value.status) == ("M_UNSUPPORTED_ROOM_VERSION", 400)
