"""Power levels: how values are read in every room version, defaults, creators, and that reading never fails."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.rooms import Room, draw
from weft.protocol.power_levels import CREATOR_LEVEL, PowerLevels, creators_of, parse_level
from weft.protocol.room_versions import ROOM_VERSIONS, V1, V5, V6, V9, V10, V12, RoomVersion

HUGE = 10**308
BEYOND = 2**1024

#: Value, then the level in versions 1 to 5, 6 to 9, 10 and later; None where it is none.
VALUES: list[tuple[object, int | None, int | None, int | None]] = [
    (50, 50, 50, 50),
    (0, 0, 0, 0),
    (-5, -5, -5, -5),
    (2**53 - 1, 2**53 - 1, 2**53 - 1, 2**53 - 1),
    ("100", 100, 100, None),
    ("000100", 100, 100, None),
    ("+100", 100, 100, None),
    ("-100", -100, -100, None),
    (" 100 ", 100, 100, None),
    (" 00100 ", 100, 100, None),
    (" +100 ", 100, 100, None),
    (" -100 ", -100, -100, None),
    ("\t\n100\r", 100, 100, None),
    ("\u2003100", 100, 100, None),
    ("0", 0, 0, None),
    ("000", 0, 0, None),
    ("-0", 0, 0, None),
    (str(HUGE), HUGE, HUGE, None),
    ("0" * 9_000 + "7", 7, 7, None),
    ("9" * 9_000, None, None, None),
    (str(BEYOND), None, None, None),
    ("", None, None, None),
    (" ", None, None, None),
    ("+", None, None, None),
    ("- 5", None, None, None),
    ("+-5", None, None, None),
    ("--5", None, None, None),
    ("1_000", None, None, None),
    ("1 000", None, None, None),
    ("50.5", None, None, None),
    ("1e3", None, None, None),
    ("0x10", None, None, None),
    ("٥٠", None, None, None),
    ("NaN", None, None, None),
    ("Infinity", None, None, None),
    ("5\0", None, None, None),
    (50.57, 50, None, None),
    (-50.57, -50, None, None),
    (5.114698e4, 51146, None, None),
    (1e300, int(1e300), None, None),
    (float("inf"), None, None, None),
    (float("nan"), None, None, None),
    (BEYOND, None, None, None),
    (True, None, None, None),
    (None, None, None, None),
    ([50], None, None, None),
    ({}, None, None, None),
]


@pytest.mark.parametrize(("value", "first", "stringy", "strict"), VALUES, ids=lambda value: repr(value)[:20])
def test_what_a_value_stands_for(value: object, first: int | None, stringy: int | None, strict: int | None) -> None:
    for identifier in ("1", "2", "3", "4", "5"):
        assert parse_level(value, ROOM_VERSIONS[identifier]) == first
    for identifier in ("6", "7", "8", "9"):
        assert parse_level(value, ROOM_VERSIONS[identifier]) == stringy
    for identifier in ("10", "11", "12", "I.1", "org.matrix.msc1767.10"):
        assert parse_level(value, ROOM_VERSIONS[identifier]) == strict


def test_long_numbers_cost_little() -> None:
    begin = time.process_time()
    for text in (" " * 30_000 + "x", "0" * 60_000 + "x", "9" * 60_000, " " * 30_000 + "1" + " " * 30_000 + "x"):
        assert parse_level(text, V1) is None
    assert time.process_time() - begin < 0.5


def levels_of(version: RoomVersion, content: dict[str, Any] | None) -> PowerLevels:
    room = draw(version, "create alice create")
    event = None if content is None else room.add("power", "alice", "m.room.power_levels", content, key="")
    return PowerLevels.of(event, room["create"], version)


@pytest.mark.parametrize("identifier", ROOM_VERSIONS)
@pytest.mark.parametrize("content", [None, {}])
def test_defaults(identifier: str, content: dict[str, Any] | None) -> None:
    version = ROOM_VERSIONS[identifier]
    levels = levels_of(version, content)
    assert (levels.ban, levels.kick, levels.redact, levels.invite) == (50, 50, 50, 0)
    assert (levels.event("x", True), levels.event("x", False), levels.notifications("room")) == (50, 0, 50)
    assert levels.user("@bob:b") == 0
    if version.auth.privileged_creators:
        assert levels.user("@alice:a") == CREATOR_LEVEL
    else:
        assert levels.user("@alice:a") == (100 if content is None else 0)


@pytest.mark.parametrize("identifier", ROOM_VERSIONS)
def test_what_is_given_holds(identifier: str) -> None:
    content: dict[str, Any] = {
        "users": {"@bob:b": 7},
        "users_default": 1,
        "events": {"x": 11},
        "events_default": 2,
        "state_default": 3,
        "ban": 4,
        "kick": 5,
        "redact": 6,
        "invite": 8,
        "notifications": {"room": 9},
    }
    levels = levels_of(ROOM_VERSIONS[identifier], content)
    assert (levels.user("@bob:b"), levels.user("@carol:c")) == (7, 1)
    assert (levels.event("x", True), levels.event("x", False)) == (11, 11)
    assert (levels.event("y", True), levels.event("y", False)) == (3, 2)
    assert (levels.ban, levels.kick, levels.redact, levels.invite) == (4, 5, 6, 8)
    assert (levels.notifications("room"), levels.notifications("other")) == (9, 50)


def test_old_spellings_are_read_everywhere() -> None:
    content: dict[str, Any] = {
        "users": {"@bob:b": "7"},
        "events": {"x": " 11"},
        "ban": "+4",
        "notifications": {"room": "9"},
    }
    levels = levels_of(V9, content)
    assert (levels.user("@bob:b"), levels.event("x", False), levels.ban, levels.notifications("room")) == (7, 11, 4, 9)
    assert levels_of(V5, {"users": {"@bob:b": 50.57}}).user("@bob:b") == 50


def test_what_is_no_level_counts_as_not_given() -> None:
    content: dict[str, Any] = {
        "users": {"@bob:b": "x", "@carol:c": 5},
        "users_default": [],
        "events": [],
        "ban": None,
        "kick": "many",
    }
    for version in (V1, V6, V10, V12):
        levels = levels_of(version, content)
        assert (levels.user("@bob:b"), levels.user("@carol:c"), levels.ban, levels.kick) == (0, 5, 50, 50)
        assert levels.event("x", False) == 0


def test_creators() -> None:
    named = {"creator": "@carol:c", "additional_creators": ["@dave:d", 5]}

    def create(identifier: str, content: dict[str, Any]) -> frozenset[str]:
        return creators_of(Room(identifier).add("create", "alice", "m.room.create", content, key=""))

    assert create("10", named) == {"@carol:c"}
    assert create("10", {"creator": 5}) == frozenset()
    assert create("11", named) == {"@alice:a"}
    assert create("12", named) == {"@alice:a", "@dave:d"}
    assert create("12", {"additional_creators": {"@dave:d": 1}}) == {"@alice:a"}


def test_creators_stand_above_what_can_be_written() -> None:
    room = draw("12", 'create alice create {"additional_creators": ["@dave:d"]}')
    power = room.add("power", "alice", "m.room.power_levels", {"users": {"@bob:b": 2**53 - 1, "@dave:d": 1}}, key="")
    levels = PowerLevels.of(power, room["create"], room.version)
    assert levels.user("@bob:b") < levels.user("@alice:a") == levels.user("@dave:d") == CREATOR_LEVEL


def test_an_event_is_read_once_for_a_room() -> None:
    room = draw("10", "create alice create\n power <- create alice power")
    first = PowerLevels.of(room["power"], room["create"], room.version)
    assert PowerLevels.of(room["power"], room["create"], room.version) is first
    assert PowerLevels.of(None, room["create"], room.version) is PowerLevels.of(None, room["create"], room.version)
    other = draw("10", "other bob create")
    assert PowerLevels.of(room["power"], other["other"], room.version) is not first


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["users", "events", "notifications", "ban", "kick", "users_default", "state_default", "x"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names, values), st.sampled_from(list(ROOM_VERSIONS.values())))
def test_reading_never_fails(content: dict[str, Any], version: RoomVersion) -> None:
    levels = levels_of(version, content)
    for level in (levels.user("@bob:b"), levels.event("x", True), levels.ban, levels.notifications("room")):
        assert type(level) is int
