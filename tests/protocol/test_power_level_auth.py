"""The authorisation rules for changing power levels, by number, in every room version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol import auth_cases
from tests.protocol.auth_cases import Case
from tests.protocol.rooms import draw
from weft.protocol.auth_rules import rule_number
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event_auth import authorise
from weft.protocol.power_levels import DEFAULTS
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion

every_version = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: version.identifier)


# What the content must look like (sent by the creator, where no levels event holds yet)


def first(version: RoomVersion, content: dict[str, Any]) -> None:
    room = draw(version, "create alice create\n alice <- create alice join")
    event = room.add("power", "alice", "m.room.power_levels", content, key="")
    authorise(event, room.state_after("alice").get)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", ["x", "1_0", None, True, [], {}, "50.5", float("nan")])
@every_version
def test_single_levels_must_be_levels(version: RoomVersion, name: str, value: object) -> None:
    with pytest.raises(AuthRuleViolation) as raised:
        first(version, {name: value})
    rule = "power_levels.integers" if version.auth.integer_power_levels else "power_levels.single.new"
    assert raised.value.rule == rule_number(version, rule)


@pytest.mark.parametrize("name", ["events", "notifications"])
@pytest.mark.parametrize("value", [5, [], None, "x", {"a": "x"}, {"a": None}, {"a": True}, {"a": {}}])
@every_version
def test_maps_must_hold_levels(version: RoomVersion, name: str, value: object) -> None:
    if name == "notifications" and not version.auth.check_notifications_levels:
        first(version, {name: value})
        return
    with pytest.raises(AuthRuleViolation) as raised:
        first(version, {name: value})
    strict = version.auth.integer_power_levels
    rule = "power_levels.integer_maps" if strict else "power_levels.events_added.new"
    assert raised.value.rule == rule_number(version, rule)


@pytest.mark.parametrize(
    "users", [5, [], None, {"@bob:b": "x"}, {"@bob:b": None}, {"bob": 5}, {"@bob": 5}, {"": 5}, {"@bob:b c": 5}]
)
@every_version
def test_users_must_hold_levels_by_user_id(version: RoomVersion, users: object) -> None:
    with pytest.raises(AuthRuleViolation) as raised:
        first(version, {"users": users})
    assert raised.value.rule == rule_number(version, "power_levels.users")


@pytest.mark.parametrize(
    "content", [{}, {"users": {"@bob:b": 99}}, {"users": {"@Bob Ω:b": -5}}, {"ban": 10**6}, {"x": "y"}]
)
@every_version
def test_the_first_levels_are_free(version: RoomVersion, content: dict[str, Any]) -> None:
    first(version, content)


@pytest.mark.parametrize("content", [{"ban": "50"}, {"users": {"@bob:b": " +50 "}}, {"events": {"x": "-1"}}])
@every_version
def test_levels_in_strings(version: RoomVersion, content: dict[str, Any]) -> None:
    if version.auth.integer_power_levels:
        with pytest.raises(AuthRuleViolation):
            first(version, content)
    else:
        first(version, content)


@every_version
def test_creators_are_not_written_down(version: RoomVersion) -> None:
    for user in ("@alice:a", "@carol:c"):
        room = draw(version, 'create alice create {"additional_creators": ["@carol:c"]}\n alice <- create alice join')
        event = room.add("power", "alice", "m.room.power_levels", {"users": {user: 100}}, key="")
        if not version.auth.privileged_creators:
            authorise(event, room.state_after("alice").get)
            continue
        with pytest.raises(AuthRuleViolation) as raised:
            authorise(event, room.state_after("alice").get)
        assert raised.value.rule == "10.4"


# Changes


@auth_cases.each(
    """
    -                               1-12 | power {"mod": 50, "ban": 40} | mod power {"mod": 50}
    -                               1-12 | power {"mod": 50, "ban": 50} | mod power {"mod": 50}
    power_levels.single.current     1-12 | power {"mod": 50, "ban": 51} | mod power {"mod": 50}
    power_levels.single.current     1-12 | power {"mod": 50, "kick": 60} | mod power {"mod": 50, "kick": 50}
    -                               1-12 | power {"mod": 50, "kick": 60} | mod power {"mod": 50, "kick": 60}
    power_levels.single.new         1-12 | power {"mod": 50} | mod power {"mod": 50, "invite": 51}
    -                               1-12 | power {"mod": 50} | mod power {"mod": 50, "invite": 50}
    power_levels.single.new         1-12 | power {"mod": 50, "redact": 5} | mod power {"mod": 50, "redact": 99}
    power_levels.single.new         1-12 | power {"mod": 50} | mod power {"mod": 50, "users_default": 51}
    power_levels.single.new         1-12 | power {"mod": 50} | mod power {"mod": 50, "events_default": 51}
    power_levels.single.new         1-12 | power {"mod": 50} | mod power {"mod": 50, "state_default": 51}
    -                               1-9  | power {"mod": 50, "ban": 99} | mod power {"mod": 50, "ban": "99"}

    power_levels.events_removed.current 1-12 | power {"mod": 50, "events": {"x": 51}} | mod power {"mod": 50}
    power_levels.events_removed.current 1-12 | power {"mod": 50, "events": {"x": 51}}\
        | mod power {"mod": 50, "events": {"x": 5}}
    -                               1-12 | power {"mod": 50, "events": {"x": 50}} | mod power {"mod": 50}
    -                               1-12 | power {"mod": 50, "events": {"x": 51}}\
        | mod power {"mod": 50, "events": {"x": 51, "y": 50}}
    power_levels.events_added.new   1-12 | power {"mod": 50} | mod power {"mod": 50, "events": {"x": 51}}
    power_levels.events_added.new   1-12 | power {"mod": 50, "events": {"x": 5}}\
        | mod power {"mod": 50, "events": {"x": 51}}
    power_levels.events_removed.current 6-12 | power {"mod": 50, "notifications": {"room": 51}} | mod power {"mod": 50}
    power_levels.events_added.new   6-12 | power {"mod": 50} | mod power {"mod": 50, "notifications": {"room": 51}}
    -                               1-5  | power {"mod": 50, "notifications": {"room": 51}} | mod power {"mod": 50}
    -                               1-5  | power {"mod": 50} | mod power {"mod": 50, "notifications": {"room": 51}}
    -                               6-12 | power {"mod": 50} | mod power {"mod": 50, "notifications": {"room": 50}}

    power_levels.users_removed.current 1-12 | power {"mod": 50, "peer": 50} | mod power {"mod": 50}
    power_levels.users_removed.current 1-12 | power {"mod": 50, "peer": 50} | mod power {"mod": 50, "peer": 49}
    power_levels.users_removed.current 1-12 | power {"mod": 50, "ada": 100} | mod power {"mod": 50}
    -                               1-12 | power {"mod": 50, "peer": 49} | mod power {"mod": 50}
    -                               1-12 | power {"mod": 50, "peer": 49} | mod power {"mod": 50, "peer": 50}
    -                               1-12 | power {"mod": 50, "peer": 50} | mod power {"mod": 0, "peer": 50}
    -                               1-12 | power {"mod": 50, "peer": 50} | mod power {"peer": 50}
    power_levels.users_added.new    1-12 | power {"mod": 50} | mod power {"mod": 51}
    power_levels.users_added.new    1-12 | power {"mod": 50} | mod power {"mod": 50, "bob@b": 51}
    power_levels.users_added.new    1-12 | power {"mod": 50, "bob@b": 5} | mod power {"mod": 50, "bob@b": 51}
    -                               1-12 | power {"mod": 50, "ada": 100}\
        | mod power {"mod": 50, "ada": 100, "bob@b": 50}
    -                               1-9  | power {"mod": 50, "ada": 100} | mod power {"mod": 50, "ada": "100"}
    level                           1-12 | power {"mod": 50} | bob@b power {"mod": 50}
    -                               12   | power {"ada": 100} | alice power {"mod": 1000000}
    """
)
def test_rule(case: Case, version: RoomVersion) -> None:
    auth_cases.check(case, version)
