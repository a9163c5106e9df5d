"""The authorisation rules, by number, in every room version (membership and power levels have files of their own)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol import auth_cases
from tests.protocol.auth_cases import Case, number_of
from tests.protocol.rooms import Room, draw
from weft.protocol.auth_rules import rule_number
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import (
    CREATE_KEY,
    JOIN_RULES_KEY,
    POWER_LEVELS_KEY,
    auth_event_keys,
    authorise,
    check_auth_events,
)
from weft.protocol.room_versions import ROOM_VERSIONS, V1, V7, V8, V10, V12, RoomVersion

every_version = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: version.identifier)


def nothing(key: StateKey) -> None:
    """The state before a room's first event."""


# What an event leans on

MEMBER = "m.room.member"
ALICE, BOB = (MEMBER, "@alice:a"), (MEMBER, "@bob:b")
THIRD = ("m.room.third_party_invite", "token")
SIGNED = {"signed": {"token": "token"}}
VOUCHED = {"membership": "join", "join_authorised_via_users_server": "@bob:b"}


@pytest.mark.parametrize(
    ("version", "event_type", "state_key", "content", "expected"),
    [
        (V10, "m.room.create", "", {}, []),
        (V12, "m.room.create", "", {}, []),
        (V10, "m.room.message", None, {}, [CREATE_KEY, POWER_LEVELS_KEY, ALICE]),
        (V12, "m.room.message", None, {}, [POWER_LEVELS_KEY, ALICE]),
        (V10, MEMBER, "@bob:b", {"membership": "ban"}, [CREATE_KEY, POWER_LEVELS_KEY, ALICE, BOB]),
        (V10, MEMBER, "@alice:a", {"membership": "leave"}, [CREATE_KEY, POWER_LEVELS_KEY, ALICE]),
        (V10, MEMBER, "@alice:a", {"membership": "join"}, [CREATE_KEY, POWER_LEVELS_KEY, ALICE, JOIN_RULES_KEY]),
        (V12, MEMBER, "@bob:b", {"membership": "invite"}, [POWER_LEVELS_KEY, ALICE, BOB, JOIN_RULES_KEY]),
        (V1, MEMBER, "@alice:a", {"membership": "knock"}, [CREATE_KEY, POWER_LEVELS_KEY, ALICE, JOIN_RULES_KEY]),
        (
            V12,
            MEMBER,
            "@bob:b",
            {"membership": "invite", "third_party_invite": SIGNED},
            [POWER_LEVELS_KEY, ALICE, BOB, JOIN_RULES_KEY, THIRD],
        ),
        (V12, MEMBER, "@alice:a", {"membership": "leave", "third_party_invite": SIGNED}, [POWER_LEVELS_KEY, ALICE]),
        (V12, MEMBER, "@alice:a", VOUCHED, [POWER_LEVELS_KEY, ALICE, JOIN_RULES_KEY, BOB]),
        (V8, MEMBER, "@alice:a", VOUCHED, [CREATE_KEY, POWER_LEVELS_KEY, ALICE, JOIN_RULES_KEY, BOB]),
        (V7, MEMBER, "@alice:a", VOUCHED, [CREATE_KEY, POWER_LEVELS_KEY, ALICE, JOIN_RULES_KEY]),
        (V12, MEMBER, "@bob:b", VOUCHED, [POWER_LEVELS_KEY, ALICE, BOB, JOIN_RULES_KEY]),
        (V12, MEMBER, None, {"membership": "join"}, [POWER_LEVELS_KEY, ALICE]),
    ],
)
def test_selection(
    version: RoomVersion, event_type: str, state_key: str | None, content: dict[str, Any], expected: list[StateKey]
) -> None:
    assert auth_event_keys(event_type, state_key, "@alice:a", content, version) == expected


# The auth events themselves

ROOM = """
    create            alice create
    alice  <- create  alice join
    power  <- alice   alice power {"@mod:a": 50}
    public <- power   alice rule:public
    bob    <- public  bob@b join
    name   <- bob     alice m.room.name/ {"name": "Weavers"}
    again  <- bob     bob@b join {"displayname": "Bob"}
"""


