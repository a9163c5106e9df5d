"""Push rules: the specification's defaults, every condition, users' changes, extensible rooms, and hostile input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import push_rules
from weft.protocol.errors import BadJson, InvalidParam, MatrixError, MissingParam, NotFound, TooLarge
from weft.protocol.extensible_events import plain_text
from weft.protocol.push_rules import (
    DEFAULT_RULESET,
    Actions,
    FlattenedEvent,
    Kind,
    RoomContext,
    Ruleset,
    UserRules,
    add_rule,
    delete_rule,
    evaluate,
    set_actions,
    set_enabled,
)
from weft.protocol.push_rules.changes import MAX_RULES_OF_A_KIND
from weft.protocol.room_versions import I_1

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "default_push_rules.json").read_text())
ALICE, BOB, ROOM = "@alice:example.org", "@bob:example.org", "!room:example.org"
NOBODY = UserRules()
SOUND = {"set_tweak": "sound", "value": "default"}
HIGHLIGHT = {"set_tweak": "highlight"}
LOUD, QUIET = ["notify", SOUND], ["notify"]

Event = dict[str, Any]


def event(content: Event | None = None, event_type: str = "m.room.message", **fields: Any) -> Event:
    return {"type": event_type, "sender": BOB, "room_id": ROOM, "content": content or {}, **fields}


def room(members: int = 10, power: int = 0, *, extensible: bool = False, **fields: Any) -> RoomContext:
    features = I_1.push_features if extensible else frozenset[str]()
    return RoomContext(member_count=members, sender_power_level=power, push_features=features, **fields)


def ask(
    rules: UserRules, what: Event, where: RoomContext | None = None, *, name: str | None = None
) -> list[Any] | None:
    actions = evaluate(Ruleset.of(rules), FlattenedEvent(what, where or room()), ALICE, name)
    return None if actions is None else actions.json


def with_condition(*conditions: Event, kind: Kind = "override") -> UserRules:
    """Rules that answer with a mark of their own exactly when all conditions hold."""
    return add_rule(NOBODY, kind, "test", actions=["notify", {"set_tweak": "mark"}], conditions=list(conditions))


MARK = ["notify", {"set_tweak": "mark"}]


# Defaults


@pytest.mark.parametrize("kind", ["override", "underride"])
def test_the_defaults_are_the_specifications_in_its_order(kind: Kind) -> None:
    shown = push_rules.to_json(NOBODY, "[the user's Matrix ID]")[kind]
    named = {rule["rule_id"] for rule in VECTORS[kind]}
    assert [rule for rule in shown if rule["rule_id"] in named] == VECTORS[kind]


def test_other_defaults_are_of_proposals_or_ours() -> None:
    named = {rule["rule_id"] for kind in ("override", "underride") for rule in VECTORS[kind]}
    shown = push_rules.to_json(NOBODY, ALICE)
    others = {rule["rule_id"] for rules in shown.values() for rule in rules} - named
    assert others == {
        ".io.element.msc4306.rule.unsubscribed_thread",
        ".io.element.msc4306.rule.subscribed_thread",
        ".weft.rule.suppress_automated",
        ".m.rule.poll_response",
        *(f".m.rule.poll_{moment}{suffix}" for moment in ("start", "end") for suffix in ("", "_one_to_one")),
        ".m.rule.extensible.encrypted_room_one_to_one",
        ".m.rule.extensible.encrypted",
        *(
            f"{prefix}.rule.extensible.{name}{suffix}"
            for prefix, names in ((".m", "message file image video audio"), (".weft", "emote voice"))
            for name in names.split()
            for suffix in ("", ".room_one_to_one")
        ),
    }
    assert shown["content"] == shown["room"] == shown["sender"] == []


MENTION = {"m.mentions": {"user_ids": [BOB, ALICE]}}
MEMBER = {"event_type": "m.room.member", "state_key": ALICE}

DEFAULTS: list[tuple[Event, RoomContext, list[Any] | None]] = [
    (event({"msgtype": "m.text", "body": "hi"}), room(), QUIET),
    (event({"msgtype": "m.text", "body": "hi"}), room(2), LOUD),
    (event({"msgtype": "m.text", "body": "hi"}), room(1), QUIET),
    (event({"msgtype": "m.notice", "body": "hi"}), room(2), None),
    (event({"msgtype": "M.Notice", "body": "hi"}), room(2), None),
    (event({"msgtype": 1}), room(), QUIET),
    (event(sender=ALICE), room(2), None),
    (event(MENTION), room(), ["notify", SOUND, HIGHLIGHT]),
    (event(MENTION, "org.example.other"), room(), ["notify", SOUND, HIGHLIGHT]),
    (event({"m.mentions": {"user_ids": [BOB]}}), room(), QUIET),
    (event({"m.mentions": {"user_ids": ALICE}}), room(), QUIET),
    (event({"m.mentions": [ALICE]}), room(), QUIET),
    (event({"m.mentions": {"user_ids": [[ALICE], None]}}), room(), QUIET),
    (event({"m.mentions": {"room": True}}), room(power=50), ["notify", HIGHLIGHT]),
    (event({"m.mentions": {"room": True}}), room(power=49), QUIET),
    (event({"m.mentions": {"room": True}}), room(power=20, notification_levels={"room": 20}), ["notify", HIGHLIGHT]),
    (event({"m.mentions": {"room": 1}}), room(power=50), QUIET),
    (event({"m.mentions": {"room": "true"}}), room(power=50), QUIET),
    (event({"body": "alice", "formatted_body": ALICE}), room(), QUIET),
    (event({"membership": "invite"}, **MEMBER), room(), LOUD),
    (event({"membership": "invite"}, "m.room.member", state_key=BOB), room(), None),
    (event({"membership": "join"}, **MEMBER), room(), None),
    (event({}, "m.room.tombstone", state_key=""), room(), ["notify", HIGHLIGHT]),
    (event({}, "m.room.tombstone", state_key="x"), room(), None),
    (event({}, "m.room.tombstone"), room(), None),
    (event({}, "m.room.server_acl", state_key=""), room(), None),
    (event({}, "m.reaction"), room(2), None),
    (event({"m.relates_to": {"rel_type": "m.replace"}, "body": "x"}), room(2), None),
    (event({"m.relates_to": {"rel_type": "m.thread"}, "body": "x"}), room(2), LOUD),
    (event({}, "m.call.invite"), room(), ["notify", {"set_tweak": "sound", "value": "ring"}]),
    (event({}, "m.room.encrypted"), room(), QUIET),
    (event({}, "m.room.encrypted"), room(2), LOUD),
    (event({}, "m.room.topic", state_key=""), room(2), None),
    (event({}, "org.example.other"), room(2), None),
    (event({}, "m.poll.start"), room(2), LOUD),
    (event({}, "m.poll.start"), room(), QUIET),
    (event({}, "m.poll.end"), room(), QUIET),
    (event({}, "m.poll.response"), room(2), None),
    (event({}, "org.matrix.msc3381.poll.start"), room(2), LOUD),
    (event({}, "org.matrix.msc3381.poll.end"), room(), QUIET),
    (event({}, "org.matrix.msc3381.poll.response"), room(2), None),
    # the rules of extensible rooms do not fire elsewhere
    (event({"m.text": [{"body": "hi"}]}, "m.message"), room(2), None),
    (event({"m.automated": True, "body": "x"}), room(), QUIET),
]


@pytest.mark.parametrize(("what", "where", "expected"), DEFAULTS)
def test_what_the_defaults_say(what: Event, where: RoomContext, expected: list[Any] | None) -> None:
    assert ask(NOBODY, what, where) == expected


def test_a_room_full_of_users_shares_one_event() -> None:
    shared = FlattenedEvent(event({"body": "hi", **MENTION}), room())
    mentioned = evaluate(DEFAULT_RULESET, shared, ALICE)
    assert mentioned is not None
    assert mentioned.highlight
    others = [evaluate(DEFAULT_RULESET, shared, f"@user{i}:example.org") for i in range(50)]
    assert all(each is not None and each.json == QUIET for each in others)
    assert evaluate(DEFAULT_RULESET, shared, BOB) is None
    assert Ruleset.of(UserRules()) is DEFAULT_RULESET


# Extensible rooms

TEXT = {"m.text": [{"mimetype": "text/html", "body": "<b>x</b>"}, {"body": "alarm, please"}]}

EXTENSIBLE: list[tuple[Event, int, list[Any] | None]] = [
    (event(TEXT, "m.message"), 2, LOUD),
    (event(TEXT, "m.message"), 3, QUIET),
    (event(TEXT, "org.matrix.msc1767.message"), 3, QUIET),
    *((event({}, f"m.{name}"), 2, LOUD) for name in ("file", "image", "video", "audio", "encrypted", "emote", "voice")),
    *(
        (event({}, f"m.{name}"), 3, QUIET)
        for name in ("file", "image", "video", "audio", "encrypted", "emote", "voice")
    ),
    (event({}, "org.matrix.msc3245.voice.v2"), 3, QUIET),
    (event({}, "m.poll.start"), 3, QUIET),
    (event({}, "m.poll.response"), 2, None),
    (event({}, "m.room.encrypted"), 3, QUIET),
    (event({"body": "hi"}), 2, None),
    (event({"body": "hi"}), 3, None),
    (event({"body": "hi", **MENTION}), 3, ["notify", SOUND, HIGHLIGHT]),
    (event({**TEXT, **MENTION}, "m.message"), 3, ["notify", SOUND, HIGHLIGHT]),
    (event({**TEXT, "m.relates_to": {"rel_type": "m.replace"}}, "m.message"), 2, None),
    (event({**TEXT, "m.automated": True}, "m.message"), 2, None),
    (event({**TEXT, "m.automated": True, **MENTION}, "m.message"), 2, None),
    (event({**TEXT, "m.automated": "yes"}, "m.message"), 3, QUIET),
    (event({**TEXT, "msgtype": "m.notice"}, "m.message"), 3, QUIET),
    (event({"membership": "invite"}, **MEMBER), 3, LOUD),
    (event({}, "m.room.tombstone", state_key=""), 3, ["notify", HIGHLIGHT]),
]


@pytest.mark.parametrize(("what", "members", "expected"), EXTENSIBLE)
def test_extensible_rooms(what: Event, members: int, expected: list[Any] | None) -> None:
    assert ask(NOBODY, what, room(members, extensible=True)) == expected


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (event(TEXT, "m.message"), QUIET),
        (event({}, "m.poll.start"), QUIET),
        (event({}, "m.room.encrypted"), None),
        (event({**TEXT, **MENTION}, "m.message"), QUIET),
        (event({"membership": "invite"}, **MEMBER), None),
    ],
)
def test_msc3932_by_the_letter(what: Event, expected: list[Any] | None) -> None:
    assert ask(NOBODY, what, room(extensible=True, msc3932_strict=True)) == expected


def test_users_own_rules_stay_on_in_extensible_rooms_unless_by_the_letter() -> None:
    muted = add_rule(NOBODY, "room", ROOM, actions=[])
    message = event(TEXT, "m.message")
    assert ask(muted, message, room(extensible=True)) is None
    assert ask(muted, message, room(extensible=True, msc3932_strict=True)) == QUIET
    gated = with_condition({"kind": "room_version_supports", "feature": "m.extensible_events"})
    assert ask(gated, message, room(extensible=True, msc3932_strict=True)) == MARK


def test_the_master_rule_rules_everywhere() -> None:
    silent = set_enabled(NOBODY, "override", ".m.rule.master", True)
    silent = add_rule(silent, "override", "all", actions=["notify"], conditions=[])
    for where in (room(), room(extensible=True), room(extensible=True, msc3932_strict=True)):
        assert ask(silent, event({"body": "x", **MENTION}), where) is None


@pytest.mark.parametrize(
    ("content", "matches"),
    [
        ({"m.text": [{"body": "the cake"}]}, True),
        ({"m.text": "the cake"}, True),
        ({"m.text": [None, 5, {"body": 1}, {"body": "the cake"}]}, True),
        ({"org.matrix.msc1767.text": [{"body": "the cake"}]}, True),
        ({"m.text": [{"mimetype": "text/html", "body": "cake"}, {"body": "bread"}]}, False),
        ({"m.text": [{"mimetype": "text/html", "body": "cake"}]}, False),
        ({"body": "the cake"}, False),
        ({"m.text": {"body": "the cake"}}, False),
        ({"m.text": [], "body": "the cake"}, False),
    ],
)
def test_body_is_the_plain_text_in_extensible_rooms(content: Event, matches: bool) -> None:
    rules = add_rule(NOBODY, "content", "cake", pattern="cake", actions=MARK)
    where = room(extensible=True)
    assert (ask(rules, event(content, "m.message"), where) == MARK) is matches
    named = with_condition({"kind": "contains_display_name"})
    assert (ask(named, event(content, "m.message"), where, name="Cake") == MARK) is matches


# Conditions


@pytest.mark.parametrize(
    ("condition", "what", "expected"),
    [
        ({"key": "content.topic", "pattern": "lunc?*"}, event({"topic": "Lunch plans"}), True),
        ({"key": "content.topic", "pattern": "lunc?*"}, event({"topic": "LUNCH"}), True),
        ({"key": "content.topic", "pattern": "lunc?*"}, event({"topic": " lunch"}), False),
        ({"key": "content.topic", "pattern": "lunc?*"}, event({"topic": "lunc"}), False),
        ({"key": "content.topic", "pattern": "*"}, event({"topic": None}), False),
        ({"key": "content.topic", "pattern": "*"}, event({"topic": 5}), False),
        ({"key": "content.topic", "pattern": "*"}, event({}), False),
        ({"key": "content.topic.deep", "pattern": "*"}, event({"topic": "x"}), False),
        ({"key": "content.body", "pattern": "ex*ple"}, event({"body": "An example event."}), True),
        ({"key": "content.body", "pattern": "ex*ple"}, event({"body": "exple"}), True),
        ({"key": "content.body", "pattern": "EX*PLE"}, event({"body": "An exciting triple-whammy"}), True),
        ({"key": "content.body", "pattern": "ex*ple"}, event({"body": "hexample"}), False),
        ({"key": "content.body", "pattern": "*"}, event({"body": ["x"]}), False),
        ({"key": r"content.m\.name", "pattern": "x"}, event({"m.name": "X"}), True),
        ({"key": r"content.m\\name", "pattern": "x"}, event({"m\\name": "X"}), True),
        ({"key": r"content.m\name", "pattern": "x"}, event({"m\\name": "X"}), True),
        ({"key": "type", "pattern": "M.ROOM.*"}, event(), True),
        ({"key": "type", "pattern": "M.Room.Message"}, event(), True),
        ({"key": "room_id", "pattern": ROOM}, event(), True),
        ({"key": "sender", "pattern": "@bob:*"}, event(), True),
        ({"key": "state_key", "pattern": "*"}, event(), False),
        ({"key": "type"}, event(), False),
        ({"key": "type", "pattern": None}, event(), False),
        ({"key": "type", "pattern": 5}, event(), False),
        ({"pattern": "*"}, event(), False),
        ({"key": 1, "pattern": "*"}, event(), False),
    ],
)
def test_event_match(condition: Event, what: Event, expected: bool) -> None:
    rules = with_condition({"kind": "event_match", **condition})
    assert (ask(rules, what) == MARK) is expected


def test_two_types_at_once_never_match() -> None:
    rules = with_condition(
        {"kind": "event_match", "key": "type", "pattern": "m.room.message"},
        {"kind": "event_match", "key": "type", "pattern": "m.room.topic"},
    )
    assert ask(rules, event({"body": "x"})) == QUIET
    assert ask(rules, event({}, "m.room.topic")) is None


SCALARS: list[Any] = ["x", "1", "true", 1, 0, True, False, None]


@pytest.mark.parametrize("wanted", SCALARS, ids=repr)
@pytest.mark.parametrize("found", [*SCALARS, [], {}, [1], ["x"]], ids=repr)
def test_event_property_is_and_contains(wanted: Any, found: Any) -> None:
    same = type(wanted) is type(found) and wanted == found
    rules = with_condition({"kind": "event_property_is", "key": r"content.m\.x", "value": wanted})
    assert (ask(rules, event({"m.x": found})) == MARK) is same
    rules = with_condition({"kind": "event_property_contains", "key": r"content.m\.x", "value": wanted})
    assert (ask(rules, event({"m.x": [{}, [], found]})) == MARK) is same
    assert ask(rules, event({"m.x": wanted})) == QUIET


@pytest.mark.parametrize("kind", ["event_property_is", "event_property_contains"])
@pytest.mark.parametrize(
    "fields", [{}, {"key": "type"}, {"value": 1}, {"key": 1, "value": 1}, {"key": "x", "value": []}]
)
def test_misshapen_property_conditions_never_hold(kind: str, fields: Event) -> None:
    for what in (event(x=[]), event(x=[[]]), event()):
        assert ask(with_condition({"kind": kind, **fields}), what) == QUIET


def test_an_absent_property_is_not_null() -> None:
    rules = with_condition({"kind": "event_property_is", "key": "content.x", "value": None})
    assert ask(rules, event({})) == QUIET
    assert ask(rules, event({"x": None})) == MARK


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("Alice", "hi alice!", True),
        ("Alice", "alices", False),
        ("Al*", "al* is here", True),
        ("Al*", "alice", False),
        ("", "anything", False),
        (None, "anything", False),
        ("Alice", "malice alice", True),
        ("Alice", 5, False),
        ("(╯°□°)╯", "look: (╯°□°)╯", True),
    ],
)
def test_contains_display_name(name: str | None, body: Any, expected: bool) -> None:
    rules = with_condition({"kind": "contains_display_name"})
    assert (ask(rules, event({"body": body}), name=name) == MARK) is expected


@pytest.mark.parametrize(
    ("comparison", "true_for"),
    [
        ("2", {2}),
        ("==2", {2}),
        ("<2", {1}),
        ("<=2", {1, 2}),
        (">2", {3}),
        (">=2", {2, 3}),
        ("=2", set()),
        ("", set()),
        ("two", set()),
        ("2 ", set()),
        ("-2", set()),
        ("٢", set()),
        ("9" * 5000, set()),
        (2, set()),
        (None, set()),
    ],
)
def test_room_member_count(comparison: Any, true_for: set[int]) -> None:
    rules = with_condition({"kind": "room_member_count", "is": comparison})
    assert {count for count in (1, 2, 3) if ask(rules, event({}, "x"), room(count)) == MARK} == true_for


@pytest.mark.parametrize(
    ("key", "power", "expected"),
    [
        ("room", 50, True),
        ("room", 49, False),
        ("org.other", 50, True),
        ("low", 5, True),
        ("low", 4, False),
        (1, 99, False),
    ],
)
def test_sender_notification_permission(key: Any, power: int, expected: bool) -> None:
    rules = with_condition({"kind": "sender_notification_permission", "key": key})
    where = room(power=power, notification_levels={"low": 5})
    assert (ask(rules, event(), where) == MARK) is expected


@pytest.mark.parametrize("kind", ["room_version_supports", "org.matrix.msc3931.room_version_supports"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"feature": "m.extensible_events"}, True),
        ({"feature": "org.matrix.msc3932.extensible_events"}, True),
        ({"feature": "m.other"}, False),
        ({"feature": 1}, False),
        ({}, False),
    ],
)
def test_room_version_supports(kind: str, fields: Event, expected: bool) -> None:
    rules = with_condition({"kind": kind, **fields})
    assert (ask(rules, event(TEXT, "m.message"), room(extensible=True)) == MARK) is expected
    assert ask(rules, event({"body": "x"})) == QUIET


@pytest.mark.parametrize("condition", [{"kind": "org.example.unknown"}, {"kind": ""}, {"kind": "event_match "}])
def test_unknown_conditions_never_hold(condition: Event) -> None:
    assert ask(with_condition(condition), event()) == QUIET


# The user's own rules


def test_kinds_are_asked_in_order() -> None:
    rules = NOBODY
    what = event({"body": "cake"})
    for kind, rule_id, fields in (
        ("underride", "u", {"conditions": []}),
        ("sender", BOB, {}),
        ("room", ROOM, {}),
        ("content", "c", {"pattern": "cake"}),
        ("override", "o", {"conditions": []}),
    ):
        tweak = {"set_tweak": kind}
        rules = add_rule(rules, push_rules.parse_kind(kind), rule_id, actions=["notify", tweak], **fields)
        assert ask(rules, what) == ["notify", tweak]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (event({"body": "x"}, room_id="!other:example.org"), QUIET),
        (event({"body": "x"}, sender="@carol:example.org"), None),
        (event({"body": "x"}), None),
    ],
)
def test_room_and_sender_rules(what: Event, expected: list[Any] | None) -> None:
    rules = add_rule(NOBODY, "room", ROOM, actions=[])
    assert ask(rules, what) == expected
    silenced = add_rule(NOBODY, "sender", BOB, actions=["dont_notify"])
    assert ask(silenced, event({"body": "x"})) is None


def ids(rules: UserRules, kind: Kind = "content") -> list[str]:
    return [rule["rule_id"] for rule in push_rules.to_json(rules, ALICE)[kind] if not rule["default"]]


def test_places() -> None:
    rules = NOBODY
    for name, place in (
        ("a", {}),
        ("b", {}),
        ("c", {"before": "a"}),
        ("d", {"after": "a"}),
        ("e", {"before": "d", "after": "b"}),
    ):
        rules = add_rule(rules, "content", name, pattern=name, actions=[], **place)
    assert ids(rules) == ["b", "c", "a", "e", "d"]
    rules = add_rule(rules, "content", "a", pattern="new", actions=[])
    assert ids(rules) == ["b", "c", "a", "e", "d"]
    rules = add_rule(rules, "content", "d", pattern="d", actions=[], before="b")
    assert ids(rules) == ["d", "b", "c", "a", "e"]
    rules = add_rule(rules, "content", "d", pattern="d", actions=[], after="e")
    assert ids(rules) == ["b", "c", "a", "e", "d"]
    assert ids(delete_rule(rules, "content", "a")) == ["b", "c", "e", "d"]
    shown = push_rules.to_json(add_rule(NOBODY, "override", "mine", actions=[]), ALICE)["override"]
    assert [rule["rule_id"] for rule in shown][:3] == [".m.rule.master", "mine", ".m.rule.suppress_notices"]


@pytest.mark.parametrize("place", [{"before": "x"}, {"after": "x"}, {"after": ".m.rule.master"}, {"before": "self"}])
def test_unknown_neighbours(place: dict[str, str]) -> None:
    with pytest.raises(MatrixError) as refusal:
        add_rule(NOBODY, "override", "self", actions=[], **place)
    assert (refusal.value.errcode, refusal.value.status) == ("M_UNKNOWN", 400)


@pytest.mark.parametrize(
    ("kind", "rule_id", "fields", "error"),
    [
        ("override", ".mine", {"actions": []}, InvalidParam),
        ("override", ".m.rule.master", {"actions": []}, InvalidParam),
        ("override", "a/b", {"actions": []}, InvalidParam),
        ("override", "a\\b", {"actions": []}, InvalidParam),
        ("override", "", {"actions": []}, InvalidParam),
        ("override", "a" * 513, {"actions": []}, InvalidParam),
        ("override", "a", {"actions": "notify"}, InvalidParam),
        ("override", "a", {"actions": ["explode"]}, InvalidParam),
        ("override", "a", {"actions": [1]}, InvalidParam),
        ("override", "a", {"actions": [None]}, InvalidParam),
        ("override", "a", {"actions": [[]]}, InvalidParam),
        ("override", "a", {"actions": [{"sound": "x"}]}, InvalidParam),
        ("override", "a", {"actions": [{"set_tweak": 1}]}, InvalidParam),
        ("override", "a", {"actions": [{"set_tweak": "x", "value": 2**70}]}, BadJson),
        ("override", "a", {"actions": [{"set_tweak": "x", "value": "\ud800"}]}, BadJson),
        ("override", "a", {"actions": [], "conditions": {}}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [1]}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [{}]}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [{"kind": 1}]}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [{"kind": "x"}] * 65}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [{"kind": "x", "pattern": "a" * 513}]}, InvalidParam),
        ("override", "a", {"actions": [], "conditions": [{"kind": "x", "value": 2**70}]}, BadJson),
        ("content", "a", {"actions": []}, MissingParam),
        ("content", "a", {"actions": [], "pattern": 1}, InvalidParam),
        ("content", "a", {"actions": [], "pattern": "a" * 513}, InvalidParam),
        ("content", "a", {"actions": [{"set_tweak": "a" * 600_000}], "pattern": "a"}, TooLarge),
    ],
)
def test_rules_that_are_refused(kind: Kind, rule_id: str, fields: Event, error: type[MatrixError]) -> None:
    with pytest.raises(error):
        add_rule(NOBODY, kind, rule_id, **fields)


def test_rules_are_limited_in_number() -> None:
    many = UserRules(room=tuple(push_rules.PushRule(str(i), ()) for i in range(MAX_RULES_OF_A_KIND)))
    add_rule(many, "room", "0", actions=["notify"])
    with pytest.raises(TooLarge):
        add_rule(many, "room", "new", actions=[])


def test_kinds_have_names() -> None:
    assert [push_rules.parse_kind(kind) for kind in push_rules.KINDS] == list(push_rules.KINDS)
    with pytest.raises(InvalidParam):
        push_rules.parse_kind("changed_defaults")


def test_historical_actions_are_ignored() -> None:
    rules = add_rule(NOBODY, "room", ROOM, actions=["dont_notify", "coalesce", "notify", HIGHLIGHT])
    assert push_rules.rule_to_json(rules, ALICE, "room", ROOM)["actions"] == ["notify", HIGHLIGHT]


def test_own_rules_are_switched_and_changed() -> None:
    rules = add_rule(NOBODY, "room", ROOM, actions=[])
    off = set_enabled(rules, "room", ROOM, False)
    assert ask(off, event({"body": "x"})) == QUIET
    assert add_rule(off, "room", ROOM, actions=["notify"]).room[0].enabled is False
    loud = set_actions(rules, "room", ROOM, LOUD)
    assert ask(loud, event({"body": "x"})) == LOUD
    assert push_rules.rule_to_json(off, ALICE, "room", ROOM) == {
        "rule_id": ROOM,
        "default": False,
        "enabled": False,
        "actions": [],
    }
    assert rules.room[0].enabled


def test_default_rules_are_switched_and_changed() -> None:
    changed = set_actions(NOBODY, "underride", ".m.rule.message", LOUD)
    assert ask(changed, event({"body": "x"})) == LOUD
    off = set_enabled(changed, "underride", ".m.rule.message", False)
    assert ask(off, event({"body": "x"})) is None
    assert ask(set_enabled(off, "underride", ".m.rule.message", True), event({"body": "x"})) == LOUD
    shown = push_rules.rule_to_json(off, ALICE, "underride", ".m.rule.message")
    assert (shown["enabled"], shown["actions"], shown["default"]) == (False, LOUD, True)
    assert (
        ask(set_enabled(NOBODY, "override", ".m.rule.suppress_notices", False), event({"msgtype": "m.notice"})) == QUIET
    )


@pytest.mark.parametrize(
    ("kind", "rule_id"),
    [("override", "x"), ("override", ".m.rule.nothing"), ("room", ".m.rule.master"), ("underride", ".m.rule.reaction")],
)
def test_rules_that_do_not_exist(kind: Kind, rule_id: str) -> None:
    with pytest.raises(NotFound):
        set_enabled(NOBODY, kind, rule_id, True)
    with pytest.raises(NotFound):
        set_actions(NOBODY, kind, rule_id, [])
    with pytest.raises(NotFound):
        delete_rule(NOBODY, kind, rule_id)
    with pytest.raises(NotFound):
        push_rules.rule_to_json(NOBODY, ALICE, kind, rule_id)


def test_default_rules_cannot_be_deleted() -> None:
    with pytest.raises(NotFound):
        delete_rule(NOBODY, "override", ".m.rule.master")


def test_shown_rules_have_the_fields_of_their_kind() -> None:
    condition = {"kind": "event_match", "key": "type", "pattern": "x"}
    rules = add_rule(NOBODY, "override", "o", actions=[], conditions=[condition], pattern="dropped")
    rules = add_rule(rules, "content", "c", actions=[], conditions=[condition], pattern="p")
    assert push_rules.rule_to_json(rules, ALICE, "override", "o")["conditions"] == [condition]
    assert "pattern" not in push_rules.rule_to_json(rules, ALICE, "override", "o")
    assert push_rules.rule_to_json(rules, ALICE, "content", "c")["pattern"] == "p"
    assert "conditions" not in push_rules.rule_to_json(rules, ALICE, "content", "c")
    invite = push_rules.rule_to_json(rules, ALICE, "override", ".m.rule.invite_for_me")
    assert invite["conditions"][2]["pattern"] == ALICE


@pytest.mark.parametrize(
    ("actions", "highlight", "sound", "tweaks"),
    [
        (("notify",), False, None, {}),
        (("notify", SOUND), False, "default", {"sound": "default"}),
        (("notify", HIGHLIGHT), True, None, {"highlight": True}),
        (("notify", {"set_tweak": "highlight", "value": False}), False, None, {"highlight": False}),
        (("notify", {"set_tweak": "highlight", "value": "yes"}), False, None, {"highlight": "yes"}),
        (
            ("notify", {"set_tweak": "sound"}, {"set_tweak": "led", "value": 0.5}),
            False,
            None,
            {"sound": True, "led": 0.5},
        ),
    ],
)
def test_actions(actions: Any, highlight: bool, sound: str | None, tweaks: Event) -> None:
    result = Actions(actions)
    assert (result.highlight, result.sound, result.tweaks) == (highlight, sound, tweaks)
    assert repr(result) == f"Actions({list(actions)!r})"


# Whatever comes

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(push_rules.KINDS)
condition_kinds = st.sampled_from(
    [
        "event_match",
        "event_property_is",
        "event_property_contains",
        "contains_display_name",
        "room_member_count",
        "sender_notification_permission",
        "room_version_supports",
    ]
)
conditions = st.fixed_dictionaries(
    {"kind": condition_kinds | anything},
    optional={
        "key": st.sampled_from(["type", "content.body", "content.x"]) | anything,
        "pattern": st.text("a*?. ", max_size=5) | anything,
        "value": anything,
        "is": st.text("<>=12", max_size=4) | anything,
        "feature": anything,
    },
)
actions = st.lists(
    st.sampled_from(["notify", "dont_notify"])
    | st.fixed_dictionaries({"set_tweak": anything, "value": anything})
    | anything,
    max_size=3,
)


@given(
    kinds,
    st.text(max_size=10),
    st.fixed_dictionaries({"actions": actions | anything, "conditions": st.lists(conditions, max_size=3) | anything}),
    anything,
    anything,
)
def test_hostile_rules_and_events(kind: Kind, rule_id: str, fields: Event, pattern: Any, content: Any) -> None:
    try:
        rules = add_rule(NOBODY, kind, rule_id, **fields, pattern=pattern)
    except MatrixError:
        return
    assert push_rules.load(push_rules.dump(rules)) == rules
    assert rule_id in ids(rules, kind)
    for where in (room(), room(extensible=True)):
        ask(rules, event({"body": content, "x": content}), where)
        ask(rules, {"type": content, "content": content}, where, name="a")


@given(anything, st.dictionaries(st.sampled_from(["type", "sender", "content", "room_id", "state_key"]), anything))
def test_hostile_events_meet_the_defaults(content: Any, what: Event) -> None:
    for where in (room(), room(extensible=True)):
        ask(NOBODY, what, where)
        ask(NOBODY, event({"m.text": content, "m.mentions": content, "msgtype": content}), where)


@given(st.dictionaries(st.sampled_from(["m.text", "org.matrix.msc1767.text"]), anything))
def test_plain_text_is_text_or_nothing(content: Event) -> None:
    assert isinstance(plain_text(content), str | None)


# Threads that one subscribed to


def ask_in_thread(rules: UserRules, subscribed: bool, content: Event | None = None, **fields: Any) -> list[Any] | None:
    flat = FlattenedEvent(event(content, **fields), room(), thread="$root")
    actions = evaluate(Ruleset.of(rules), flat, ALICE, threads={"$root"} if subscribed else {"$another"})
    return None if actions is None else actions.json


def test_threads_are_heard_of_by_those_who_subscribed() -> None:
    muted = add_rule(NOBODY, "room", ROOM, actions=[])
    loud = add_rule(NOBODY, "room", ROOM, actions=LOUD)
    keyword = add_rule(NOBODY, "content", "lunch", pattern="lunch", actions=["notify", HIGHLIGHT])
    assert ask_in_thread(NOBODY, True) == ask_in_thread(muted, True) == LOUD
    assert ask_in_thread(NOBODY, False) is ask_in_thread(loud, False) is None
    assert ask_in_thread(NOBODY, False, MENTION) == ["notify", SOUND, HIGHLIGHT]
    assert ask_in_thread(keyword, False, {"body": "lunch?"}) == ["notify", HIGHLIGHT]
    assert ask_in_thread(NOBODY, True, event_type="m.reaction") is None
    # What is in no thread, and where the server has no subscriptions.
    assert ask(NOBODY, event()) == QUIET


def test_what_of_the_rules_for_threads_may_be_changed() -> None:
    off = set_enabled(NOBODY, "postcontent", ".io.element.msc4306.rule.unsubscribed_thread", False)
    assert ask_in_thread(off, False) == QUIET
    quiet = set_actions(NOBODY, "postcontent", ".io.element.msc4306.rule.subscribed_thread", QUIET)
    assert ask_in_thread(quiet, True) == QUIET
    with pytest.raises(InvalidParam):
        add_rule(NOBODY, "postcontent", "mine", actions=[], conditions=[])
    with pytest.raises(NotFound):
        delete_rule(NOBODY, "postcontent", ".io.element.msc4306.rule.subscribed_thread")


@pytest.mark.parametrize("subscribed", [True, False])
def test_the_condition_of_thread_subscriptions(subscribed: bool) -> None:
    for kind in ("thread_subscription", "io.element.msc4306.thread_subscription"):
        rules = with_condition({"kind": kind, "subscribed": subscribed})
        assert ask_in_thread(rules, subscribed) == MARK
        assert ask_in_thread(rules, not subscribed) != MARK
        assert ask(rules, event()) != MARK
    for wrong in ({}, {"subscribed": 1}, {"subscribed": "true"}):
        assert ask_in_thread(with_condition({"kind": "thread_subscription", **wrong}), subscribed) != MARK