def check(room: Room, event: Event, names: str, rejected: str = "", create: Event | None = None) -> None:
    check_auth_events(
        event,
        [room[name] for name in names.split()],
        room["create"] if create is None else create,
        {room[name].event_id for name in rejected.split()},
    )


@every_version
@pytest.mark.parametrize(
    ("rule", "names", "rejected"),
    [
        (None, "power bob", "name"),
        (None, "bob", ""),
        ("auth_events.duplicate", "power bob again", ""),
        ("auth_events.duplicate", "power bob bob", ""),
        ("auth_events.not_selected", "power bob alice", ""),
        ("auth_events.not_selected", "power bob name", ""),
        ("auth_events.not_selected", "power bob public", ""),
        ("auth_events.rejected", "power bob", "power"),
    ],
)
def test_auth_events(version: RoomVersion, rule: str | None, names: str, rejected: str) -> None:
    room = draw(version, ROOM)
    if not version.format.room_id_is_create_hash:
        names = "create " + names
    event = room.add("said", "bob@b", "m.room.message", auth=names.split())
    if rule is None:
        check(room, event, names, rejected)
        return
    with pytest.raises(AuthRuleViolation) as raised:
        check(room, event, names, rejected)
    assert raised.value.rule == rule_number(version, rule)


@every_version
def test_the_create_event_among_the_auth_events(version: RoomVersion) -> None:
    room = draw(version, ROOM)
    event = room.add("said", "bob@b", "m.room.message")
    with pytest.raises(AuthRuleViolation) as raised:
        check(room, event, "create bob" if version.format.room_id_is_create_hash else "bob")
    wrong = "auth_events.not_selected" if version.format.room_id_is_create_hash else "auth_events.create"
    assert raised.value.rule == rule_number(version, wrong)


@every_version
def test_an_event_named_twice(version: RoomVersion) -> None:
    room = draw(version, ROOM)
    names = "bob" if version.format.room_id_is_create_hash else "create bob"
    event = room.add("said", "bob@b", "m.room.message", auth=[*names.split(), "bob"])
    with pytest.raises(AuthRuleViolation) as raised:
        check(room, event, names)
    assert raised.value.rule == rule_number(version, "auth_events.duplicate")


@every_version
def test_auth_events_of_another_room(version: RoomVersion) -> None:
    room = draw(version, ROOM)
    other = Room(version, "!other:a").draw(ROOM.replace("create", "origin").replace("origin\n", "create\n"))
    event = room.add("said", "bob@b", "m.room.message")
    events = [other["bob"]] if version.format.room_id_is_create_hash else [room["create"], other["bob"]]
    with pytest.raises(AuthRuleViolation) as raised:
        check_auth_events(event, events, room["create"])
    assert raised.value.rule == rule_number(version, "auth_events.other_room")


def test_the_room_id_names_an_accepted_create_event() -> None:
    room = draw("12", ROOM)
    other = draw("12", "different alice create")
    event = room.add("said", "bob@b", "m.room.message")
    check(room, event, "bob")
    for create, rejected in ((None, ""), (other["different"], ""), (room["create"], "create")):
        with pytest.raises(AuthRuleViolation) as raised:
            check_auth_events(event, [room["bob"]], create, {room[name].event_id for name in rejected.split()})
        assert raised.value.rule == "2"
    assert draw("12", "fake alice m.room.name/ {}")["fake"].room_id != other["different"].room_id


@every_version
def test_a_create_event_needs_no_auth_events(version: RoomVersion) -> None:
    check_auth_events(draw(version, "create alice create")["create"], [], None)


# Creating a room


CREATE: list[tuple[str | None, range, dict[str, Any]]] = [
    (None, range(1, 13), {}),
    (None, range(1, 13), {"room_version": "1"}),
    (None, range(1, 13), {"room_version": "11", "m.federate": False}),
    ("create.room_version", range(1, 13), {"room_version": "99"}),
    ("create.room_version", range(1, 13), {"room_version": 10}),
    ("create.room_version", range(1, 13), {"room_version": None}),
    ("create.creator", range(1, 11), {"creator": ...}),
    (None, range(11, 13), {"creator": ...}),
    (None, range(1, 12), {"additional_creators": 5}),
    (None, range(12, 13), {"additional_creators": []}),
    (None, range(12, 13), {"additional_creators": ["@bob:b", "@Carol C:c"]}),
    ("create.additional_creators", range(12, 13), {"additional_creators": "@bob:b"}),
    ("create.additional_creators", range(12, 13), {"additional_creators": None}),
    ("create.additional_creators", range(12, 13), {"additional_creators": {"@bob:b": 1}}),
    ("create.additional_creators", range(12, 13), {"additional_creators": ["@bob:b", 5]}),
    ("create.additional_creators", range(12, 13), {"additional_creators": ["bob"]}),
]


@pytest.mark.parametrize(
    ("version", "rule", "content"),
    [
        (version, rule, content)
        for rule, versions, content in CREATE
        for version in ROOM_VERSIONS.values()
        if number_of(version) in versions
    ],
)
def test_create(version: RoomVersion, rule: str | None, content: dict[str, Any]) -> None:
    body = {key: value for key, value in {"creator": "@alice:a", **content}.items() if value is not ...}
    create = Room(version).add("create", "alice", "m.room.create", body, key="")
    if rule is None:
        authorise(create, nothing)
        return
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(create, nothing)
    assert raised.value.rule == rule_number(version, rule)


@every_version
def test_the_room_id_of_a_create_event(version: RoomVersion) -> None:
    create = draw(version, "create alice create")["create"]
    wrong = "!create" if version.format.room_id_is_create_hash else "!room:b"
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(Event.stored({**create.pdu, "room_id": wrong}, version, create.event_id), nothing)
    assert raised.value.rule == "1.2"


@every_version
def test_a_create_event_comes_first(version: RoomVersion) -> None:
    room = draw(version, "create alice create\n second <- create alice create")
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(room["second"], room.state_after("create").get)
    assert raised.value.rule == "1.1"


@every_version
def test_without_a_create_event_nothing_goes(version: RoomVersion) -> None:
    room = draw(version, ROOM)
    for name in ("alice", "bob", "name"):
        with pytest.raises(AuthRuleViolation) as raised:
            authorise(room[name], nothing)
        missing = "room" if version.format.room_id_is_create_hash else "auth_events.create"
        assert raised.value.rule == rule_number(version, missing)


def test_the_create_event_in_the_state_is_that_of_the_room() -> None:
    room = draw("12", ROOM)
    state = {**room.state_after("bob"), CREATE_KEY: draw("12", "different alice create")["different"]}
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(room["name"], state.get)
    assert raised.value.rule == "2"


# Closed rooms, aliases, what members may send


@auth_cases.each(
    """
    federate        1-12 | create {"m.federate": false} | bob@b message
    federate        1-12 | create {"m.federate": false} | new@b join
    -               1-12 | create {"m.federate": false} | mod message
    -               1-12 | create {"m.federate": "false"} | bob@b message
    -               1-12 | create {"m.federate": true}  | bob@b message

    aliases.state_key 1-5 |  | bob@b m.room.aliases {"aliases": []}
    aliases.domain  1-5  |  | bob@b m.room.aliases/a {"aliases": []}
    aliases.domain  1-5  |  | bob@b m.room.aliases/ {"aliases": []}
    -               1-5  |  | bob@b m.room.aliases/b {"aliases": []}
    -               1-5  |  | stranger@s m.room.aliases/s {"aliases": []}
    level           6-12 |  | bob@b m.room.aliases/b {"aliases": []}
    -               6-12 |  | mod m.room.aliases/b {"aliases": []}

    sender          1-12 |  | stranger@s message
    sender          1-12 |  | guest@g message
    sender          1-12 |  | eve@e message
    sender          1-12 | stranger@s leave | stranger@s message
    sender          1-12 | stranger@s knock | stranger@s m.room.power_levels/ {}
    -               1-12 |  | bob@b message

    third_party_invite.level 1-12 | power {"invite": 10} | bob@b m.room.third_party_invite/token {}
    -               1-12 | power {"mod": 50, "invite": 10} | mod m.room.third_party_invite/token {}
    -               1-12 |  | bob@b m.room.third_party_invite/token {}
    -               1-12 | power {"events": {"m.room.third_party_invite": 99}}| bob@b m.room.third_party_invite/@x {}

    level           1-12 |  | bob@b m.room.topic/ {}
    -               1-12 |  | mod m.room.topic/ {}
    level           1-12 | power {"mod": 50, "events": {"m.room.topic": 51}} | mod m.room.topic/ {}
    -               1-12 | power {"mod": 50, "events": {"m.room.topic": 0}} | bob@b m.room.topic/ {}
    level           1-12 | power {"mod": 50, "events_default": 1} | bob@b message
    -               1-12 | power {"bob@b": 1, "events_default": 1} | bob@b message
    level           1-12 | power {"events": {"m.room.message": 1}} | bob@b message
    level           1-12 | power {"bob@b": -1} | bob@b message
    -               1-12 | power {"users_default": 50} | bob@b m.room.topic/ {}

    state_key       1-12 |  | mod x.own/@bob:b {}
    state_key       1-12 |  | mod x.own/@ {}
    -               1-12 |  | mod x.own/@mod:a {}
    -               1-12 |  | mod x.own/bob {}

    -               1-12 |  | bob@b m.room.redaction {}
    -               1-12 |  | mod m.room.redaction {}
    level           1-12 | power {"events": {"m.room.redaction": 5}} | bob@b m.room.redaction {}
    """
)
def test_rule(case: Case, version: RoomVersion) -> None:
    auth_cases.check(case, version)


@pytest.mark.parametrize(("target", "allowed"), [("$x:b", True), ("$x:c", False), ("$x", False), (5, True)])
def test_redactions_in_the_first_versions(target: object, allowed: bool) -> None:
    room = draw("1", ROOM)
    redaction = room.add("redaction", "bob@b", "m.room.redaction", redacts=target, prev=["bob"])
    state = room.state_after("bob").get
    if allowed:
        authorise(redaction, state)
    else:
        with pytest.raises(AuthRuleViolation) as raised:
            authorise(redaction, state)
        assert raised.value.rule == "11.3"


# Hostile events in hostile rooms

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from(["join", "@bob:b", "ban", "50", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["signed", "mxid", "token", "signatures", "@bob:b", "public_key"]), inner)
    ),
    max_leaves=6,
)
KEYS = [
    "additional_creators", "ban", "creator", "events", "invite", "join_authorised_via_users_server", "join_rule",
    "m.federate", "membership", "notifications", "public_key", "public_keys", "redacts", "room_version",
    "third_party_invite", "users",
]  # fmt: skip
content = st.dictionaries(
    st.sampled_from(KEYS),
    values | st.sampled_from(["join", "invite", "leave", "knock", "restricted", {"signed": {"token": "token"}}]),
    max_size=5,
)
places = st.sampled_from(
    [
        CREATE_KEY,
        POWER_LEVELS_KEY,
        JOIN_RULES_KEY,
        ("m.room.member", "@bob:b"),
        ("m.room.member", "@alice:a"),
        ("m.room.third_party_invite", "token"),
        ("m.room.aliases", "b"),
        ("m.room.redaction", ""),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(ROOM_VERSIONS.values())), st.dictionaries(places, content), places, content)
def test_whatever_comes_is_allowed_or_refused(
    version: RoomVersion, contents: dict[StateKey, dict[str, Any]], place: StateKey, body: dict[str, Any]
) -> None:
    room = draw(version, "create alice create")
    for number, ((event_type, key), given_content) in enumerate(contents.items()):
        room.add(f"s{number}", "bob@b", event_type, given_content, key=key)
    last = list(room.events)[-1]
    event = room.add("new", "bob@b", place[0], body, key=place[1])
    state = room.state_after(last)
    with suppress(AuthRuleViolation):
        authorise(event, state.get)
    with suppress(AuthRuleViolation):
        check_auth_events(event, list(state.values()), room["create"])
